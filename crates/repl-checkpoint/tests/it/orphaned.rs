//! Orphaned shards, ranges and epochs are carried from checkpoint to checkpoint.

use std::path::Path;

use repl_checkpoint::{Checkpoint, Checkpointer, OnCorrupt, Saved, ShardCheckpoint};
use repl_core::{EpochStart, Incarnation, LogId, NewShard, SeqRange, ShardId};

use crate::support::{begun, durable, put, recovered, save, saved_in, sealed, shard, try_recover};

const ONE: ShardId = ShardId(1);
const FIVE: ShardId = ShardId(5);

/// Shards 1 and 5, each with ranges, epochs, a log and an incarnation.
pub(crate) fn detailed() -> Checkpoint {
    let range = |first, last| SeqRange::new(first, last);
    let with_details = |id, mark| ShardCheckpoint {
        log: LogId(7),
        incarnation: Incarnation(3),
        completed: Box::new([range(mark + 2, mark + 4), range(mark + 6, mark + 6)]),
        epochs: Box::new([EpochStart { epoch: 2, first: 1 }, EpochStart { epoch: 4, first: 9 }]),
        ..shard(id, mark)
    };
    Checkpoint {
        next_incarnation: Incarnation(4),
        shards: vec![with_details(1, 10), with_details(5, 50)],
    }
}

fn with_detailed() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), 1, &sealed(1, &detailed()));
    dir
}

/// A shard as the next save holds it.
fn saved(checkpointer: &mut Checkpointer, dir: &Path, shard: ShardId) -> Option<ShardCheckpoint> {
    let generation = save(checkpointer);
    saved_in(dir, generation).1.shard(shard).cloned()
}

#[test]
fn an_orphan_is_kept_whole_through_saves_and_restarts() {
    let dir = with_detailed();
    for mark in 11..14 {
        let mut follower = recovered(dir.path(), &[1]);
        assert_eq!(follower.report.orphaned, [FIVE]);
        assert_eq!(follower.checkpointer.orphaned_shards(), &detailed().shards[1..]);
        assert_eq!(follower.state.applied_seqno(FIVE), None);
        for _ in 0..2 {
            follower.state.advance(ONE, mark);
            let kept = saved(&mut follower.checkpointer, dir.path(), FIVE);
            assert_eq!(kept.as_ref(), detailed().shard(FIVE));
        }
        // The marks alone are unchanged: the orphan must be compared too.
        assert_eq!(follower.checkpointer.checkpoint(durable).unwrap(), Saved::Unchanged);
    }
}

#[test]
fn a_dropped_orphan_is_absent_from_the_next_save() {
    let dir = with_detailed();
    let mut follower = recovered(dir.path(), &[1]);
    save(&mut follower.checkpointer);
    save(&mut follower.checkpointer);
    assert!(!follower.checkpointer.drop_orphan(ONE), "only unnamed shards are forgotten");
    assert!(follower.checkpointer.drop_orphan(FIVE));
    assert!(!follower.checkpointer.drop_orphan(FIVE));
    assert!(follower.checkpointer.orphaned_shards().is_empty());
    for _ in 0..2 {
        assert_eq!(saved(&mut follower.checkpointer, dir.path(), FIVE), None);
    }
    assert_eq!(follower.checkpointer.checkpoint(durable).unwrap(), Saved::Unchanged);
    drop(follower);
    let again = try_recover(dir.path(), &[1, 5], OnCorrupt::Fail).unwrap();
    assert_eq!(again.report.missing, [FIVE]);
}

#[test]
fn a_dropped_orphan_is_unreferenced_after_two_saves() {
    let dir = with_detailed();
    let mut follower = recovered(dir.path(), &[1]);
    let floors = follower.checkpointer.floors();
    for _ in 0..2 {
        save(&mut follower.checkpointer);
        assert!(!floors.is_unreferenced(FIVE));
    }
    follower.checkpointer.drop_orphan(FIVE);
    save(&mut follower.checkpointer);
    assert!(!floors.is_unreferenced(FIVE));
    save(&mut follower.checkpointer);
    assert!(floors.is_unreferenced(FIVE));
}

