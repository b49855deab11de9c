//! Every checkpoint saves the epochs of every tracked shard, and a crash leaves them with the data.

use repl_checkpoint::{
    CheckpointBytes, FileStore, JsonCodec, OnCorrupt, Recovered, SlotStore, Track, recover,
};
use repl_core::{
    EpochStart, Epochs, LogBounds, LogId, NewShard, Progress, ReplicationState, ShardId, Verdict,
    reconcile,
};

use crate::support::{AnyStore, begun, copy_of, opened, recovered, recovered_from, save, saved_in};

const ONE: ShardId = ShardId(1);
const TWO: ShardId = ShardId(2);
const LOG: LogId = LogId(9);

fn start(epoch: u64, first: u64) -> EpochStart {
    EpochStart { epoch, first }
}

fn epochs<const N: usize>(starts: [(u64, u64); N]) -> Epochs {
    Epochs::new(starts.map(|(epoch, first)| start(epoch, first))).unwrap()
}

fn epochs_survive<S: AnyStore>() {
    let dir = tempfile::tempdir().unwrap();
    let mut follower = recovered_from::<S>(dir.path(), &[1, 2]);
    follower.state.begin_epoch(ONE, start(3, 1)).unwrap().shard.advance(95);
    follower.state.advance(TWO, 7);
    save(&mut follower.checkpointer);
    let begun = follower.state.begin_epoch(ONE, start(4, 91)).unwrap();
    assert_eq!(begun.undo, [(91..=95).into()]);
    save(&mut follower.checkpointer);
    drop(follower);

    let mut follower = recovered_from::<S>(dir.path(), &[1, 2]);
    let table = epochs([(3, 1), (4, 91)]);
    for _ in 0..2 {
        assert_eq!(follower.state.epochs(ONE), Some(table.clone()), "{}", S::NAME);
        assert_eq!(follower.state.epochs(TWO), Some(Epochs::default()));
        assert_eq!(follower.state.applied_seqno(ONE), Some(90));
        follower.state.advance(TWO, 8);
        save(&mut follower.checkpointer);
        drop(follower);
        follower = recovered_from::<S>(dir.path(), &[1, 2]);
    }
}

#[test]
fn epochs_that_begin_in_the_running_state_are_saved_and_recovered() {
    epochs_survive::<FileStore>();
    epochs_survive::<SlotStore>();
}

#[test]
fn an_epoch_that_moves_no_mark_is_something_to_save() {
    let dir = tempfile::tempdir().unwrap();
    let mut follower = recovered(dir.path(), &[1]);
    save(&mut follower.checkpointer);
    save(&mut follower.checkpointer);
    assert!(follower.checkpointer.begin().unwrap().is_none());
    let _ = follower.state.begin_epoch(ONE, start(3, 1)).unwrap();
    let attempt = begun(&mut follower.checkpointer);
    assert_eq!(attempt.marks().epochs(ONE), Some(epochs([(3, 1)])));
    follower.checkpointer.save(attempt).unwrap();
    let saved = saved_in(dir.path(), 3).1.shard(ONE).unwrap().clone();
    assert_eq!(*saved.epochs, [start(3, 1)]);
}

#[test]
fn a_missing_shard_begins_with_the_epochs_of_its_base_copy() {
    let dir = tempfile::tempdir().unwrap();
    let new = || NewShard::new(ONE).with_mark(40).with_log(LOG).with_epochs(epochs([(3, 1)]));
    let start_with = |new: NewShard| {
        let track = Track::all().or_start([new]);
        recover(opened::<FileStore>(dir.path()), JsonCodec, track, OnCorrupt::Fail).unwrap()
    };
    let mut follower = start_with(new());
    assert_eq!(follower.state.epochs(ONE), Some(epochs([(3, 1)])));
    save(&mut follower.checkpointer);
    drop(follower);
    // What is saved counts, whatever is given.
    let follower = start_with(new().with_epochs(epochs([(9, 9)])));
    assert_eq!(follower.state.epochs(ONE), Some(epochs([(3, 1)])));
}

#[test]
fn an_orphan_that_is_tracked_again_may_go_on_with_its_epochs() {
    let dir = tempfile::tempdir().unwrap();
    let mut follower = recovered(dir.path(), &[1, 2]);
    let _ = follower.state.begin_epoch(TWO, start(3, 1)).unwrap();
    save(&mut follower.checkpointer);
    drop(follower);
    let mut follower = recovered(dir.path(), &[1]);
    assert_eq!(follower.state.epochs(TWO), None);
    let orphan = follower.checkpointer.orphaned_shards()[0].clone();
    assert_eq!(*orphan.epochs, [start(3, 1)]);
    save(&mut follower.checkpointer);
    let table = Epochs::new(orphan.epochs).unwrap();
    follower.state.add_shard(NewShard::new(TWO).with_epochs(table.clone())).unwrap();
    save(&mut follower.checkpointer);
    drop(follower);
    assert_eq!(recovered(dir.path(), &[1, 2]).state.epochs(TWO), Some(table));
}

#[test]
fn marks_as_bytes_hold_epochs_and_a_transaction_may_begin_one() {
    let state = ReplicationState::new(&[ONE, TWO]);
    state.begin_epoch(ONE, start(3, 1)).unwrap().shard.advance(95);
    let stored = state.to_checkpoint_bytes();
    let back = ReplicationState::from_checkpoint_bytes(&stored, &[ONE, TWO]).unwrap();
    assert_eq!(back.epochs(ONE), Some(epochs([(3, 1)])));
    let (stored, begun) = ReplicationState::next_checkpoint_bytes(&stored, |marks| {
        marks.begin_epoch(ONE, start(4, 91)).map(|begun| begun.undo)
    })
    .unwrap();
    assert_eq!(begun.unwrap(), [(91..=95).into()]);
    let back = ReplicationState::from_checkpoint_bytes(&stored, &[ONE, TWO]).unwrap();
    assert_eq!(back.epochs(ONE), Some(epochs([(3, 1), (4, 91)])));
    assert_eq!((back.applied_seqno(ONE), back.epochs(TWO)), (Some(90), Some(Epochs::default())));
}

/// Kafka 13230: the high watermark moved before the diverged tail was cut.
#[test]
fn a_crash_between_the_undoing_and_the_save_is_found_to_have_diverged() {
    let log = LogBounds { last: 120, epochs: epochs([(3, 1), (4, 91)]), ..LogBounds::default() };
    let verdict = |follower: &Recovered| {
        let entry = follower.state.snapshot().entry(ONE).unwrap();
        reconcile(&Progress::from(entry), &log)
    };
    let dir = tempfile::tempdir().unwrap();
    let mut follower = recovered(dir.path(), &[1]);
    follower.state.begin_epoch(ONE, start(3, 1)).unwrap().shard.advance(95);
    save(&mut follower.checkpointer);
    assert_eq!(verdict(&follower), Verdict::Diverged { common: Some(90) });
    let _ = follower.state.begin_epoch(ONE, start(4, 91)).unwrap();
    assert_eq!(verdict(&follower), Verdict::Resume { mark: 90 });

    let crashed = copy_of(dir.path());
    let again = recovered(crashed.path(), &[1]);
    assert_eq!(verdict(&again), Verdict::Diverged { common: Some(90) });
    save(&mut follower.checkpointer);
    let crashed = copy_of(dir.path());
    let again = recovered(crashed.path(), &[1]);
    assert_eq!(verdict(&again), Verdict::Resume { mark: 90 });
}
