//! The checker of filesystem shutdowns, tested on a directory without a shutdown.

use std::fs::{self, File};
use std::io::BufReader;
use std::ops::Range;
use std::path::{Path, PathBuf};

use repl_harness::crash::{Entry, Invariant, StoreKind, read_tree};

use super::event::Operation;
use super::{
    CallRecord, Checker, Event, Events, Failure, Follower, Outcome, Plan, RunResult, WriterMutant,
    write,
};

fn follower(kind: StoreKind) -> Follower {
    Follower::all(kind)[2]
}

fn log(
    dir: &Path,
    kind: StoreKind,
    wrong: Option<WriterMutant>,
    stamps: Range<u64>,
) -> Vec<(Event, Vec<u8>)> {
    let file = tempfile::NamedTempFile::new().unwrap();
    write(dir, follower(kind), wrong, stamps, file.reopen().unwrap()).unwrap();
    let read = BufReader::new(File::open(file.path()).unwrap());
    Events::new(read).map(Result::unwrap).collect()
}

fn checked(
    checker: &mut Checker,
    kind: StoreKind,
    log: Vec<(Event, Vec<u8>)>,
) -> Result<RunResult, Failure> {
    checker.check_run(follower(kind), log.into_iter().map(Ok))
}

/// A checker after a writer that saved three times.
fn after_three_saves(dir: &Path, kind: StoreKind, wrong: Option<WriterMutant>) -> Checker {
    let mut checker = Checker::default();
    checker.check_mount(&read_tree(dir).unwrap()).unwrap();
    let result = checked(&mut checker, kind, log(dir, kind, wrong, 1..4)).unwrap();
    assert_eq!((result.attempted, result.acknowledged), (3, 3));
    assert!(result.failed.is_none());
    checker
}

/// The newest file of the store.
fn newest(dir: &Path, kind: StoreKind) -> PathBuf {
    let dir = dir.join(follower(kind).name());
    match kind {
        StoreKind::Files => dir.join("00000000000000000003.checkpoint"),
        StoreKind::Slots => dir.join("marks.slots"),
    }
}

#[test]
fn the_simulated_disk_may_leave_what_a_real_directory_holds() {
    for kind in [StoreKind::Files, StoreKind::Slots] {
        let dir = tempfile::tempdir().unwrap();
        let mut checker = after_three_saves(dir.path(), kind, None);
        let left = checker.check_mount(&read_tree(dir.path()).unwrap()).unwrap();
        // The marker is never synced: its name says all.
        assert_eq!((left.unsettled, left.garbage), (1, 0));
        let result = checked(&mut checker, kind, log(dir.path(), kind, None, 4..5)).unwrap();
        assert_eq!(result.outcome, Some(Outcome::Acknowledged));
    }
}

#[test]
fn one_changed_byte_is_not_simulated() {
    for kind in [StoreKind::Files, StoreKind::Slots] {
        let dir = tempfile::tempdir().unwrap();
        let mut checker = after_three_saves(dir.path(), kind, None);
        let path = newest(dir.path(), kind);
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
        let surprise = checker.check_mount(&read_tree(dir.path()).unwrap()).unwrap_err();
        assert!(matches!(surprise, Failure::NotSimulated { .. }), "{surprise}");
    }
}

#[test]
fn skipped_syncs_leave_files_unsettled_unless_they_are_reported() {
    for (wrong, kind, unsettled) in [
        // The marker is never synced.
        (WriterMutant::NoFileSync, StoreKind::Files, 3),
        (WriterMutant::NoDataSync, StoreKind::Slots, 2),
        (WriterMutant::NoDirSync, StoreKind::Files, 1),
        (WriterMutant::SkipsSyncs, StoreKind::Files, 1),
        (WriterMutant::SkipsSyncs, StoreKind::Slots, 1),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut checker = after_three_saves(dir.path(), kind, Some(wrong));
        let left = checker.check_mount(&read_tree(dir.path()).unwrap()).unwrap();
        assert_eq!(left.unsettled, unsettled, "{wrong:?}");
    }
}

