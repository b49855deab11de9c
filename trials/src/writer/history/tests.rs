//! The checker of power cuts under writers that were killed and restarted.

use repl_harness::crash::Invariant;

use super::WriterHistory;
use crate::writer::checker::{Failure, Outcome, RunResult};
use crate::writer::event::{CallRecord, Event, Operation};

fn attempt(generation: u64) -> Event {
    Event::Attempt { generation, stamp: generation, bytes: u128::from(generation) }
}

fn saved(generation: u64) -> Event {
    Event::Saved { checkpointed: generation, floor: None, is_delta: false }
}

fn recovered(generation: u64) -> Event {
    let bytes = u128::from(generation);
    Event::Recovered { generation, stamp: generation, bytes, passed_over: 0, temps: Vec::new() }
}

fn history(events: impl IntoIterator<Item = Event>) -> WriterHistory {
    let mut history = WriterHistory::new();
    history.restart();
    events.into_iter().for_each(|event| history.report(event).unwrap());
    history
}

/// A writer that saved once and was killed in its second save.
fn killed_in_a_save() -> WriterHistory {
    history([recovered(0), attempt(1), saved(1), attempt(2)])
}

fn outcome(result: Result<RunResult, Failure>) -> Outcome {
    result.unwrap().outcome.unwrap()
}

fn broken(result: Result<RunResult, Failure>) -> Option<Invariant> {
    match result {
        Err(Failure::Broken(violation)) => Some(violation.invariant),
        _ => None,
    }
}

#[test]
fn a_cut_leaves_the_acknowledged_save_or_the_one_in_progress() {
    let history = killed_in_a_save();
    assert_eq!(outcome(history.check_cut([recovered(1)])), Outcome::Old);
    assert_eq!(outcome(history.check_cut([recovered(2)])), Outcome::New);
    assert_eq!(broken(history.check_cut([recovered(0)])), Some(Invariant::AcknowledgedSurvives));
    assert_eq!(broken(history.check_cut([recovered(3)])), Some(Invariant::RecoveredWasWritten));
}

#[test]
fn what_a_restarted_writer_finds_need_not_be_durable() {
    for found in [1, 2] {
        let mut history = killed_in_a_save();
        history.restart();
        history.report(recovered(found)).unwrap();
        assert_eq!(outcome(history.check_cut([recovered(1)])), Outcome::Old);
        assert_eq!(outcome(history.check_cut([recovered(2)])), Outcome::New);
        // The next writer may use a generation again, which was not found or was not durable.
        history.report(attempt(2)).unwrap();
        history.report(saved(2)).unwrap();
        assert_eq!(outcome(history.check_cut([recovered(2)])), Outcome::Acknowledged);
        assert_eq!(
            broken(history.check_cut([recovered(1)])),
            Some(Invariant::AcknowledgedSurvives)
        );
    }
}

#[test]
fn a_restarted_writer_finds_what_was_acknowledged() {
    let mut history = killed_in_a_save();
    history.restart();
    let lost = history.report(recovered(0)).unwrap_err();
    assert!(lost.to_string().contains("an acknowledged save is found again"), "{lost}");
}

#[test]
fn one_writer_uses_no_generation_twice() {
    let mut history = killed_in_a_save();
    assert!(history.report(attempt(2)).is_err());
}

#[test]
fn the_writer_after_a_cut_must_save() {
    let history = killed_in_a_save();
    let result = history.check_cut([recovered(2), attempt(3), saved(3)]).unwrap();
    assert_eq!((result.attempted, result.acknowledged), (1, 1));
    let failed = Event::Failed { not_saved: true, why: "no reason".to_owned() };
    let failed = history.check_cut([recovered(2), attempt(3), failed]);
    assert_eq!(broken(failed), Some(Invariant::NextSaveSucceeds));
    let refused = history.check_cut([Event::Refused { why: "damaged".to_owned() }]);
    assert_eq!(broken(refused), Some(Invariant::RecoverySucceeds));
}

#[test]
fn a_call_that_fails_is_no_broken_promise_and_does_not_pass() {
    let call = Event::Call(CallRecord {
        operation: Operation::Look("read".to_owned()),
        failed: Some("structure needs cleaning".to_owned()),
        answers: false,
        began: 0,
        ended: 0,
    });
    let refused = Event::Refused { why: "cannot be read".to_owned() };
    let history = killed_in_a_save();
    let result = history.check_cut([call.clone(), refused]);
    assert!(matches!(&result, Err(Failure::Unexpected(_))), "{result:?}");
    assert!(history.clone().report(call).is_err());
}
