//! Once every completion has returned the mark stands at the end of what is completed, whoever looks
//! at it meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use repl_core::{ApplyWindow, ReplicationState, ShardId};

/// Seqnos of one turn: one that closes the gap, then some completed one by one, then a skip.
const COMPLETED: u64 = 10;
const SKIPPED: u64 = 20;
const TURNS: u64 = 50_000;

#[test]
fn a_snapshot_that_is_stopped_half_way_keeps_no_mark_behind() {
    let state = ReplicationState::single();
    let shard = state.shard(ShardId::SINGLE).unwrap();
    let window = ApplyWindow::new(shard.clone(), 32).unwrap();
    let stop = AtomicBool::new(false);
    let behind = thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let mark = state.snapshot().get(ShardId::SINGLE);
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