#[test]
fn an_orphan_dropped_before_the_first_save_is_absent_from_it() {
    let dir = with_detailed();
    let mut follower = recovered(dir.path(), &[1]);
    assert!(follower.checkpointer.drop_orphan(FIVE));
    assert_eq!(saved(&mut follower.checkpointer, dir.path(), FIVE), None);
}

#[test]
fn an_orphan_that_is_added_to_the_state_is_saved_at_its_new_mark() {
    let dir = with_detailed();
    let mut follower = recovered(dir.path(), &[1]);
    save(&mut follower.checkpointer);
    let added = follower.state.add_shard(NewShard::new(FIVE).with_mark(3)).unwrap();
    let now = saved(&mut follower.checkpointer, dir.path(), FIVE).unwrap();
    let expected = ShardCheckpoint { incarnation: added.incarnation(), ..shard(5, 3) };
    assert_eq!(now, expected);
    assert!(follower.checkpointer.orphaned_shards().is_empty());
    // After the engine removes it, it is not restored as it was.
    follower.state.remove_shard(FIVE);
    assert_eq!(saved(&mut follower.checkpointer, dir.path(), FIVE), None);
}

#[test]
fn an_orphan_that_is_added_stays_one_until_a_save_holds_it() {
    let dir = with_detailed();
    let mut follower = recovered(dir.path(), &[1]);
    follower.state.add_shard(NewShard::new(FIVE).with_mark(3)).unwrap();
    follower.checkpointer.checkpoint(|_| Err("no".into())).unwrap_err();
    drop(begun(&mut follower.checkpointer));
    assert_eq!(follower.checkpointer.orphaned_shards(), &detailed().shards[1..]);
    // Removed before any save held it, it is what the store still holds.
    follower.state.remove_shard(FIVE);
    let kept = saved(&mut follower.checkpointer, dir.path(), FIVE);
    assert_eq!(kept.as_ref(), detailed().shard(FIVE));
}

#[test]
fn an_orphan_that_is_tracked_at_begin_and_removed_before_save_is_saved_as_tracked() {
    let dir = with_detailed();
    let mut follower = recovered(dir.path(), &[1]);
    let added = follower.state.add_shard(NewShard::new(FIVE).with_mark(3)).unwrap();
    let attempt = begun(&mut follower.checkpointer);
    follower.state.remove_shard(FIVE);
    follower.checkpointer.save(attempt).unwrap();
    let expected = ShardCheckpoint { incarnation: added.incarnation(), ..shard(5, 3) };
    assert_eq!(saved_in(dir.path(), 2).1.shard(FIVE), Some(&expected));
    assert!(follower.checkpointer.orphaned_shards().is_empty());
    // It is removed, and no orphan comes back in its place.
    assert_eq!(saved(&mut follower.checkpointer, dir.path(), FIVE), None);
    assert_eq!(saved(&mut follower.checkpointer, dir.path(), FIVE), None);
    assert!(follower.checkpointer.floors().is_unreferenced(FIVE));
}

#[test]
fn an_orphan_that_is_tracked_after_begin_is_saved_as_the_orphan_that_it_was() {
    let dir = with_detailed();
    let mut follower = recovered(dir.path(), &[1]);
    let attempt = begun(&mut follower.checkpointer);
    let added = follower.state.add_shard(NewShard::new(FIVE).with_mark(3)).unwrap();
    follower.checkpointer.save(attempt).unwrap();
    assert_eq!(saved_in(dir.path(), 2).1.shard(FIVE), detailed().shard(FIVE));
    assert_eq!(follower.checkpointer.orphaned_shards().len(), 1);
    assert_eq!(follower.checkpointer.floors().checkpointed(FIVE), None);
    let now = saved(&mut follower.checkpointer, dir.path(), FIVE).unwrap();
    assert_eq!((now.mark, now.incarnation), (3, added.incarnation()));
    assert!(follower.checkpointer.orphaned_shards().is_empty());
}

