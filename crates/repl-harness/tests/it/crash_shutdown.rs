//! What a writer tells of a real directory, and how it is judged: here without a shutdown.

use std::fs::{self, File};
use std::io::BufReader;
use std::ops::Range;
use std::path::{Path, PathBuf};

use repl_harness::crash::shutdown::{
    Act, Event, Events, Follower, Judge, Kind, Lived, Made, Outcome, Plan, Surprise, Wrong, write,
};
use repl_harness::crash::{Entry, Invariant, tree_below};

fn follower(kind: Kind) -> Follower {
    Follower::all(kind)[2]
}

fn log(dir: &Path, kind: Kind, wrong: Option<Wrong>, stamps: Range<u64>) -> Vec<(Event, Vec<u8>)> {
    let told = tempfile::NamedTempFile::new().unwrap();
    write(dir, follower(kind), wrong, stamps, told.reopen().unwrap()).unwrap();
    let read = BufReader::new(File::open(told.path()).unwrap());
    Events::new(read).map(Result::unwrap).collect()
}

fn judged(judge: &mut Judge, kind: Kind, log: Vec<(Event, Vec<u8>)>) -> Result<Lived, Surprise> {
    judge.lived(follower(kind), log.into_iter().map(Ok))
}

/// A judge who has seen a writer save three times.
fn after_three_saves(dir: &Path, kind: Kind, wrong: Option<Wrong>) -> Judge {
    let mut judge = Judge::default();
    judge.mounted(&tree_below(dir).unwrap()).unwrap();
    let lived = judged(&mut judge, kind, log(dir, kind, wrong, 1..4)).unwrap();
    assert_eq!((lived.attempted, lived.acknowledged), (3, 3));
    assert!(lived.failed.is_none());
    judge
}

/// The newest file of the store.
fn newest(dir: &Path, kind: Kind) -> PathBuf {
    let dir = dir.join(follower(kind).name());
    match kind {
        Kind::Files => dir.join("00000000000000000003.checkpoint"),
        Kind::Slots => dir.join("marks.slots"),
    }
}

#[test]
fn what_a_directory_holds_is_what_the_simulated_disk_may_leave() {
    for kind in [Kind::Files, Kind::Slots] {
        let dir = tempfile::tempdir().unwrap();
        let mut judge = after_three_saves(dir.path(), kind, None);
        let left = judge.mounted(&tree_below(dir.path()).unwrap()).unwrap();
        assert_eq!((left.unsettled, left.garbage), (0, 0));
        let lived = judged(&mut judge, kind, log(dir.path(), kind, None, 4..5)).unwrap();
        assert_eq!(lived.outcome, Some(Outcome::Acknowledged));
    }
}

#[test]
fn one_other_byte_is_not_what_it_may_leave() {
    for kind in [Kind::Files, Kind::Slots] {
        let dir = tempfile::tempdir().unwrap();
        let mut judge = after_three_saves(dir.path(), kind, None);
        let path = newest(dir.path(), kind);
        let mut bytes = fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&path, bytes).unwrap();
        let surprise = judge.mounted(&tree_below(dir.path()).unwrap()).unwrap_err();
        assert!(matches!(surprise, Surprise::NotSimulated { .. }), "{surprise}");
    }
}

#[test]
fn syncs_that_are_not_made_leave_files_unsettled_unless_they_are_told() {
    for (wrong, kind, unsettled) in [
        (Wrong::NoFileSync, Kind::Files, 2),
        (Wrong::NoDataSync, Kind::Slots, 1),
        (Wrong::NoDirSync, Kind::Files, 0),
        (Wrong::Liar, Kind::Files, 0),
        (Wrong::Liar, Kind::Slots, 0),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let mut judge = after_three_saves(dir.path(), kind, Some(wrong));
        let left = judge.mounted(&tree_below(dir.path()).unwrap()).unwrap();
        assert_eq!(left.unsettled, unsettled, "{wrong:?}");
    }
}

#[test]
fn a_lost_name_is_possible_where_its_directory_was_not_synced_and_breaks_a_promise() {
    let dir = tempfile::tempdir().unwrap();
    let mut judge = after_three_saves(dir.path(), Kind::Files, Some(Wrong::NoDirSync));
    fs::remove_file(newest(dir.path(), Kind::Files)).unwrap();
    judge.mounted(&tree_below(dir.path()).unwrap()).unwrap();
    let next = log(dir.path(), Kind::Files, None, 4..5);
    let Err(Surprise::Broken(violation)) = judged(&mut judge, Kind::Files, next) else {
        panic!("an acknowledged save is lost");
    };
    assert_eq!(violation.invariant, Invariant::AcknowledgedSurvives);

    let mut judge = {
        let _ = fs::remove_dir_all(dir.path().join(follower(Kind::Files).name()));
        after_three_saves(dir.path(), Kind::Files, None)
    };
    fs::remove_file(newest(dir.path(), Kind::Files)).unwrap();
    judge.mounted(&tree_below(dir.path()).unwrap()).unwrap_err();
}

/// A log, with each event changed.
fn changed(mut log: Vec<(Event, Vec<u8>)>, change: fn(&mut Event)) -> Vec<(Event, Vec<u8>)> {
    for (event, _) in &mut log {
        change(event);
    }
    log
}

