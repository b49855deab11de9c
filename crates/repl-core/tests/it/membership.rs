//! Shards are added and removed while other threads read and advance, and nothing is lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::StopAtEnd;
use repl_core::{Advance, NewShard, ReplicationState, ShardId};

#[test]
fn no_advance_is_lost_while_other_shards_come_and_go() {
    let stays = [ShardId(10), ShardId(20)];
    let state = ReplicationState::new(&stays);
    let stop = AtomicBool::new(false);
    thread::scope(|s| {
        let stop_at_end = StopAtEnd(&stop);
        let changers = [0, 1].map(|parity| {
            let (state, stop) = (&state, &stop);
            s.spawn(move || {
                let mut rounds = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    let id = ShardId(rounds * 2 % 40 + 11 + parity * 100);
                    state.add_shard(NewShard::new(id)).unwrap();
                    assert_eq!(state.advance(id, 5), Advance::Advanced { from: 0 });
                    assert_eq!(state.remove_shard(id).unwrap().applied(), 5);
                    rounds += 1;
                }
                rounds
            })
        });
        let advancers = stays.map(|id| {
            let state = &state;
            s.spawn(move || {
                for seqno in 1..=30_000 {
                    let expected = Advance::Advanced { from: seqno - 1 };
                    assert_eq!(state.advance(id, seqno), expected);
                    assert_eq!(state.snapshot().mark(id), Some(seqno));
                }
            })
        });
        for advancer in advancers {
            advancer.join().unwrap();
        }
        drop(stop_at_end);
        for changer in changers {
            assert!(changer.join().unwrap() > 0, "no shard was added and removed meanwhile");
        }
    });
    let shards: Vec<_> = state.snapshot().iter().collect();
    assert_eq!(shards, stays.map(|id| (id, 30_000)));
}

#[test]
fn no_shard_is_lost_when_four_threads_add_at_once() {
    let state = ReplicationState::new(&[]);
    thread::scope(|s| {
        for first in 0..4 {
            let state = &state;
            s.spawn(move || {
                for id in (first..400).step_by(4) {
                    state.add_shard(NewShard::new(ShardId(id)).with_mark(id)).unwrap();
                    assert_eq!(state.applied_seqno(ShardId(id)), Some(id));
                }
            });
        }
    });
    let snapshot = state.snapshot();
    assert!(snapshot.iter().eq((0..400).map(|id| (ShardId(id), id))));
    let mut incarnations: Vec<_> = snapshot.entries().map(|e| e.incarnation).collect();
    incarnations.sort_unstable();
    incarnations.dedup();
    assert_eq!(incarnations.len(), 400, "an incarnation was used twice");
}

#[test]
fn one_thread_wins_each_add_and_each_removal() {
    let state = ReplicationState::new(&[]);
    let id = ShardId(3);
    let (added, removed) = thread::scope(|s| {
        let threads = [(); 4].map(|()| {
            s.spawn(|| {
                let mut won = (0_u64, 0_u64);
                for _ in 0..2_000 {
                    won.0 += u64::from(state.add_shard(NewShard::new(id)).is_ok());
                    won.1 += u64::from(state.remove_shard(id).is_some());
                }
                won
            })
        });
        let all = threads.into_iter().map(|t| t.join().unwrap());
        all.fold((0, 0), |sum, won| (sum.0 + won.0, sum.1 + won.1))
    });
    assert_eq!(added - removed, u64::from(state.shard(id).is_some()));
    assert_eq!(state.snapshot().next_incarnation().0, added, "one incarnation an add");
}

#[test]
fn a_clone_of_a_handle_is_of_the_same_shard() {
    let state = ReplicationState::new(&[1, 2, 3].map(ShardId));
    for id in [1, 2, 3].map(ShardId) {
        let shard = state.shard(id).unwrap();
        let clone = shard.clone();
        shard.advance(id.0 * 10);
        assert_eq!((clone.id(), clone.applied()), (id, id.0 * 10));
    }
}
