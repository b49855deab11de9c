//! Whether the calls of a phase, in some order, explain every answer.
//!
//! The token of a record and its generation never fall, and every change raises one of them. So the
//! calls that said `Ok` have one possible order. Those in doubt may be anywhere, or nowhere.

use super::state::State;
use super::step::{Call, Outcome, Step};

/// The most states that a search looks at.
const MOST: usize = 100_000;

/// What a search has found.
pub(crate) enum Explained {
    /// The states that may be there now.
    By(Vec<State>),
    /// There are too many possibilities to look at.
    Unclear,
    /// None: a promise is broken.
    Never,
}

/// What is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compare {
    /// Only what the calls have changed.
    Changes,
    /// Whether a refused call had a false condition, as well.
    Conditions,
    /// Everything that was read, as well.
    All,
}

/// Explains `calls`, all at once, from `state`. `doubts` are calls of earlier phases.
pub(crate) fn explain(
    state: &State,
    calls: &[Call],
    doubts: &[(usize, Call)],
    compare: Compare,
) -> Explained {
    let mut changes: Vec<&Call> = calls.iter().filter(|call| call.made().is_some()).collect();
    changes.sort_by_key(|call| call.made().map(|made| (made.lease.token, made.generation)));
    let own = calls.iter().filter(|call| call.may_be_its_own()).map(|call| (None, call));
    let doubts = doubts.iter().map(|(number, call)| (Some(*number), call));
    let maybe = own.chain(doubts).collect();
    let mut search = Search { calls, changes, maybe, compare, looked: 0, ends: Vec::new() };
    search.go(&mut vec![state.clone()], 0, &mut Vec::new());
    match search {
        Search { looked, .. } if looked > MOST => Explained::Unclear,
        Search { ends, .. } if ends.is_empty() => Explained::Never,
        Search { ends, .. } => Explained::By(ends),
    }
}

struct Search<'a> {
    calls: &'a [Call],
    /// The calls that said `Ok`, in their order.
    changes: Vec<&'a Call>,
    /// Calls that may have had an effect; with a number if they may have it in a later phase.
    maybe: Vec<(Option<usize>, &'a Call)>,
    compare: Compare,
    looked: usize,
    ends: Vec<State>,
}

impl Search<'_> {
    /// Goes on from the last state of `path`, with `done` of the changes and `used` of the others.
    fn go(&mut self, path: &mut Vec<State>, done: usize, used: &mut Vec<usize>) {
        self.looked += 1;
        let Some(state) = path.last().cloned() else { return };
        if self.looked > MOST {
            return;
        }
        if let Some(call) = self.changes.get(done) {
            let next = call.made().map_or(u64::MAX, |made| made.lease.token);
            if state.record.is_some_and(|record| record.token > next) {
                return; // a call in doubt has gone too far
            }
            if let Some(after) = state.after(&call.step, call.made().as_ref()) {
                path.push(after);
                self.go(path, done + 1, used);
                path.pop();
            }
        } else if self.is_answered(path, used) && !self.ends.contains(&state) {
            self.ends.push(state.clone());
        }
        for index in 0..self.maybe.len() {
            let (number, call) = self.maybe[index];
            let is_used = used.contains(&index) || number.is_some_and(|n| state.late.contains(&n));
            let Some(mut after) = state.after(&call.step, None).filter(|_| !is_used) else {
                continue;
            };
            if matches!(call.step, Step::TakeOver(_)) {
                after.late.extend(number); // its condition is true again
            }
            path.push(after);
            used.push(index);
            self.go(path, done, used);
            used.pop();
            path.pop();
        }
    }

    /// Whether the states of a path explain every call that has changed nothing.
    fn is_answered(&self, path: &[State], used: &[usize]) -> bool {
        let unchanged = |call: &&Call| {
            let is_used = used.iter().any(|index| std::ptr::eq(self.maybe[*index].1, *call));
            call.made().is_none() && !is_used
        };
        self.calls.iter().filter(unchanged).all(|call| {
            let is_load = matches!(call.outcome, Outcome::Loaded(_));
            match self.compare {
                Compare::Changes => true,
                Compare::Conditions => is_load || path.iter().any(|state| state.answers(call)),
                Compare::All => {
                    path.iter().any(|state| state.answers(call))
                        && match &call.outcome {
                            Outcome::Refused(seen) => {
                                path.iter().any(|state| state.shows(seen.as_ref()))
                            }
                            _ => true,
                        }
                }
            }
        })
    }
}
