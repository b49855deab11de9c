//! Once every completion has returned, the mark is at the end of the contiguous prefix; a concurrent
//! reader finds every seqno that was completed before it looked.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use repl_core::{ApplyWindow, ReplicationState, ShardId};

/// The seqnos of one turn: up to `COMPLETED` they are completed one by one, the others skipped.
const COMPLETED: u64 = 10;
const SKIPPED: u64 = 20;
const TURNS: u64 = 50_000;

#[test]
fn concurrent_snapshots_leave_no_mark_behind() {
    let state = ReplicationState::single();
    let shard = state.shard(ShardId::SINGLE).unwrap();
    let window = ApplyWindow::new(shard.clone(), 32).unwrap();
    let stop = AtomicBool::new(false);
    let behind = thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let mark = state.snapshot().mark(ShardId::SINGLE);
                    assert!(mark <= Some(shard.applied()));
                }
            });
        }
        let behind = (0..TURNS).map(|turn| turn * SKIPPED).find(|at| {
            window.skip(at + COMPLETED..=at + SKIPPED).unwrap();
            for seqno in (1..COMPLETED).rev() {
                window.complete(at + seqno).unwrap();
            }
            shard.applied() != at + SKIPPED
        });
        stop.store(true, Ordering::Relaxed);
        behind
    });
    assert_eq!(behind, None);
}

/// The marks of a large state are read one after the other while one of them passes its ranges.
#[test]
fn a_snapshot_holds_what_was_completed_before_it_began() {
    const SHARD: ShardId = ShardId(3);
    let shards: Vec<ShardId> = (0..20_000).map(ShardId).collect();
    let state = ReplicationState::new(&shards);
    let shard = state.shard(SHARD).unwrap();
    for turn in (0..400).map(|turn| turn * 5) {
        shard.complete(turn + 2);
        thread::scope(|scope| {
            let advancer = scope.spawn(|| {
                thread::yield_now();
                shard.advance(turn + 1);
            });
            while !advancer.is_finished() {
                let snapshot = state.snapshot();
                let seen = snapshot.applied_set(SHARD).unwrap();
                assert!(seen.contains(turn + 2), "{seen:?}");
            }
        });
        shard.advance(turn + 5);
    }
}

/// The range comes from outside the window, while it claims.
#[test]
fn a_range_completed_on_the_shard_cannot_be_claimed() {
    let state = ReplicationState::single();
    let shard = state.shard(ShardId::SINGLE).unwrap();
    let window = ApplyWindow::new(shard.clone(), 4).unwrap();
    let (given, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop_at_end = crate::StopAtEnd(&stop);
        // Keeps the shard's lock busy.
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let _ = shard.reached(u64::MAX).wait_timeout(Duration::ZERO);
            }
        });
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let seqno = given.load(Ordering::Acquire);
                if seqno > done.load(Ordering::Relaxed) {
                    shard.complete(seqno);
                    done.store(seqno, Ordering::Release);
                }
            }
        });
        for seqno in (0..20_000).map(|turn| turn * 3 + 3) {
            given.store(seqno, Ordering::Release);
            while !shard.applied_set().contains(seqno) {}
            assert!(window.shard().contains(seqno) && window.try_claim(seqno).is_err(), "{seqno}");
            while done.load(Ordering::Acquire) != seqno {}
            shard.advance(seqno);
        }
    });
}
