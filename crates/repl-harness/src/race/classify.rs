//! Which promise is broken where nothing explains the calls of a phase.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::explain::{self, Compare, Explained, explain};
use super::promise::Promise;
use super::state::State;
use super::step::{Call, Outcome, Step};

/// A broken promise, and the writers whose calls show it, from 0.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) promise: Promise,
    pub(crate) writers: Vec<usize>,
    pub(crate) what: String,
}

impl Finding {
    fn of(promise: Promise, calls: &[&Call], expected: &str) -> Self {
        let mut what = String::new();
        for call in calls {
            let _ = write!(what, "{call}; ");
        }
        let _ = write!(what, "expected {expected}");
        let mut writers: Vec<usize> = calls.iter().map(|call| call.writer).collect();
        writers.dedup();
        Finding { promise, writers, what }
    }
}

/// Names the promise that calls break which nothing explains from any of `states`.
pub(crate) fn classify(states: &[State], calls: &[Call], doubts: &[(usize, Call)]) -> Finding {
    let of_changes = || {
        token_given_twice(states, calls)
            .or_else(|| two_winners(calls))
            .or_else(|| fenced(states, calls))
            .unwrap_or_else(|| unexplained(states, calls))
    };
    if !may_be(states, calls, doubts, Compare::Changes) {
        return of_changes();
    }
    if !may_be(states, calls, doubts, Compare::Conditions) {
        return no_winner(states, calls);
    }
    wrong_answer(states, calls, doubts)
}

/// Whether calls are explained from one of `states`, or would be for all that was looked at.
fn may_be(states: &[State], calls: &[Call], doubts: &[(usize, Call)], compare: Compare) -> bool {
    let mut left = explain::MOST;
    let mut explains = |state| explain(state, calls, doubts, compare, &mut left);
    states.iter().any(|state| !matches!(explains(state), Explained::Never))
}

fn token_given_twice(states: &[State], calls: &[Call]) -> Option<Finding> {
    let takeovers = calls.iter().filter(|call| matches!(call.step, Step::TakeOver(_)));
    let mut by_token: HashMap<u64, &Call> = HashMap::new();
    let mut by_holder: HashMap<u128, &Call> = HashMap::new();
    for call in takeovers {
        let Some(made) = call.made() else { continue };
        let had = by_token.insert(made.lease.token, call);
        if let Some(other) = had.or(by_holder.insert(made.lease.holder, call)) {
            let expected = "two tokens and two holders";
            return Some(Finding::of(Promise::NewToken, &[other, call], expected));
        }
        let is_old = |state: &State| {
            state.record.is_some_and(|record| {
                record.token >= made.lease.token || record.holder == Some(made.lease.holder)
            })
        };
        if !states.is_empty() && states.iter().all(is_old) {
            let expected = format!("a new token and a new holder; before, {}", shown(states));
            return Some(Finding::of(Promise::NewToken, &[call], &expected));
        }
    }
    None
}

fn two_winners(calls: &[Call]) -> Option<Finding> {
    let mut winners: HashMap<_, &Call> = HashMap::new();
    for call in calls.iter().filter(|call| call.made().is_some()) {
        let over = match call.step {
            Step::Save { lease, previous, .. } => (lease, Ok(previous)),
            Step::Renew { lease, token } => (lease, Err(token)),
            _ => continue,
        };
        if let Some(other) = winners.insert(over, call) {
            return Some(Finding::of(Promise::OneWinner, &[other, call], "at most one Ok"));
        }
    }
    None
}

/// A change under a lease that is not that of the record, nor was it given meanwhile.
fn fenced(states: &[State], calls: &[Call]) -> Option<Finding> {
    let is_given = |holder: u128| {
        let acquired = calls.iter().filter_map(Call::made);
        let held = states.iter().filter_map(|state| state.record);
        acquired.clone().any(|made| made.lease.holder == holder && is_new(states, holder))
            || held.clone().any(|record| record.holder == Some(holder))
    };
    let is_above = |token: u64| {
        let lowest =
            states.iter().filter_map(|state| state.record).map(|record| record.token).min();
        lowest.is_none_or(|lowest| token >= lowest)
    };
    let call = calls.iter().find(|call| match (call.made(), call.step) {
        (Some(_), Step::Save { lease, .. }) => !is_given(lease.holder) || !is_above(lease.token),
        (Some(_), Step::Renew { lease, .. }) => !is_given(lease.holder),
        _ => false,
    })?;
    let expected = format!("a refusal, as the lease was replaced: before, {}", shown(states));
    Some(Finding::of(Promise::FencedStaysFenced, &[call], &expected))
}

