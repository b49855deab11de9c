//! At start every follower and every log get a verdict, and the verdict says what to do.

use proptest::prelude::*;
use repl_core::{AppliedSet, Epochs, LogBounds, LogId, Progress, SeqRange, Verdict, reconcile};

use crate::epochs::epochs;

const LOG: LogId = LogId(7);

/// A log of segments 41 to 150: epoch 3 from 1, epoch 5 from 120.
fn log() -> LogBounds {
    LogBounds { log: LOG, last_deleted: 40, last: 150, epochs: epochs([(3, 1), (5, 120)]) }
}

fn applied(mark: u64, epochs: Epochs) -> Progress {
    Progress::Applied { log: LOG, applied: AppliedSet::up_to(mark), epochs }
}

fn against_log(mark: u64, epochs: Epochs) -> Verdict {
    reconcile(&applied(mark, epochs), &log())
}

#[test]
fn a_new_follower_begins_with_the_first_segment_if_the_log_has_it() {
    let whole = LogBounds { last_deleted: 0, ..log() };
    assert_eq!(reconcile(&Progress::Nothing, &whole), Verdict::Fresh);
    assert_eq!(reconcile(&Progress::Nothing, &LogBounds::default()), Verdict::Fresh);
    let behind = Verdict::BehindRetention { mark: 0, last_deleted: 40 };
    assert_eq!(reconcile(&Progress::Nothing, &log()), behind);
}

/// A libsql replica restarted from 0 (libsql 700).
#[test]
fn data_without_marks_never_begins_again() {
    for log in [log(), LogBounds::default()] {
        assert_eq!(reconcile(&Progress::DataWithoutMarks, &log), Verdict::NoProgress);
    }
}

#[test]
fn a_saved_mark_of_0_is_not_the_same_as_no_mark() {
    let other = LogBounds { log: LogId(8), last_deleted: 0, ..log() };
    let verdict = reconcile(&applied(0, Epochs::default()), &other);
    assert_eq!(verdict, Verdict::OtherLog { ours: LOG, log: LogId(8) });
    let whole = LogBounds { last_deleted: 0, ..log() };
    assert_eq!(reconcile(&applied(0, Epochs::default()), &whole), Verdict::Resume { mark: 0 });
}

#[test]
fn a_mark_resumes_from_the_last_deleted_segment_on() {
    let resumes = |mark| against_log(mark, Epochs::default()) == Verdict::Resume { mark };
    assert!([40, 41, 149, 150].into_iter().all(resumes));
    let behind = Verdict::BehindRetention { mark: 39, last_deleted: 40 };
    assert_eq!(against_log(39, Epochs::default()), behind);
}

/// Seqnos may be log positions: nothing need be between the last deleted and the first kept.
#[test]
fn a_mark_in_a_gap_of_seqnos_is_not_behind() {
    let jumping = LogBounds { last_deleted: 4096, last: 8192, ..LogBounds::default() };
    let verdict = reconcile(&applied(4096, Epochs::default()), &jumping);
    assert_eq!(verdict, Verdict::Resume { mark: 4096 });
}

#[test]
fn a_mark_above_the_last_segment_is_ahead() {
    let ahead = Verdict::AheadOfLog { applied: 151, last: 150 };
    assert_eq!(against_log(151, Epochs::default()), ahead);
    assert_eq!(against_log(151, epochs([(3, 1), (5, 120)])), ahead);
    let above = Progress::Applied {
        log: LOG,
        applied: AppliedSet::new(100, [151..=151]),
        epochs: Epochs::default(),
    };
    assert_eq!(reconcile(&above, &log()), ahead);
}

#[test]
fn a_replaced_tail_is_undone_down_to_the_common_segment() {
    let ours = epochs([(3, 1), (4, 120)]);
    assert_eq!(against_log(125, ours.clone()), Verdict::Diverged { common: Some(119) });
    assert_eq!(against_log(119, ours), Verdict::Resume { mark: 119 });
    assert_eq!(against_log(125, epochs([(3, 1)])), Verdict::Diverged { common: Some(119) });
    assert_eq!(against_log(119, epochs([(3, 1)])), Verdict::Resume { mark: 119 });
    // It is ahead of the log too, but undoing comes first.
    assert_eq!(against_log(200, epochs([(3, 1)])), Verdict::Diverged { common: Some(119) });
}

#[test]
fn a_leader_without_a_segment_of_its_own_replaces_the_tail_too() {
    let log = LogBounds { epochs: epochs([(3, 1), (5, 151)]), ..log() };
    let verdict = reconcile(&applied(160, epochs([(3, 1)])), &log);
    assert_eq!(verdict, Verdict::Diverged { common: Some(150) });
}

#[test]
fn a_log_that_is_empty_but_has_an_epoch_may_differ_all_the_same() {
    let empty = |starts| LogBounds { last: 0, last_deleted: 0, epochs: starts, ..log() };
    let against = |starts| reconcile(&applied(168, epochs([(3, 1)])), &empty(starts));
    assert_eq!(against(epochs([(4, 3)])), Verdict::Diverged { common: Some(0) });
    assert_eq!(against(epochs([(3, 1)])), Verdict::AheadOfLog { applied: 168, last: 0 });
}