#[test]
fn an_orphan_dropped_between_begin_and_save_is_absent_from_that_save() {
    let dir = with_detailed();
    let mut follower = recovered(dir.path(), &[1]);
    save(&mut follower.checkpointer);
    save(&mut follower.checkpointer);
    follower.state.advance(ONE, 11);
    let attempt = begun(&mut follower.checkpointer);
    assert!(follower.checkpointer.drop_orphan(FIVE));
    assert!(!follower.checkpointer.floors().is_unreferenced(FIVE));
    follower.checkpointer.save(attempt).unwrap();
    assert_eq!(saved_in(dir.path(), 4).1.shard(FIVE), None);
    assert!(!follower.checkpointer.floors().is_unreferenced(FIVE), "generation 3 holds it");
    save(&mut follower.checkpointer);
    assert!(follower.checkpointer.floors().is_unreferenced(FIVE));
}

#[test]
fn dropping_an_orphan_is_something_to_save_though_no_mark_moved() {
    let dir = with_detailed();
    let mut follower = recovered(dir.path(), &[1]);
    save(&mut follower.checkpointer);
    save(&mut follower.checkpointer);
    assert!(follower.checkpointer.begin().unwrap().is_none());
    follower.checkpointer.drop_orphan(FIVE);
    let attempt = begun(&mut follower.checkpointer);
    follower.checkpointer.save(attempt).unwrap();
    assert_eq!(saved_in(dir.path(), 4).1.shard(FIVE), None);
}

#[test]
fn a_superseded_attempt_that_tracked_an_orphan_leaves_it_one() {
    let dir = with_detailed();
    let mut follower = recovered(dir.path(), &[1]);
    follower.state.add_shard(NewShard::new(FIVE).with_mark(3)).unwrap();
    let old = begun(&mut follower.checkpointer);
    follower.state.remove_shard(FIVE);
    let new = begun(&mut follower.checkpointer);
    follower.checkpointer.save(old).unwrap_err();
    follower.checkpointer.save(new).unwrap();
    assert_eq!(saved_in(dir.path(), 2).1.shard(FIVE), detailed().shard(FIVE));
    assert_eq!(follower.checkpointer.orphaned_shards(), &detailed().shards[1..]);
}

#[test]
fn epochs_and_completed_ranges_come_back_and_go_through_saves() {
    let dir = with_detailed();
    let expected = [
        (10, 10, vec![(12, 14), (16, 16)]),
        (11, 14, vec![(16, 16)]),
        (14, 14, vec![(16, 16)]),
        (15, 16, vec![]),
        (u64::MAX, u64::MAX, vec![]),
    ];
    for (advanced, mark, ranges) in expected {
        let mut follower = recovered(dir.path(), &[1, 5]);
        follower.state.advance(ONE, advanced);
        for id in [ONE, FIVE] {
            let now = saved(&mut follower.checkpointer, dir.path(), id).unwrap();
            let before = detailed().shard(id).unwrap().clone();
            assert_eq!((now.epochs, now.log), (before.epochs, before.log));
            assert_eq!(now.incarnation, before.incarnation);
            if id == ONE {
                let completed: Vec<_> =
                    now.completed.iter().map(|r| (r.first(), r.last())).collect();
                assert_eq!((now.mark, completed), (mark, ranges.clone()));
            } else {
                assert_eq!((now.mark, now.completed), (50, before.completed));
            }
        }
    }
}

#[test]
fn a_new_incarnation_inherits_no_ranges_and_no_epochs() {
    let dir = with_detailed();
    let mut follower = recovered(dir.path(), &[1, 5]);
    follower.state.reset_shard(NewShard::new(ONE).with_mark(2));
    let now = saved(&mut follower.checkpointer, dir.path(), ONE).unwrap();
    assert!(now.completed.is_empty() && now.epochs.is_empty());
    follower.state.remove_shard(FIVE);
    assert_eq!(saved(&mut follower.checkpointer, dir.path(), FIVE), None);
}
