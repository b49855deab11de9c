//! The verdict at start, over any follower and any log, and the divergence of their epochs.

use repl_core::{AppliedSet, EpochStart, Epochs, LogBounds, LogId, Progress, SeqNo, Verdict};

use crate::choices::Choices;

/// Compares a follower with a log. Checks the verdict against the first of the documented rules that
/// holds, by looking at the epoch of each segment where these are few.
pub fn reconcile(data: &[u8]) {
    let c = &mut Choices::of(data);
    let (ours, log) = (progress(c), bounds(c));
    let verdict = repl_core::reconcile(&ours, &log);
    let text = verdict.to_string();
    assert!(!text.is_empty() && text.len() < 160, "{text}");
    let Progress::Applied { log: id, applied, epochs } = &ours else {
        let expected = match (&ours, log.last_deleted) {
            (Progress::DataWithoutMarks, _) => Verdict::NoProgress,
            (_, 0) => Verdict::Fresh,
            (_, last_deleted) => Verdict::BehindRetention { mark: 0, last_deleted },
        };
        return assert_eq!(verdict, expected);
    };
    let latest = |epochs: &Epochs| epochs.as_slice().iter().map(|start| start.epoch).max();
    let other_log = id.0 != log.log.0 && id.0 != 0 && log.log.0 != 0;
    let stale = latest(&log.epochs).zip(latest(epochs)).filter(|(theirs, ours)| theirs < ours);
    let (mark, last_deleted, last) = (applied.mark(), log.last_deleted, log.last);
    match (verdict, stale) {
        (Verdict::OtherLog { ours, log: theirs }, _) => {
            assert!(other_log && ours == *id && theirs == log.log);
        }
        _ if other_log => panic!("{verdict:?} of another log"),
        (verdict, Some((epoch, latest))) => {
            assert_eq!(verdict, Verdict::StaleLog { epoch, latest });
        }
        (verdict, None) if mark < last_deleted => {
            assert_eq!(verdict, Verdict::BehindRetention { mark, last_deleted });
        }
        (Verdict::Diverged { common }, None) => {
            assert!(!epochs.is_empty() && !log.epochs.is_empty());
            if let Some(common) = common {
                assert!(last_deleted <= common && common <= mark.min(last));
                assert!(common < applied.highest());
            }
        }
        (Verdict::AheadOfLog { applied: highest, last: end }, None) => {
            assert!((highest, end) == (applied.highest(), last) && highest > last);
            agree(applied, epochs, &log.epochs);
        }
        (Verdict::Resume { mark: resumed }, None) => {
            assert!(resumed == mark && applied.highest() <= last);
            agree(applied, epochs, &log.epochs);
        }
        (verdict, None) => panic!("{verdict:?}"),
    }
    divergence(epochs, applied.highest(), &log.epochs, last);
}

/// No applied segment is of one epoch here and of another there.
fn agree(applied: &AppliedSet, ours: &Epochs, theirs: &Epochs) {
    if ours.is_empty() || theirs.is_empty() {
        return;
    }
    // An epoch can differ only from where one begins.
    let begins = ours.as_slice().iter().chain(theirs.as_slice()).map(|start| start.first);
    for seqno in begins.chain([applied.highest()]).filter(|s| *s > 0 && *s <= applied.highest()) {
        let (a, b) = (epoch_of(ours, seqno), epoch_of(theirs, seqno));
        assert!(a.is_none() || b.is_none() || a == b, "segment {seqno} is of {a:?} and {b:?}");
    }
}

fn epoch_of(epochs: &Epochs, seqno: SeqNo) -> Option<u64> {
    epochs.as_slice().iter().rev().find(|start| start.first <= seqno).map(|start| start.epoch)
}

/// The answer is the same from both sides and within both logs. Where both tables give the epoch of
/// every segment, it is the longest common prefix.
fn divergence(ours: &Epochs, our_last: SeqNo, theirs: &Epochs, their_last: SeqNo) {
    let found = ours.find_divergence(our_last, theirs, their_last);
    assert_eq!(found, theirs.find_divergence(their_last, ours, our_last));
    let last = our_last.min(their_last);
    assert!(found.is_none_or(|found| found <= last));
    let whole = |epochs: &Epochs| epochs.as_slice().first().is_some_and(|it| it.first <= 1);
    if last <= 1000 && whole(ours) && whole(theirs) {
        let differ = |seqno: &SeqNo| epoch_of(ours, *seqno) != epoch_of(theirs, *seqno);
        assert_eq!(found, Some((1..=last).find(differ).map_or(last, |seqno| seqno - 1)));
    }
}

fn progress(c: &mut Choices<'_>) -> Progress {
    match c.below(16) {
        14 => Progress::Nothing,
        15 => Progress::DataWithoutMarks,
        _ => {
            let mark = c.number();
            let above = (0..c.below(3)).map(|_| c.number()..=c.number());
            let applied = AppliedSet::new(mark, above.collect::<Vec<_>>());
            Progress::Applied { log: log_id(c), applied, epochs: epochs(c) }
        }
    }
}

fn bounds(c: &mut Choices<'_>) -> LogBounds {
    let last_deleted = if c.rarely(2) { c.number() } else { 0 };
    LogBounds { log: log_id(c), last_deleted, last: c.number(), epochs: epochs(c) }
}

fn log_id(c: &mut Choices<'_>) -> LogId {
    LogId(c.below(16).saturating_sub(13) as u128)
}

/// Up to 7 epochs in ascending order, and what `Epochs` refuses checked against that.
fn epochs(c: &mut Choices<'_>) -> Epochs {
    let mut starts: Vec<EpochStart> = Vec::new();
    for _ in 0..c.below(8) {
        let before = starts.last().map_or((0, 0), |it| (it.epoch, it.first));
        let small = |c: &mut Choices<'_>| c.below(4) as u64;
        let start = if c.rarely(16) {
            EpochStart { epoch: c.number(), first: c.number() }
        } else {
            let (epoch, first) =
                (before.0.saturating_add(small(c)), before.1.saturating_add(small(c)));
            EpochStart { epoch, first }
        };
        let ascends = starts.is_empty() || before.0 < start.epoch && before.1 < start.first;
        let pair = starts.last().copied().into_iter().chain([start]);
        assert_eq!(Epochs::new(pair).is_ok(), ascends);
        if ascends {
            starts.push(start);
        }
    }
    let epochs = Epochs::new(starts.iter().copied()).unwrap();
    assert_eq!(epochs.as_slice(), starts);
    if c.rarely(4) { assigned(&epochs, c) } else { epochs }
}

/// The epochs after another one has begun, or as they were if it is refused.
fn assigned(epochs: &Epochs, c: &mut Choices<'_>) -> Epochs {
    let start = EpochStart { epoch: c.number(), first: c.number() };
    let is_new = epochs.latest().is_none_or(|latest| latest.epoch < start.epoch);
    let result = epochs.assign(start);
    assert_eq!(result.is_ok(), is_new);
    let Ok(next) = result else { return epochs.clone() };
    let kept = epochs.as_slice().iter().filter(|it| it.first < start.first).copied();
    assert_eq!(next.as_slice(), kept.chain([start]).collect::<Vec<_>>());
    next
}