#[test]
fn a_lost_name_is_simulated_without_a_directory_sync_and_breaks_a_promise() {
    let dir = tempfile::tempdir().unwrap();
    let mut checker =
        after_three_saves(dir.path(), StoreKind::Files, Some(WriterMutant::NoDirSync));
    fs::remove_file(newest(dir.path(), StoreKind::Files)).unwrap();
    checker.check_mount(&read_tree(dir.path()).unwrap()).unwrap();
    let next = log(dir.path(), StoreKind::Files, None, 4..5);
    let Err(Failure::Broken(violation)) = checked(&mut checker, StoreKind::Files, next) else {
        panic!("an acknowledged save is lost");
    };
    assert_eq!(violation.invariant, Invariant::AcknowledgedSurvives);

    let mut checker = {
        let _ = fs::remove_dir_all(dir.path().join(follower(StoreKind::Files).name()));
        after_three_saves(dir.path(), StoreKind::Files, None)
    };
    fs::remove_file(newest(dir.path(), StoreKind::Files)).unwrap();
    checker.check_mount(&read_tree(dir.path()).unwrap()).unwrap_err();
}

/// A log, with each event changed.
fn changed(mut log: Vec<(Event, Vec<u8>)>, change: fn(&mut Event)) -> Vec<(Event, Vec<u8>)> {
    for (event, _) in &mut log {
        change(event);
    }
    log
}

#[test]
fn every_event_of_a_writer_is_checked_against_the_promises() {
    let broken = |change: fn(&mut Event)| {
        let dir = tempfile::tempdir().unwrap();
        let mut checker = after_three_saves(dir.path(), StoreKind::Files, None);
        checker.check_mount(&read_tree(dir.path()).unwrap()).unwrap();
        let log = changed(log(dir.path(), StoreKind::Files, None, 4..7), change);
        match checked(&mut checker, StoreKind::Files, log) {
            Err(Failure::Broken(violation)) => violation.invariant,
            other => panic!("{other:?}"),
        }
    };
    let temp = broken(|event| {
        if let Event::Recovered { temps, .. } = event {
            temps.push("1.checkpoint.temp-1-1".to_owned());
        }
    });
    assert_eq!(temp, Invariant::OpenRemovesTemps);
    let marks = broken(|event| {
        if let Event::Recovered { stamp, .. } = event {
            *stamp += 1;
        }
    });
    assert_eq!(marks, Invariant::RecoveredWasWritten);
    let again = broken(|event| {
        if let Event::Attempt { generation, .. } = event {
            *generation = 5;
        }
    });
    assert_eq!(again, Invariant::GenerationsRise);
    let failing = broken(|event| {
        if let Event::Saved { .. } = event {
            *event = Event::Failed { not_saved: true, why: "no reason".to_owned() };
        }
    });
    assert_eq!(failing, Invariant::NextSaveSucceeds);
    let silent = broken(|event| {
        if let Event::Recovered { .. } = event {
            *event = Event::Refused { why: "damaged".to_owned() };
        }
    });
    assert_eq!(silent, Invariant::RecoverySucceeds);
}

/// Changes a log so that the last call with this verb failed although it was done.
fn with_failure(log: Vec<(Event, Vec<u8>)>, verb: &str, not_saved: bool) -> Vec<(Event, Vec<u8>)> {
    let mut log = log;
    let is =
        |event: &Event| matches!(event, Event::Call(record) if record.operation.verb() == verb);
    let at = log.iter().rposition(|(event, _)| is(event)).unwrap();
    log.truncate(at + 1);
    if let Event::Call(record) = &mut log[at].0 {
        record.failed = Some("input/output error".to_owned());
    }
    log.push((Event::Failed { not_saved, why: "failed".to_owned() }, Vec::new()));
    log
}

