//! Ranges completed above a mark are saved and recovered exactly.

use std::path::Path;

use repl_checkpoint::{
    Codec, FileStore, JsonCodec, OnCorrupt, Recovered, SaveReport, Saved, StoreId, recover,
};
use repl_core::{
    AppliedSet, ApplyWindow, ClaimError, CompleteError, NewShard, SeqRange, Shard, ShardId,
};

use crate::support::{durable, recovered, save, saved_in};

const ONE: ShardId = ShardId(1);
const TWO: ShardId = ShardId(2);

fn range(first: u64, last: u64) -> SeqRange {
    SeqRange::new(first, last)
}

fn shard(follower: &Recovered, shard: ShardId) -> Shard {
    follower.state.shard(shard).unwrap()
}

/// A window in which 1 to 3, 5, 7, 8 and a skipped range are completed.
fn worked_on(follower: &Recovered, id: ShardId) -> ApplyWindow {
    let window = ApplyWindow::new(shard(follower, id), 1 << 20).unwrap();
    for seqno in [8, 2, 5, 1, 7, 3] {
        window.complete(seqno).unwrap();
    }
    window.skip(100_000..=u64::MAX - 1).unwrap();
    window
}

fn with(codec: impl Codec + 'static, dir: &Path) -> Recovered {
    let store = FileStore::open(dir, StoreId::UNNAMED).unwrap();
    recover(store, codec, &[ONE, TWO], OnCorrupt::Fail).unwrap()
}

fn what_is_recorded_is_not_offered_twice(codec: impl Codec + Clone + 'static) {
    let dir = tempfile::tempdir().unwrap();
    let recorded = [range(5, 5), range(7, 8), range(100_000, u64::MAX - 1)];
    let mut follower = with(codec.clone(), dir.path());
    let window = worked_on(&follower, ONE);
    save(&mut follower.checkpointer);
    drop((window, follower));

    let follower = with(codec, dir.path());
    assert_eq!(shard(&follower, ONE).applied_set(), AppliedSet::new(3, recorded));
    assert_eq!(shard(&follower, TWO).applied_set(), AppliedSet::default());
    let window = ApplyWindow::new(shard(&follower, ONE), 1 << 20).unwrap();
    assert_eq!(window.shard().applied_set().above().collect::<Vec<_>>(), recorded);
    assert_eq!(window.shard().applied_set().highest(), u64::MAX - 1);
    for seqno in [1, 3, 5, 7, 8, 100_000, 1_000_000] {
        assert_eq!(window.try_claim(seqno).unwrap_err(), ClaimError::AlreadyCompleted, "{seqno}");
    }
    for seqno in [4, 6] {
        window.try_claim(seqno).unwrap().complete().unwrap();
    }
    assert_eq!(window.shard().applied(), 8);
    for seqno in 9..100_000 {
        window.try_claim(seqno).unwrap().complete().unwrap();
    }
    assert_eq!(window.shard().applied(), u64::MAX - 1);
}

#[test]
fn ranges_completed_in_a_json_checkpoint_are_not_replayed() {
    what_is_recorded_is_not_offered_twice(JsonCodec);
}

#[test]
#[cfg(feature = "bincode")]
fn ranges_completed_in_a_bincode_checkpoint_are_not_replayed() {
    what_is_recorded_is_not_offered_twice(repl_checkpoint::BincodeCodec);
}

#[test]
fn without_a_window_the_mark_passes_over_what_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let mut follower = recovered(dir.path(), &[1]);
    let window = worked_on(&follower, ONE);
    save(&mut follower.checkpointer);
    drop((window, follower));
    let follower = recovered(dir.path(), &[1]);
    let mut offered = Vec::new();
    for seqno in 1..=8 {
        if shard(&follower, ONE).applied() < seqno {
            offered.push(seqno);
            follower.state.advance(ONE, seqno);
        }
    }
    assert_eq!((offered, shard(&follower, ONE).applied()), (vec![4, 6], 8));
}

#[test]
fn ranges_of_a_dropped_window_are_in_the_next_save() {
    let dir = tempfile::tempdir().unwrap();
    let mut follower = recovered(dir.path(), &[1]);
    drop(worked_on(&follower, ONE));
    let generation = save(&mut follower.checkpointer);
    let saved = saved_in(dir.path(), generation).1;
    let recorded = [range(5, 5), range(7, 8), range(100_000, u64::MAX - 1)];
    assert_eq!(*saved.shard(ONE).unwrap().completed, recorded);
}

#[test]
fn a_completion_above_an_unmoved_mark_is_a_change() {
    let dir = tempfile::tempdir().unwrap();
    let mut follower = recovered(dir.path(), &[1]);
    let window = ApplyWindow::new(shard(&follower, ONE), 16).unwrap();
    save(&mut follower.checkpointer);
    save(&mut follower.checkpointer);
    assert_eq!(follower.checkpointer.checkpoint(durable).unwrap(), Saved::Unchanged);
    window.complete(2).unwrap();
    let generation = save(&mut follower.checkpointer);
    let saved = saved_in(dir.path(), generation).1;
    assert_eq!(*saved.shard(ONE).unwrap().completed, [range(2, 2)]);
}

#[test]
fn the_flush_sees_what_is_completed_and_forgets_what_is_not_durable() {
    let dir = tempfile::tempdir().unwrap();
    let mut follower = recovered(dir.path(), &[1, 2]);
    let windows = [ONE, TWO].map(|id| worked_on(&follower, id));
    let flushed = follower.checkpointer.checkpoint(|attempt| {
        assert_eq!(attempt.marks().applied_set(ONE).unwrap().range_count(), 3);
        attempt.drop_above(ONE);
        attempt.lower(TWO, 2);
        Ok(())
    });
    let Ok(Saved::Written(SaveReport { generation, .. })) = flushed else { panic!("{flushed:?}") };
    let saved = saved_in(dir.path(), generation).1;
    let of = |id| (saved.shard(id).unwrap().mark, saved.shard(id).unwrap().completed.len());
    assert_eq!((of(ONE), of(TWO)), ((3, 0), (2, 0)));
    assert_eq!(windows[0].shard().applied_set().range_count(), 3);
}

#[test]
fn the_floors_know_marks_alone() {
    let dir = tempfile::tempdir().unwrap();
    let mut follower = recovered(dir.path(), &[1]);
    let _window = worked_on(&follower, ONE);
    let floors = follower.checkpointer.floors();
    save(&mut follower.checkpointer);
    save(&mut follower.checkpointer);
    assert_eq!(floors.checkpointed(ONE), Some(3));
    assert_eq!(floors.retention_floor(ONE), Some(3));
}

#[test]
fn a_new_incarnation_inherits_no_completed_ranges() {
    let dir = tempfile::tempdir().unwrap();
    let mut follower = recovered(dir.path(), &[1]);
    let window = worked_on(&follower, ONE);
    follower.state.reset_shard(NewShard::new(ONE).with_mark(2));
    assert_eq!(window.complete(4), Err(CompleteError::Removed));
    drop(window);
    let generation = save(&mut follower.checkpointer);
    let saved = saved_in(dir.path(), generation).1;
    let one = saved.shard(ONE).unwrap();
    assert_eq!((one.mark, one.completed.len()), (2, 0));
}
