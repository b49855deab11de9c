//! In one incarnation of a shard its mark never falls, whichever threads advance it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};

use crate::StopAtEnd;
use repl_core::{Advance, ReplicationState, Shard, ShardId};

const THREADS: u64 = 4;
const EACH: u64 = 50_000;

#[test]
fn advance_never_moves_backward() {
    let state = ReplicationState::single();
    let shard = state.shard(ShardId::SINGLE).unwrap();
    let mut highest = 0;
    for seqno in [5, 3, 5, 9, 0, 1, 10, 9, u64::MAX, 7] {
        let outcome = shard.advance(seqno);
        let expected = if seqno > highest {
            Advance::Advanced { from: highest }
        } else {
            Advance::Stale { at: highest }
        };
        assert_eq!(outcome, expected);
        highest = highest.max(seqno);
        assert_eq!(shard.applied(), highest);
    }
}

/// Reads until `stop` is set, and asserts that no value is below the one before.
fn watch(read: impl Fn() -> u64, stop: &AtomicBool) {
    let mut last = 0;
    while !stop.load(Ordering::Relaxed) {
        let now = read();
        assert!(now >= last, "fell from {last} to {now}");
        last = now;
    }
}

/// Advances to every fourth seqno, with a stale one after each; returns how often it moved the mark.
fn stride(first: u64, advance: impl Fn(u64) -> Advance, applied: impl Fn() -> u64) -> u64 {
    let mut moved = 0;
    for seqno in (first..=THREADS * EACH).step_by(4) {
        match advance(seqno) {
            Advance::Advanced { from } => {
                assert!(from < seqno);
                moved += 1;
            }
            Advance::Stale { at } => assert!(at >= seqno),
            other => assert!(matches!(other, Advance::Advanced { .. }), "{other:?}"),
        }
        assert!(applied() >= seqno);
        assert!(matches!(advance(seqno / 2), Advance::Stale { .. }));
    }
    moved
}

#[test]
fn four_threads_at_once_end_at_the_maximum_and_no_reader_sees_a_fall() {
    let state = ReplicationState::new(&[ShardId(1), ShardId(2)]);
    let shard = state.shard(ShardId(1)).unwrap();
    let stop = AtomicBool::new(false);
    let moved: u64 = thread::scope(|s| {
        let stop_at_end = StopAtEnd(&stop);
        s.spawn(|| watch(|| shard.applied(), &stop));
        s.spawn(|| watch(|| state.snapshot().mark(ShardId(1)).unwrap(), &stop));
        let by_handle =
            |shard: Shard| move |first| stride(first, |n| shard.advance(n), || shard.applied());
        let by_id = |first| {
            let applied = || state.applied_seqno(ShardId(1)).unwrap();
            stride(first, |n| state.advance(ShardId(1), n), applied)
        };
        let threads = [
            s.spawn({
                let f = by_handle(shard.clone());
                move || f(1)
            }),
            s.spawn({
                let f = by_handle(shard.clone());
                move || f(2)
            }),
            s.spawn(move || by_id(3)),
            s.spawn(move || by_id(4)),
        ];
        let moved = threads.map(ScopedJoinHandle::join);
        drop(stop_at_end);
        moved.into_iter().map(Result::unwrap).sum()
    });
    assert_eq!(shard.applied(), THREADS * EACH);
    assert!((1..=THREADS * EACH).contains(&moved));
    assert_eq!(state.applied_seqno(ShardId(2)), Some(0), "the other shard never moved");
}

#[test]
fn exactly_one_of_many_threads_moves_the_mark_to_each_seqno() {
    let state = ReplicationState::single();
    let shard = state.shard(ShardId::SINGLE).unwrap();
    let moved: u64 = thread::scope(|s| {
        let threads = [(); 4].map(|()| {
            let shard = shard.clone();
            s.spawn(move || {
                let moves = |seqno: &u64| matches!(shard.advance(*seqno), Advance::Advanced { .. });
                (1..=EACH).filter(moves).count() as u64
            })
        });
        threads.into_iter().map(|t| t.join().unwrap()).sum()
    });
    assert_eq!(moved, EACH, "each seqno moved the mark once");
    assert_eq!(shard.applied(), EACH);
}