#[test]
fn a_save_in_doubt_may_be_found_and_one_reported_as_not_saved_may_not() {
    for not_saved in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let mut checker = Checker::default();
        checker.check_mount(&read_tree(dir.path()).unwrap()).unwrap();
        let first = log(dir.path(), StoreKind::Files, None, 1..4);
        let result =
            checked(&mut checker, StoreKind::Files, with_failure(first, "sync_dir", not_saved))
                .unwrap();
        assert_eq!((result.attempted, result.acknowledged), (3, 2));
        assert_eq!(result.failed.unwrap().operation, Operation::SyncDir("/files-json-30".into()));
        let found =
            checked(&mut checker, StoreKind::Files, log(dir.path(), StoreKind::Files, None, 4..5));
        match found {
            Ok(result) if !not_saved => assert_eq!(result.outcome, Some(Outcome::New)),
            Err(Failure::Broken(violation)) if not_saved => {
                assert_eq!(violation.invariant, Invariant::NotSavedIsAbsent);
            }
            other => panic!("{not_saved}: {other:?}"),
        }
    }
}

/// The log of two saves that ends with the last call with this verb, which failed.
fn cut_off(dir: &Path, verb: &str) -> (Checker, Vec<(Event, Vec<u8>)>) {
    let mut checker = Checker::default();
    checker.check_mount(&read_tree(dir).unwrap()).unwrap();
    let log = with_failure(log(dir, StoreKind::Files, None, 1..3), verb, true);
    (checker, log)
}

#[test]
fn a_failed_call_may_be_done_or_not() {
    for (verb, all_of_it) in [("rename", true), ("sync_file", false)] {
        let dir = tempfile::tempdir().unwrap();
        let (mut checker, log) = cut_off(dir.path(), verb);
        let created = log.iter().rev().find_map(|(event, _)| match event {
            Event::Call(CallRecord { operation: Operation::Create(path, _), .. }) => {
                Some(path.clone())
            }
            _ => None,
        });
        checked(&mut checker, StoreKind::Files, log).unwrap();
        let done = read_tree(dir.path()).unwrap();
        let new = Path::new("/files-json-30/00000000000000000002.checkpoint");
        let mut not_done = done.clone();
        let bytes = not_done.remove(new).unwrap();
        let bytes = if all_of_it { bytes } else { Entry::File(Vec::new()) };
        not_done.insert(created.unwrap(), bytes);
        assert_eq!(checker.may_leave(&done).is_ok(), all_of_it, "{verb}");
        checker.may_leave(&not_done).unwrap();
    }
}

#[test]
fn what_is_found_after_a_shutdown_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let (mut checker, mut log) = cut_off(dir.path(), "sync_dir");
    log.pop();
    let attempts = log.iter().filter_map(|(event, _)| match *event {
        Event::Attempt { generation, stamp, bytes } => Some((generation, stamp, bytes)),
        _ => None,
    });
    let attempts: Vec<_> = attempts.collect();
    checked(&mut checker, StoreKind::Files, log).unwrap();
    let mut recovers = |(generation, stamp, bytes)| {
        let temps = Vec::new();
        let event = Event::Recovered { generation, stamp, bytes, passed_over: 0, temps };
        checked(&mut checker, StoreKind::Files, vec![(event, Vec::new())])
    };
    // Either checkpoint may be found, but not one now and the other later.
    assert_eq!(recovers(attempts[0]).unwrap().outcome, Some(Outcome::Old));
    assert!(matches!(recovers(attempts[1]), Err(Failure::Broken(_))));
}

#[test]
fn plans_depend_on_the_seed_alone_and_include_every_follower() {
    for kind in [StoreKind::Files, StoreKind::Slots] {
        let plans = |seed| (0..40).map(move |cycle| Plan::of(seed, 1, kind, cycle));
        assert!(plans(1).eq(plans(1)) && !plans(1).eq(plans(2)));
        let turns: Vec<Follower> = plans(1).map(|plan| plan.follower).collect();
        assert!(Follower::all(kind).iter().all(|follower| turns.contains(follower)));
    }
}
