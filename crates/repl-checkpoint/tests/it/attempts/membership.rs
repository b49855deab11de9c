//! Shards that are removed and reset around begin and save, and a crash after.

use repl_checkpoint::{Floors, Recovered, Track};
use repl_core::{NewShard, ReplicationState, SeqNo, ShardId, Snapshot};

use super::{ONE, TWO};
use crate::support::scripted::Scripted;
use crate::support::{begun, save};

/// A change of shard 2, which is tracked at 50, saved twice.
struct Change {
    name: &'static str,
    make: fn(&ReplicationState),
    /// Its mark after the change.
    mark: Option<SeqNo>,
}

fn reset_to(state: &ReplicationState, mark: SeqNo) {
    state.reset_shard(NewShard::new(TWO).with_mark(mark));
}

const CHANGES: [Change; 6] = [
    Change { name: "removed", make: |state| drop(state.remove_shard(TWO)), mark: None },
    Change { name: "reset below", make: |state| reset_to(state, 10), mark: Some(10) },
    Change { name: "reset above", make: |state| reset_to(state, 90), mark: Some(90) },
    Change {
        name: "removed and added again",
        make: |state| {
            state.remove_shard(TWO);
            state.add_shard(NewShard::new(TWO).with_mark(10)).unwrap();
        },
        mark: Some(10),
    },
    Change {
        name: "reset and removed",
        make: |state| {
            reset_to(state, 10);
            state.remove_shard(TWO);
        },
        mark: None,
    },
    Change {
        name: "reset twice",
        make: |state| {
            reset_to(state, 90);
            reset_to(state, 10);
        },
        mark: Some(10),
    },
];

fn follower() -> (Scripted, Recovered, Floors) {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1, 2]);
    let floors = follower.checkpointer.floors();
    follower.state.advance(TWO, 50);
    save(&mut follower.checkpointer);
    save(&mut follower.checkpointer);
    follower.state.advance(ONE, 5);
    (store, follower, floors)
}

/// What a process recovers that starts now.
fn after_a_crash(store: &Scripted) -> Snapshot {
    store.copy().track(Track::all()).state.snapshot()
}

#[test]
fn a_crash_after_a_change_between_begin_and_save_restores_what_was_begun() {
    for change in CHANGES {
        let (store, mut follower, floors) = follower();
        let attempt = begun(&mut follower.checkpointer);
        let begun = attempt.marks().clone();
        (change.make)(&follower.state);
        follower.checkpointer.save(attempt).unwrap();
        // The mark of the old incarnation covers its data, which the engine must still have.
        assert_eq!(after_a_crash(&store), begun, "{}", change.name);
        assert!(!floors.is_unreferenced(TWO), "{}", change.name);
        // It says nothing of the new incarnation.
        assert_eq!(floors.checkpointed(TWO), None, "{}", change.name);
        assert_eq!(floors.retention_floor(TWO), None, "{}", change.name);
        assert_eq!(floors.checkpointed(ONE), Some(5), "{}", change.name);
    }
}

#[test]
fn a_crash_after_a_change_before_begin_restores_what_is_now() {
    for change in CHANGES {
        let (store, mut follower, floors) = follower();
        (change.make)(&follower.state);
        let attempt = begun(&mut follower.checkpointer);
        let begun = attempt.marks().clone();
        assert_eq!(begun.mark(TWO), change.mark, "{}", change.name);
        assert_eq!(after_a_crash(&store).mark(TWO), Some(50), "{}", change.name);
        follower.checkpointer.save(attempt).unwrap();
        assert_eq!(after_a_crash(&store), begun, "{}", change.name);
        assert_eq!(floors.checkpointed(TWO), change.mark, "{}", change.name);
        assert_eq!(floors.retention_floor(TWO), None, "{}", change.name);
        assert!(!floors.is_unreferenced(TWO), "{}", change.name);
    }
}

#[test]
fn two_changes_around_begin_are_each_saved_in_their_turn() {
    for before in CHANGES {
        for between in CHANGES {
            let what = format!("{}, then {}", before.name, between.name);
            let (store, mut follower, floors) = follower();
            (before.make)(&follower.state);
            if follower.state.applied_seqno(TWO).is_none() {
                follower.state.add_shard(NewShard::new(TWO).with_mark(70)).unwrap();
            }
            let attempt = begun(&mut follower.checkpointer);
            let begun = attempt.marks().clone();
            (between.make)(&follower.state);
            follower.checkpointer.save(attempt).unwrap();
            assert_eq!(after_a_crash(&store), begun, "{what}");
            assert_eq!(floors.checkpointed(TWO), None, "{what}");
            for _ in 0..2 {
                assert!(!floors.is_unreferenced(TWO), "{what}");
                save(&mut follower.checkpointer);
                assert_eq!(after_a_crash(&store), follower.state.snapshot(), "{what}");
            }
            assert_eq!(floors.is_unreferenced(TWO), between.mark.is_none(), "{what}");
            assert_eq!(floors.retention_floor(TWO), between.mark, "{what}");
        }
    }
}

/// No incarnation is used twice, so a mark of an old one never counts for a new one.
#[test]
fn after_a_crash_a_new_incarnation_is_none_of_those_begun() {
    for change in CHANGES {
        let (store, mut follower, _) = follower();
        let attempt = begun(&mut follower.checkpointer);
        (change.make)(&follower.state);
        follower.checkpointer.save(attempt).unwrap();
        let saved = store.newest().1.next_incarnation;
        let crashed = store.copy().track(Track::all());
        let new = crashed.state.add_shard(NewShard::new(ShardId(9))).unwrap();
        assert!(new.incarnation() >= saved, "{}", change.name);
        let used = crashed.state.shard(TWO).unwrap().incarnation();
        assert!(new.incarnation() > used, "{}", change.name);
    }
}

/// A shard that was reset may be saved lower, but an attempt begun before the reset is still of the
/// old incarnation.
#[test]
fn an_attempt_begun_before_a_reset_is_still_held_to_the_last_save() {
    let (store, mut follower, _) = follower();
    let mut attempt = begun(&mut follower.checkpointer);
    reset_to(&follower.state, 10);
    attempt.lower(TWO, 49);
    follower.checkpointer.save(attempt).unwrap_err();
    assert_eq!(store.mark(2), Some(50));
    let attempt = begun(&mut follower.checkpointer);
    follower.checkpointer.save(attempt).unwrap();
    assert_eq!(store.mark(2), Some(10));
}