#[test]
fn what_a_writer_sees_is_held_to_the_promises() {
    let broken = |change: fn(&mut Event)| {
        let dir = tempfile::tempdir().unwrap();
        let mut judge = after_three_saves(dir.path(), Kind::Files, None);
        judge.mounted(&tree_below(dir.path()).unwrap()).unwrap();
        let log = changed(log(dir.path(), Kind::Files, None, 4..7), change);
        match judged(&mut judge, Kind::Files, log) {
            Err(Surprise::Broken(violation)) => violation.invariant,
            other => panic!("{other:?}"),
        }
    };
    let temp = broken(|event| {
        if let Event::Recovered { temps, .. } = event {
            temps.push("1.checkpoint.temp-1-1".to_owned());
        }
    });
    assert_eq!(temp, Invariant::NoTempOutlivesOpen);
    let marks = broken(|event| {
        if let Event::Recovered { stamp, .. } = event {
            *stamp += 1;
        }
    });
    assert_eq!(marks, Invariant::NothingUnwritten);
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
    assert_eq!(failing, Invariant::NextSaveWorks);
    let silent = broken(|event| {
        if let Event::Recovered { .. } = event {
            *event = Event::Refused { why: "damaged".to_owned() };
        }
    });
    assert_eq!(silent, Invariant::RecoveryAnswers);
}

/// The last save fails at this verb; the call itself was done.
fn told_as_failed(
    log: Vec<(Event, Vec<u8>)>,
    verb: &str,
    not_saved: bool,
) -> Vec<(Event, Vec<u8>)> {
    let mut log = log;
    let is = |event: &Event| matches!(event, Event::Call(made) if made.act.verb() == verb);
    let at = log.iter().rposition(|(event, _)| is(event)).unwrap();
    log.truncate(at + 1);
    if let Event::Call(made) = &mut log[at].0 {
        made.failed = Some("input/output error".to_owned());
    }
    log.push((Event::Failed { not_saved, why: "failed".to_owned() }, Vec::new()));
    log
}

#[test]
fn a_save_in_doubt_may_be_found_and_one_that_was_not_saved_may_not() {
    for not_saved in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let mut judge = Judge::default();
        judge.mounted(&tree_below(dir.path()).unwrap()).unwrap();
        let first = log(dir.path(), Kind::Files, None, 1..4);
        let lived =
            judged(&mut judge, Kind::Files, told_as_failed(first, "sync_dir", not_saved)).unwrap();
        assert_eq!((lived.attempted, lived.acknowledged), (3, 2));
        assert_eq!(lived.failed.unwrap().act, Act::SyncDir("/files-json-30".into()));
        let found = judged(&mut judge, Kind::Files, log(dir.path(), Kind::Files, None, 4..5));
        match found {
            Ok(lived) if !not_saved => assert_eq!(lived.outcome, Some(Outcome::New)),
            Err(Surprise::Broken(violation)) if not_saved => {
                assert_eq!(violation.invariant, Invariant::NotSavedLeavesOld);
            }
            other => panic!("{not_saved}: {other:?}"),
        }
    }
}

/// The log of two saves, cut off at the last call with this verb, which failed.
fn cut_off(dir: &Path, verb: &str) -> (Judge, Vec<(Event, Vec<u8>)>) {
    let mut judge = Judge::default();
    judge.mounted(&tree_below(dir).unwrap()).unwrap();
    let log = told_as_failed(log(dir, Kind::Files, None, 1..3), verb, true);
    (judge, log)
}

#[test]
fn a_call_that_failed_may_be_done_or_not() {
    for (verb, all_of_it) in [("rename", true), ("sync_file", false)] {
        let dir = tempfile::tempdir().unwrap();
        let (mut judge, log) = cut_off(dir.path(), verb);
        let created = log.iter().rev().find_map(|(event, _)| match event {
            Event::Call(Made { act: Act::Create(path, _), .. }) => Some(path.clone()),
            _ => None,
        });
        judged(&mut judge, Kind::Files, log).unwrap();
        let done = tree_below(dir.path()).unwrap();
        let new = Path::new("/files-json-30/00000000000000000002.checkpoint");
        let mut not_done = done.clone();
        let bytes = not_done.remove(new).unwrap();
        let bytes = if all_of_it { bytes } else { Entry::File(Vec::new()) };
        not_done.insert(created.unwrap(), bytes);
        assert_eq!(judge.may_leave(&done).is_ok(), all_of_it, "{verb}");
        judge.may_leave(&not_done).unwrap();
    }
}

#[test]
fn what_was_found_after_a_shutdown_stays_found() {
    let dir = tempfile::tempdir().unwrap();
    let (mut judge, mut log) = cut_off(dir.path(), "sync_dir");
    log.pop();
    let attempts = log.iter().filter_map(|(event, _)| match *event {
        Event::Attempt { generation, stamp, bytes } => Some((generation, stamp, bytes)),
        _ => None,
    });
    let attempts: Vec<_> = attempts.collect();
    judged(&mut judge, Kind::Files, log).unwrap();
    let mut recovers = |(generation, stamp, bytes)| {
        let temps = Vec::new();
        let event = Event::Recovered { generation, stamp, bytes, passed_over: 0, temps };
        judged(&mut judge, Kind::Files, vec![(event, Vec::new())])
    };
    // In doubt: either may be found, but not the one now and the other later.
    assert_eq!(recovers(attempts[0]).unwrap().outcome, Some(Outcome::Old));
    assert!(matches!(recovers(attempts[1]), Err(Surprise::Broken(_))));
}

#[test]
fn the_seed_decides_and_every_follower_has_its_turn() {
    for kind in [Kind::Files, Kind::Slots] {
        let plans = |seed| (0..40).map(move |cycle| Plan::of(seed, 1, kind, cycle));
        assert!(plans(1).eq(plans(1)) && !plans(1).eq(plans(2)));
        let turns: Vec<Follower> = plans(1).map(|plan| plan.follower).collect();
        assert!(Follower::all(kind).iter().all(|follower| turns.contains(follower)));
    }
}
