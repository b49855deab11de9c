//! A run against a vector of keys, each with its epochs.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;

use super::{KeyRef, Keys, RUN, Run};
use crate::epochs::Epochs;
use crate::ids::{EpochStart, Incarnation, Key, LogId, ShardId};

type Row = (Key, Epochs);

#[derive(Debug, Clone)]
enum Change {
    /// Adds a key, or replaces that of the same shard.
    Set(Row),
    Remove(Index),
    /// Splits the run, and keeps one of the parts.
    Split(Index, bool),
    /// Copies the run without some keys.
    Copy(Index, Index),
    Shrink,
}

fn epochs_of(epoch: u64) -> Epochs {
    Epochs::new((0..epoch).map(|first| EpochStart { epoch: first, first })).unwrap_or_default()
}

/// Mostly the same log and incarnation, and no epochs.
fn row() -> impl Strategy<Value = Row> {
    let others = || prop_oneof![6 => Just(0), 1 => 1..3_u64];
    (0..40_u64, others(), others(), others()).prop_map(|(shard, incarnation, log, epoch)| {
        let (shard, incarnation, log) =
            (ShardId(shard), Incarnation(incarnation), LogId::from(log));
        (Key { shard, incarnation, log }, epochs_of(epoch))
    })
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        8 => row().prop_map(Change::Set),
        4 => at().prop_map(Change::Remove),
        1 => (at(), any::<bool>()).prop_map(|(at, first)| Change::Split(at, first)),
        1 => (at(), at()).prop_map(|(from, to)| Change::Copy(from, to)),
        1 => Just(Change::Shrink),
    ]
}

fn rows_of(run: &Run) -> Vec<Row> {
    let row = |i: usize| {
        let shard = run.shards()[i];
        let key = Key { shard, incarnation: run.incarnation(i), log: run.log(i) };
        (key, run.epochs(shard).cloned().unwrap_or_default())
    };
    (0..run.len()).map(row).collect()
}

fn make(change: Change, run: &mut Run, model: &mut Vec<Row>) {
    match change {
        Change::Set((key, epochs)) => {
            match model.binary_search_by_key(&key.shard, |(key, _)| key.shard) {
                Ok(i) => {
                    run.set(i, key, epochs.clone());
                    model[i] = (key, epochs);
                }
                Err(i) if i == model.len() => {
                    run.push(key, epochs.clone());
                    model.push((key, epochs));
                }
                Err(i) => {
                    run.insert(i, key, epochs.clone());
                    model.insert(i, (key, epochs));
                }
            }
        }
        Change::Remove(at) if !model.is_empty() => {
            let i = at.index(model.len());
            run.remove(i);
            model.remove(i);
        }
        Change::Remove(_) => {}
        Change::Split(at, first) => {
            let i = at.index(model.len() + 1);
            let (rest, rest_of_model) = (run.split_off(i), model.split_off(i));
            if !first {
                (*run, *model) = (rest, rest_of_model);
            }
        }
        Change::Copy(from, to) => {
            let (a, b) = (from.index(model.len() + 1), to.index(model.len() + 1));
            let gap = a.min(b)..a.max(b);
            let mut copy = Run::with_room(0);
            copy.extend(run, 0..gap.start);
            copy.extend(run, gap.end..run.len());
            *run = copy;
            model.drain(gap);
        }
        Change::Shrink => run.shrink(),
    }
}

proptest! {
    #[test]
    fn a_run_has_the_keys_of_a_vector(changes in prop::collection::vec(change(), 1..150)) {
        let (mut run, mut model) = (Run::default(), Vec::new());
        for change in changes {
            make(change, &mut run, &mut model);
            prop_assert_eq!(rows_of(&run), &*model);
        }
    }
}

fn key_of(shard: usize, incarnation: u64) -> Key {
    Key { shard: ShardId(shard as u64), incarnation: Incarnation(incarnation), log: LogId::UNNAMED }
}

#[test]
fn what_all_keys_of_a_run_share_is_kept_once_and_again_after_a_split() {
    let mut run: Run = Run::default();
    (0..100).for_each(|shard| run.push(key_of(shard, 1), Epochs::default()));
    assert_eq!(run.lists(), 0);
    run.set(70, key_of(70, 2), Epochs::default());
    assert_eq!(run.lists(), 1);
    let rest = run.split_off(50);
    run.shrink();
    assert_eq!((run.lists(), rest.lists()), (0, 1));
}

#[test]
fn keys_are_found_in_full_runs_and_in_the_last() {
    let key = |i: usize| (key_of(i * 2, 0), Epochs::default());
    let keys: Keys = (0..RUN * 2 + 3).map(key).collect();
    assert_eq!(keys.runs().map(|run| run.len()).collect::<Vec<_>>(), [RUN, RUN, 3]);
    for i in 0..RUN * 2 + 3 {
        let shard = |number: usize| ShardId(number as u64);
        assert_eq!(keys.find(shard(i * 2)).map(KeyRef::place), Some(i));
        assert!(keys.find(shard(i * 2 + 1)).is_none());
    }
    let mut rest = keys.iter();
    for left in (0..keys.len()).rev() {
        rest.next();
        assert_eq!(rest.len(), left);
    }
    assert!(rest.next().is_none());
}

#[test]
fn full_runs_are_kept_and_others_are_made_full() {
    let key = |i: usize| (key_of(i, 0), Epochs::default());
    let full: Arc<Keys> = Arc::new((0..RUN * 2 + 3).map(key).collect());
    assert!(Arc::ptr_eq(&full.in_full_runs(), &full));
    let halves = full.runs().flat_map(|run| {
        let mut first = Run::clone(run);
        let rest = first.split_off(run.len() / 2);
        [first, rest].map(Arc::new)
    });
    let halves = Arc::new(Keys::of_runs(halves));
    let again = halves.in_full_runs();
    assert_eq!(again.runs().map(|run| run.len()).collect::<Vec<_>>(), [RUN, RUN, 3]);
    assert!(*again == *full && *again == *halves);
}
