//! No shard is unreferenced while an attempt exists that may hold it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use repl_checkpoint::{Attempt, Checkpoint, Floors, JsonCodec, Recovered, ShardCheckpoint};
use repl_core::{NewShard, ShardId};

use super::{ONE, TWO};
use crate::support::scripted::Scripted;
use crate::support::{STORE, begun, durable, save};

/// A follower of shard 1 that has saved twice without shard 2.
fn without_two() -> (Scripted, Recovered, Floors) {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    save(&mut follower.checkpointer);
    save(&mut follower.checkpointer);
    assert!(floors.is_unreferenced(TWO));
    (store, follower, floors)
}

fn begun_at(follower: &mut Recovered, mark: u64) -> Attempt {
    follower.state.advance(ONE, mark);
    begun(&mut follower.checkpointer)
}

#[test]
fn nothing_is_unreferenced_while_an_attempt_exists() {
    let (_, mut follower, floors) = without_two();
    let attempt = begun_at(&mut follower, 1);
    assert!(!floors.is_unreferenced(TWO));
    drop(attempt);
    assert!(floors.is_unreferenced(TWO));
    let attempt = begun_at(&mut follower, 2);
    assert!(!floors.is_unreferenced(TWO));
    follower.checkpointer.save(attempt).unwrap();
    assert!(floors.is_unreferenced(TWO));
    assert!(!floors.is_unreferenced(ONE));
}

#[test]
fn a_begin_with_nothing_to_save_leaves_nothing_behind() {
    let (_, mut follower, floors) = without_two();
    assert!(follower.checkpointer.begin().unwrap().is_none());
    assert!(floors.is_unreferenced(TWO));
}

#[test]
fn dropping_an_older_attempt_does_not_clear_it() {
    let (_, mut follower, floors) = without_two();
    let old = begun_at(&mut follower, 1);
    let new = begun_at(&mut follower, 2);
    drop(old);
    assert!(!floors.is_unreferenced(TWO));
    drop(new);
    assert!(floors.is_unreferenced(TWO));
}

#[test]
fn neither_dropping_nor_saving_a_newer_attempt_clears_it_while_an_older_one_exists() {
    let (_, mut follower, floors) = without_two();
    let old = begun_at(&mut follower, 1);
    drop(begun_at(&mut follower, 2));
    assert!(!floors.is_unreferenced(TWO));
    for mark in 3..6 {
        let new = begun_at(&mut follower, mark);
        follower.checkpointer.save(new).unwrap();
        assert!(!floors.is_unreferenced(TWO));
    }
    // The refusal uses it up.
    follower.checkpointer.save(old).unwrap_err();
    assert!(floors.is_unreferenced(TWO));
}

#[test]
fn a_leaked_attempt_keeps_it_false_for_ever() {
    let (store, mut follower, floors) = without_two();
    std::mem::forget(begun_at(&mut follower, 1));
    for _ in 0..3 {
        follower.checkpointer.checkpoint(durable).unwrap();
        assert!(!floors.is_unreferenced(TWO));
    }
    follower.checkpointer.reopen(|| store.open()).unwrap();
    for _ in 0..3 {
        follower.checkpointer.checkpoint(durable).unwrap();
        assert!(!floors.is_unreferenced(TWO));
    }
    // It does no other harm.
    assert_eq!(floors.retention_floor(ONE), Some(1));
}

/// One thread saves or drops attempts; the other adds shards, removes them and asks.
#[test]
fn no_save_from_then_on_holds_a_shard_that_is_unreferenced_while_attempts_come_and_go() {
    const ROUNDS: u64 = 20_000;
    let (store, mut follower, floors) = without_two();
    let (state, is_over) = (follower.state.clone(), AtomicBool::new(false));
    let mut unreferenced = BTreeMap::new();
    std::thread::scope(|s| {
        s.spawn(|| {
            // Also if that thread panics.
            let _over = SetOnDrop(&is_over);
            for id in 10..10 + ROUNDS {
                let shard = ShardId(id);
                state.add_shard(NewShard::new(shard)).unwrap();
                if id % 2 == 0 {
                    std::thread::yield_now();
                }
                state.remove_shard(shard);
                if floors.is_unreferenced(shard) {
                    // All but the newest two.
                    unreferenced.insert(shard, store.saves() as u64 - 2);
                }
            }
        });
        for mark in 1.. {
            if is_over.load(SeqCst) {
                break;
            }
            let attempt = begun_at(&mut follower, mark);
            if mark % 3 == 0 {
                s.spawn(|| drop(attempt));
            } else {
                follower.checkpointer.save(attempt).unwrap();
            }
        }
    });
    assert!(!unreferenced.is_empty(), "nothing is shown");
    store.edit(|kept| {
        for (generation, bytes) in &kept[..] {
            let (_, saved) = Checkpoint::unseal(&JsonCodec, STORE, bytes).unwrap();
            for ShardCheckpoint { shard, .. } in saved.shards {
                let older = unreferenced.get(&shard).is_none_or(|older| *generation <= *older);
                assert!(older, "{shard} is unreferenced, and generation {generation} holds it");
            }
        }
    });
}

/// Sets a flag when it is dropped.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

#[test]
fn a_shard_that_only_a_dropped_attempt_held_was_never_referenced() {
    let (_, mut follower, floors) = without_two();
    follower.state.add_shard(NewShard::new(TWO).with_mark(7)).unwrap();
    let attempt = begun(&mut follower.checkpointer);
    assert_eq!(attempt.marks().mark(TWO), Some(7));
    follower.state.remove_shard(TWO);
    assert!(!floors.is_unreferenced(TWO));
    drop(attempt);
    assert!(floors.is_unreferenced(TWO));
}
