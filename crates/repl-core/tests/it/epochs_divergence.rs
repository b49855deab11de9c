//! The divergence that epochs show is the end of the longest common prefix, or it is not known.

use proptest::collection::vec;
use proptest::prelude::*;
use repl_core::{EpochStart, Epochs};

/// The epoch of each segment, from segment 1 on.
type Log = Vec<u64>;

fn last(log: &Log) -> u64 {
    log.len() as u64
}

/// Where each epoch of a log begins.
fn starts(log: &Log) -> Vec<EpochStart> {
    let mut starts: Vec<EpochStart> = Vec::new();
    for (epoch, first) in log.iter().copied().zip(1..) {
        if starts.last().is_none_or(|start| start.epoch < epoch) {
            starts.push(EpochStart { epoch, first });
        }
    }
    starts
}

fn epochs(starts: Vec<EpochStart>) -> Epochs {
    Epochs::new(starts).unwrap()
}

fn common_prefix(a: &Log, b: &Log) -> u64 {
    a.iter().zip(b).take_while(|(a, b)| a == b).count() as u64
}

/// Adds segments of ascending epochs, all of them odd or all of them even.
fn extend(log: &mut Log, parity: u64, terms: &[(u64, usize)]) {
    for (step, length) in terms {
        let above = log.last().map_or(0, |last| last + 1) + 2 * step;
        let epoch = above + (above + parity) % 2;
        log.extend(std::iter::repeat_n(epoch, *length));
    }
}

fn terms() -> impl Strategy<Value = Vec<(u64, usize)>> {
    vec((0..3_u64, 1..6_usize), 0..5)
}

/// Two logs that share a prefix. No two leaders have the same epoch, so behind the prefix they have
/// no epoch in common; the last one of the prefix goes on in one of them alone.
fn logs() -> impl Strategy<Value = (Log, Log)> {
    (terms(), terms(), terms(), 0..4_usize, any::<bool>()).prop_map(
        |(prefix, ours, theirs, goes_on, swap)| {
            let mut a = Log::new();
            extend(&mut a, 0, &prefix);
            let mut b = a.clone();
            if let Some(epoch) = a.last().copied() {
                a.extend(std::iter::repeat_n(epoch, goes_on));
            }
            extend(&mut a, 0, &ours);
            extend(&mut b, 1, &theirs);
            if swap { (b, a) } else { (a, b) }
        },
    )
}

/// Logs without any rule but that epochs never fall.
fn any_log() -> impl Strategy<Value = Log> {
    vec(0..2_u64, 0..12).prop_map(|steps| {
        let mut epoch = 0;
        let next = |step| {
            epoch += step;
            epoch
        };
        steps.into_iter().map(next).collect()
    })
}

/// A table without some of its first epochs. Some systems move the first that they keep to the first
/// segment that the log still has.
fn cut(log: &Log, dropped: usize, moved: u64) -> Epochs {
    let starts = starts(log);
    let mut kept = starts[dropped.min(starts.len())..].to_vec();
    let end = kept.get(1).map_or(last(log), |next| next.first - 1);
    if let Some(first) = kept.first_mut() {
        first.first = (first.first + moved).min(end);
    }
    epochs(kept)
}

proptest! {
    #[test]
    fn the_divergence_is_the_end_of_the_longest_common_prefix((a, b) in logs()) {
        let (ours, theirs) = (epochs(starts(&a)), epochs(starts(&b)));
        let found = ours.find_divergence(last(&a), &theirs, last(&b));
        prop_assert_eq!(found, Some(common_prefix(&a, &b)));
        prop_assert_eq!(theirs.find_divergence(last(&b), &ours, last(&a)), found);
    }

    #[test]
    fn two_leaders_of_one_epoch_hide_no_difference(a in any_log(), b in any_log()) {
        let (ours, theirs) = (epochs(starts(&a)), epochs(starts(&b)));
        let found = ours.find_divergence(last(&a), &theirs, last(&b));
        prop_assert_eq!(found, Some(common_prefix(&a, &b)));
    }

    #[test]
    fn a_leader_without_a_segment_changes_no_divergence((a, b) in logs()) {
        let next = |log: &Log, parity| {
            let mut epoch = starts(log);
            let above = log.last().map_or(0, |last| last + 1);
            let first = last(log) + 1;
            epoch.push(EpochStart { epoch: 2 * above + parity, first });
            epochs(epoch)
        };
        let found = next(&a, 0).find_divergence(last(&a), &next(&b, 1), last(&b));
        prop_assert_eq!(found, Some(common_prefix(&a, &b)));
    }

    #[test]
    fn tables_that_are_cut_off_never_give_too_much(
        (a, b) in logs(),
        dropped in (0..4_usize, 0..4_usize),
        moved in (0..4_u64, 0..4_u64),
    ) {
        let (ours, theirs) = (cut(&a, dropped.0, moved.0), cut(&b, dropped.1, moved.1));
        let found = ours.find_divergence(last(&a), &theirs, last(&b));
        prop_assert!(found.is_none_or(|found| found == common_prefix(&a, &b)), "{:?}", found);
    }

    #[test]
    fn tables_with_a_common_segment_tell((a, b) in logs(), dropped in (0..4_usize, 0..4_usize)) {
        let (ours, theirs) = (cut(&a, dropped.0, 0), cut(&b, dropped.1, 0));
        let firsts = [&ours, &theirs].map(|it| it.as_slice().first().map(|start| start.first));
        if let [Some(a_first), Some(b_first)] = firsts {
            let found = ours.find_divergence(last(&a), &theirs, last(&b));
            let common = common_prefix(&a, &b);
            let first = a_first.max(b_first);
            prop_assert_eq!(found.is_some(), common >= first || first == 1);
        }
    }
}