/// Whether a holder was given by a takeover of this phase, and not only named by a renewal.
fn is_new(states: &[State], holder: u128) -> bool {
    let is_it = |state: &State| state.record.is_some_and(|record| record.holder == Some(holder));
    !states.iter().any(is_it)
}

fn no_winner(states: &[State], calls: &[Call]) -> Finding {
    let refused = |call: &&Call| matches!(call.outcome, Outcome::Refused(_));
    let holds = |call: &&Call| states.iter().all(|state| !state.answers(call));
    let calls: Vec<&Call> = calls.iter().filter(refused).filter(holds).take(3).collect();
    let expected = format!("one Ok, as the condition was true: before, {}", shown(states));
    Finding::of(Promise::OneWinner, &calls, &expected)
}

/// The first change that does not follow from those before it, and the one before it.
fn unexplained(states: &[State], calls: &[Call]) -> Finding {
    let mut changes: Vec<&Call> = calls.iter().filter(|call| call.made().is_some()).collect();
    changes.sort_by_key(|call| call.made().map(|made| (made.lease.token, made.generation)));
    let mut state = states.first().cloned().unwrap_or_default();
    let mut before = None;
    for call in &changes {
        let Some(after) = state.after(&call.step, call.made().as_ref()) else {
            let calls: Vec<&Call> = before.into_iter().chain([*call]).collect();
            let from = shown(std::slice::from_ref(&state));
            let expected = format!("one order of all calls that said Ok; this one began at {from}");
            return Finding::of(Promise::Explained, &calls, &expected);
        };
        state = after;
        before = Some(*call);
    }
    let expected = format!("one order of these calls, from {}", shown(states));
    Finding::of(Promise::Explained, &changes, &expected)
}

/// All changes are explained, and what some call has read is not.
fn wrong_answer(states: &[State], calls: &[Call], doubts: &[(usize, Call)]) -> Finding {
    let changes: Vec<Call> = calls.iter().filter(|call| call.made().is_some()).cloned().collect();
    let is_wrong = |call: &&Call| {
        let with: Vec<Call> = changes.iter().chain([*call]).cloned().collect();
        call.made().is_none() && !may_be(states, &with, doubts, Compare::All)
    };
    let Some(call) = calls.iter().find(is_wrong) else {
        return Finding::of(Promise::Explained, &calls.iter().collect::<Vec<_>>(), "one order");
    };
    let expected = format!("what is there: {}", shown(states));
    let newest = states.iter().filter_map(|state| state.record).map(|r| (r.token, r.generation));
    let newest = newest.max().unwrap_or_default();
    let promise = match &call.outcome {
        Outcome::Refused(Some(seen)) if (seen.lease.token, seen.generation) < newest => {
            Promise::OkIsVisible
        }
        // Something was changed that no call explains.
        Outcome::Refused(Some(seen)) if (seen.lease.token, seen.generation) > newest => {
            Promise::Explained
        }
        Outcome::Refused(_) => Promise::RefusalTellsRecord,
        Outcome::Loaded(found) => {
            let kept = states.first().and_then(|state| match call.step {
                Step::Load { at_most } => state.load(at_most),
                _ => None,
            });
            // Something was changed that no call explains.
            if found.is_some_and(|(generation, _)| generation > newest.1) {
                return Finding::of(Promise::Explained, &[call], &expected);
            }
            let is_older = found.map(|(generation, _)| generation) < kept.map(|kept| kept.0);
            let is_newest = matches!(call.step, Step::Load { at_most: u64::MAX });
            if is_older && is_newest { Promise::OkIsVisible } else { Promise::BytesAreKept }
        }
        _ => Promise::Explained,
    };
    Finding::of(promise, &[call], &expected)
}

fn shown(states: &[State]) -> String {
    let Some(state) = states.first() else { return "an unknown state".to_owned() };
    let mut text = match state.record {
        None => "no record".to_owned(),
        Some(record) => match record.lease() {
            Some(lease) => format!("{lease:?} at generation {}", record.generation),
            None => format!("token {} at generation {}", record.token, record.generation),
        },
    };
    if let Some((generation, content)) = state.kept.first() {
        let _ = write!(text, ", generation {generation} with content {content:x}");
    }
    if states.len() > 1 {
        let _ = write!(text, ", or {} other possibilities", states.len() - 1);
    }
    text
}
