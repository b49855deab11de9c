use repl_checkpoint::Witness;

use super::*;

const ONE: Lease = Lease { holder: 11, token: 1 };
const TWO: Lease = Lease { holder: 22, token: 2 };
const SAVE: Step = Step::Save { lease: ONE, previous: 0, generation: 1, content: 5 };

fn call(step: Step, outcome: Outcome) -> Call {
    Call { writer: 0, step, outcome }
}

fn taken(lease: Lease, generation: u64) -> Call {
    call(Step::TakeOver(None), Outcome::Acquired(Seen { lease, generation }))
}

fn loaded(found: Option<(u64, u64)>) -> Call {
    let found = found.map(|(generation, content)| (generation, Some(content)));
    call(Step::Load { at_most: u64::MAX }, Outcome::Loaded(found))
}

fn refused(step: Step, lease: Lease, generation: u64) -> Call {
    call(step, Outcome::Refused(Some(Seen { lease, generation })))
}

/// Judges calls one after the other; `Ok` if each of them holds, else the promise.
fn judged(calls: &[Call]) -> Result<(), Promise> {
    let mut judge = Judge::new(Vec::new());
    calls.iter().try_for_each(|call| {
        let judged = judge.judge(std::slice::from_ref(call)).map_err(|found| found.promise)?;
        assert_eq!(judged, Judged::Held);
        Ok(())
    })
}

#[test]
fn a_save_in_doubt_is_there_comes_late_or_never_comes() {
    let doubt = || call(SAVE, Outcome::Dropped);
    let is_there = loaded(Some((1, 5)));
    assert_eq!(judged(&[taken(ONE, 0), doubt(), is_there.clone(), is_there.clone()]), Ok(()));
    assert_eq!(judged(&[taken(ONE, 0), doubt(), loaded(None), is_there.clone()]), Ok(()));
    assert_eq!(judged(&[taken(ONE, 0), doubt(), loaded(None), loaded(None)]), Ok(()));
    let gone = judged(&[taken(ONE, 0), doubt(), is_there, loaded(None)]);
    assert_eq!(gone, Err(Promise::OkIsVisible));
    let other = judged(&[taken(ONE, 0), doubt(), loaded(Some((1, 6)))]);
    assert_eq!(other, Err(Promise::BytesAreKept));
}

#[test]
fn after_a_takeover_a_save_in_doubt_does_not_come_any_more() {
    let doubt = || call(SAVE, Outcome::InDoubt(String::new()));
    assert_eq!(judged(&[taken(ONE, 0), doubt(), taken(TWO, 1), loaded(Some((1, 5)))]), Ok(()));
    let late = judged(&[taken(ONE, 0), doubt(), taken(TWO, 0), loaded(Some((1, 5)))]);
    assert_eq!(late, Err(Promise::Explained));
    let ok = judged(&[taken(ONE, 0), taken(TWO, 0), call(SAVE, Outcome::Saved)]);
    assert_eq!(ok, Err(Promise::FencedStaysFenced));
}

#[test]
fn a_takeover_in_doubt_may_come_at_any_time_but_once() {
    let doubt = || call(Step::TakeOver(None), Outcome::InDoubt(String::new()));
    let saved = || call(SAVE, Outcome::Saved);
    let other = |token| Lease { holder: 33, token };
    let next = Step::Save { lease: ONE, previous: 1, generation: 2, content: 6 };
    let calls = [taken(ONE, 0), doubt(), saved(), refused(next, other(2), 1)];
    assert_eq!(judged(&calls), Ok(()));
    let twice = judged(&[&calls[..], &[refused(next, other(3), 1)]].concat());
    assert_eq!(twice, Err(Promise::Explained));
}

#[test]
fn a_refused_save_may_be_a_success_that_was_sent_twice() {
    let own = refused(SAVE, ONE, 1);
    assert_eq!(judged(&[taken(ONE, 0), own, loaded(Some((1, 5)))]), Ok(()));
    let none = judged(&[taken(ONE, 0), refused(SAVE, ONE, 0)]);
    assert_eq!(none, Err(Promise::OneWinner));
}

#[test]
fn what_was_not_available_never_comes() {
    let never = call(SAVE, Outcome::Unavailable(String::new()));
    assert_eq!(judged(&[taken(ONE, 0), never.clone(), loaded(None)]), Ok(()));
    let came = judged(&[taken(ONE, 0), never, loaded(Some((1, 5)))]);
    assert_eq!(came, Err(Promise::Explained));
}

#[test]
fn two_saves_over_one_generation_are_two_winners() {
    let mut judge = Judge::new(Vec::new());
    judge.judge(&[taken(ONE, 0)]).unwrap();
    let other = Step::Save { lease: ONE, previous: 0, generation: 1, content: 6 };
    let both = [call(SAVE, Outcome::Saved), call(other, Outcome::Saved)];
    let found = judge.judge(&both).unwrap_err();
    assert_eq!(found.promise, Promise::OneWinner);
    assert!(found.what.contains("a save of generation 1 over 0"), "{}", found.what);
}

#[test]
fn a_skipped_promise_is_not_reported() {
    let mut judge = Judge::new(vec![Promise::NewToken]);
    judge.judge(&[taken(ONE, 0)]).unwrap();
    let again = taken(Lease { holder: 22, ..ONE }, 0);
    assert_eq!(judge.judge(&[again]), Ok(Judged::Skipped));
}

#[test]
fn equal_calls_in_doubt_are_counted_and_not_put_in_every_order() {
    let mut judge = Judge::new(Vec::new());
    let doubt = call(Step::TakeOver(None), Outcome::InDoubt(String::new()));
    assert_eq!(judge.judge(&vec![doubt; 8]), Ok(Judged::Held));
    assert_eq!(judge.states.len(), 9, "none to all of them have come");
}

#[test]
fn one_phase_looks_at_no_more_than_it_may_from_all_states_together() {
    let mut judge = Judge::new(Vec::new());
    for token in 1..=7 {
        judge.judge(&[taken(Lease { holder: token.into(), token }, 0)]).unwrap();
    }
    let from = |token| Step::TakeOver(Some(Witness { token, generation: 0 }));
    let doubts: Vec<Call> =
        (1..=7).map(|token| call(from(token), Outcome::InDoubt(String::new()))).collect();
    assert_eq!(judge.judge(&doubts), Ok(Judged::Held));
    assert_eq!(judge.states.len(), 128, "each of them has come or not");
    // From one of these states alone it would be few enough.
    assert_eq!(judge.judge(&doubts[6..]), Ok(Judged::Unclear));
}
