//! Whether the calls of a phase, in some order, explain every answer.
//!
//! The token of a record and its generation never fall, and every change raises one of them. So the
//! calls that said `Ok` have one possible order. Those in doubt may be anywhere, or nowhere.

use super::state::State;
use super::step::{Call, Outcome, Step};

/// The most states that the searches of one phase look at, all together.
pub(crate) const MOST: usize = 100_000;

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

/// Explains `calls`, all at once, from `state`. `doubts` are calls of earlier phases, and those of
/// this one that are in doubt. `left` is how many states may still be looked at.
pub(crate) fn explain(
    state: &State,
    calls: &[Call],
    doubts: &[(usize, Call)],
    compare: Compare,
    left: &mut usize,
) -> Explained {
    let mut changes: Vec<&Call> = calls.iter().filter(|call| call.made().is_some()).collect();
    changes.sort_by_key(|call| call.made().map(|made| (made.lease.token, made.generation)));
    let own = calls.iter().filter(|call| call.may_be_its_own()).map(|call| (None, call));
    let doubts = doubts.iter().map(|(number, call)| (Some(*number), call));
    let maybe = own.chain(doubts).collect();
    let mut search = Search { calls, changes, maybe, compare, left, ends: Vec::new() };
    search.go(&mut vec![state.clone()], 0, &mut Vec::new());
    let Search { left, ends, .. } = search;
    match ends.is_empty() {
        _ if *left == 0 => Explained::Unclear,
        true => Explained::Never,
        false => Explained::By(ends),
    }
}

struct Search<'a> {
    calls: &'a [Call],
    /// The calls that said `Ok`, in their order.
    changes: Vec<&'a Call>,
    /// Calls that may have had an effect; with a number if they may have it in a later phase.
    maybe: Vec<(Option<usize>, &'a Call)>,
    compare: Compare,
    left: &'a mut usize,
    ends: Vec<State>,
}

impl Search<'_> {
    /// Goes on from the last state of `path`, with `done` of the changes and `used` of the others.
    fn go(&mut self, path: &mut Vec<State>, done: usize, used: &mut Vec<usize>) {
        *self.left = self.left.saturating_sub(1);
        let Some(state) = path.last().cloned() else { return };
        if *self.left == 0 {
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
            if self.is_used(index, &state, used) || self.is_like_an_earlier(index, &state, used) {
                continue;
            }
            let Some(mut after) = state.after(&call.step, None) else { continue };
            if matches!(call.step, Step::TakeOver(_)) {
                after.late.extend(number); // its condition is true again
                after.late.sort_unstable();
            }
            path.push(after);
            used.push(index);
            self.go(path, done, used);
            used.pop();
            path.pop();
        }
    }

    fn is_used(&self, index: usize, state: &State, used: &[usize]) -> bool {
        let number = self.maybe[index].0;
        used.contains(&index) || number.is_some_and(|number| state.late.contains(&number))
    }

    /// Whether the same call in doubt, not used yet, stands before this one: one of them is enough.
    fn is_like_an_earlier(&self, index: usize, state: &State, used: &[usize]) -> bool {
        let (number, call) = self.maybe[index];
        number.is_some()
            && (0..index).any(|earlier| {
                let (its, like) = self.maybe[earlier];
                let is_same = its.is_some() && like.step == call.step;
                is_same && !self.is_used(earlier, state, used)
            })
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