#[test]
fn what_is_completed_above_the_mark_diverges_too() {
    let completed = |range: SeqRange| {
        let applied = AppliedSet::new(100, [range]);
        reconcile(&Progress::Applied { log: LOG, applied, epochs: epochs([(3, 1)]) }, &log())
    };
    assert_eq!(completed((110..=119).into()), Verdict::Resume { mark: 100 });
    // Not 119: the segments from 101 to 109 are not applied.
    assert_eq!(completed((110..=120).into()), Verdict::Diverged { common: Some(100) });
}

#[test]
fn a_common_segment_is_of_no_use_where_the_log_has_deleted_the_next_one() {
    let cut = LogBounds { last_deleted: 120, ..log() };
    let ours = epochs([(3, 1), (4, 110)]);
    assert_eq!(reconcile(&applied(125, ours), &cut), Verdict::Diverged { common: None });
    let kept = LogBounds { last_deleted: 109, ..cut };
    let ours = epochs([(3, 1), (4, 110)]);
    assert_eq!(reconcile(&applied(125, ours), &kept), Verdict::Diverged { common: Some(109) });
}

#[test]
fn epochs_that_cannot_tell_count_as_diverged() {
    let cut = LogBounds { epochs: epochs([(5, 120)]), ..log() };
    assert_eq!(
        reconcile(&applied(100, epochs([(3, 1)])), &cut),
        Verdict::Diverged { common: None }
    );
    assert_eq!(reconcile(&applied(100, Epochs::default()), &cut), Verdict::Resume { mark: 100 });
}

#[test]
fn a_log_of_a_replaced_leader_is_not_followed() {
    for mark in [0, 100, 130, 200] {
        let verdict = against_log(mark, epochs([(3, 1), (6, 101)]));
        assert_eq!(verdict, Verdict::StaleLog { epoch: 5, latest: 6 });
    }
    assert_eq!(against_log(100, epochs([(3, 1), (4, 101)])), Verdict::Resume { mark: 100 });
}

#[test]
fn an_unnamed_log_may_be_any_log() {
    let unnamed = LogBounds { log: LogId::UNNAMED, ..log() };
    let verdict = reconcile(&applied(100, Epochs::default()), &unnamed);
    assert_eq!(verdict, Verdict::Resume { mark: 100 });
}

#[test]
fn every_verdict_says_what_to_do() {
    let id = |digits: &str| format!("{digits:0>32}");
    let other = format!("the marks belong to log {}, not to log {}: follow", id("7"), id("8"));
    for (verdict, words) in [
        (Verdict::Fresh, "begin with the first segment"),
        (Verdict::Resume { mark: 9 }, "up to 9 are applied: resume with the next one"),
        (Verdict::BehindRetention { mark: 9, last_deleted: 12 }, "up to 12: take a base copy"),
        (Verdict::AheadOfLog { applied: 9, last: 7 }, "9 is applied, but the log ends at 7: wait"),
        (Verdict::Diverged { common: Some(9) }, "undo them, and reset the shard to 9"),
        (Verdict::Diverged { common: None }, "take a base copy"),
        (Verdict::StaleLog { epoch: 5, latest: 6 }, "but epoch 6 has begun: follow the leader"),
        (Verdict::OtherLog { ours: LogId(7), log: LogId(8) }, &other),
        (Verdict::NoProgress, "restore the marks, or take a base copy"),
    ] {
        let text = verdict.to_string();
        assert!(text.contains(words), "{text}");
        assert!(text.starts_with(|c: char| c.is_lowercase()) && text.len() < 160, "{text}");
    }
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..8_u64, Just(u64::MAX - 1), Just(u64::MAX)]
}

fn any_epochs() -> impl Strategy<Value = Epochs> {
    let starts =
        (prop::collection::btree_set(number(), 0..4), prop::collection::btree_set(number(), 4));
    starts.prop_map(|(epochs, firsts)| {
        let starts = epochs.into_iter().zip(firsts);
        Epochs::new(starts.map(|(epoch, first)| repl_core::EpochStart { epoch, first })).unwrap()
    })
}

proptest! {
    #[test]
    fn any_input_has_a_verdict_and_resuming_is_safe(
        (mark, range) in (number(), (number(), number())),
        (ours, theirs) in (any_epochs(), any_epochs()),
        (last_deleted, last) in (number(), number()),
        ids in (0..3_u64, 0..3_u64),
    ) {
        let applied = AppliedSet::new(mark, [range.0..=range.1]);
        let ours = Progress::Applied { log: ids.0.into(), applied, epochs: ours };
        let log = LogBounds { log: ids.1.into(), last_deleted, last, epochs: theirs };
        let verdict = reconcile(&ours, &log);
        let Progress::Applied { applied, epochs, .. } = &ours else { unreachable!() };
        prop_assert!(!verdict.to_string().is_empty());
        if let Verdict::Resume { mark } = verdict {
            prop_assert_eq!(mark, applied.mark());
            prop_assert!(mark >= last_deleted && applied.highest() <= last);
            prop_assert!(ids.0 == ids.1 || ids.0 == 0 || ids.1 == 0);
            let known = !epochs.is_empty() && !log.epochs.is_empty() && mark > 0;
            for seqno in (1..=applied.highest().min(9)).filter(|s| known && applied.contains(*s)) {
                let both = (epochs.epoch_of(seqno), log.epochs.epoch_of(seqno));
                prop_assert!(!matches!(both, (Some(a), Some(b)) if a != b), "{:?}", both);
            }
        }
        if let Verdict::Diverged { common: Some(common) } = verdict {
            prop_assert!(common >= last_deleted && common <= applied.mark() && common <= last);
            prop_assert!(common < applied.highest());
        }
    }
}
