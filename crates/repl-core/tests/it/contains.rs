//! `Shard::contains` finds a seqno wherever it is kept: at or below the mark, in the ring, in a
//! range.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::{StopAtEnd, single};
use repl_core::{ApplyWindow, NewShard, Shard, ShardId};

/// Asserts that of all seqnos around those in `applied` just they are contained.
fn contains_just(shard: &Shard, applied: &[u64]) {
    let around = |n: &u64| [n.saturating_sub(1), *n, n.saturating_add(1)];
    for seqno in applied.iter().flat_map(around).chain([0, 1, 2, 1 << 40, u64::MAX]) {
        let expected = seqno <= shard.applied() || applied.contains(&seqno);
        assert_eq!(shard.contains(seqno), expected, "{seqno} in {:?}", shard.applied_set());
        assert_eq!(shard.applied_set().contains(seqno), expected, "{seqno}");
    }
}

#[test]
fn a_seqno_is_contained_once_it_is_at_or_below_the_mark() {
    let (_state, shard) = single();
    contains_just(&shard, &[0]);
    shard.advance(5);
    contains_just(&shard, &[0, 1, 2, 3, 4, 5]);
    shard.advance(u64::MAX);
    assert!(shard.contains(u64::MAX) && shard.contains(6));
}

#[test]
fn a_seqno_is_contained_in_a_range_without_a_window() {
    let (_state, shard) = single();
    shard.complete(5..=6);
    shard.complete(u64::MAX - 3);
    contains_just(&shard, &[5, 6, u64::MAX - 3]);
    shard.advance(4);
    contains_just(&shard, &[u64::MAX - 3]);
}

#[test]
fn a_seqno_is_contained_in_the_ring_and_in_overflow_of_a_window() {
    let (_state, shard) = single();
    let window = ApplyWindow::new(shard.clone(), u64::MAX).unwrap();
    let claim = window.try_claim(7).unwrap();
    for seqno in [3, 16_384, 16_385, 1 << 50] {
        window.complete(seqno).unwrap();
    }
    contains_just(&shard, &[3, 16_384, 16_385, 1 << 50]);
    assert!(!shard.contains(7), "a claim completes nothing");
    claim.complete().unwrap();
    assert!(shard.contains(7));
    window.skip(9..=10).unwrap();
    contains_just(&shard, &[3, 7, 9, 10, 16_384, 16_385, 1 << 50]);
    drop(window);
    contains_just(&shard, &[3, 7, 9, 10, 16_384, 16_385, 1 << 50]);
    shard.advance(20_000);
    contains_just(&shard, &[1 << 50]);
}

#[test]
fn a_lap_of_the_ring_is_not_taken_for_another() {
    let (_state, shard) = single();
    let window = ApplyWindow::new(shard.clone(), 4).unwrap();
    for base in (0..64).step_by(4) {
        window.complete(base + 3).unwrap();
        for seqno in base + 4..base + 30 {
            assert!(!shard.contains(seqno), "{seqno} after {}", base + 3);
        }
        assert!(shard.contains(base + 3) && !shard.contains(base + 2));
        shard.advance(base + 4);
    }
}

#[test]
fn an_ended_incarnation_contains_what_its_mark_has_reached() {
    let (state, shard) = single();
    let window = ApplyWindow::new(shard.clone(), 100).unwrap();
    window.complete(1).unwrap();
    window.complete(3).unwrap();
    shard.complete(200);
    let new = state.reset_shard(NewShard::new(ShardId::SINGLE).with_mark(2)).unwrap();
    assert!(shard.contains(1) && !shard.contains(3) && !shard.contains(200));
    assert!(new.contains(2) && !new.contains(3) && !new.contains(200));
    state.remove_shard(ShardId::SINGLE).unwrap();
    assert!(new.contains(2) && !new.contains(3));
}

/// The seqno moves from a slot to a range as a window closes, and under the mark as it moves on.
#[test]
fn a_completed_seqno_stays_contained_while_it_moves_from_place_to_place() {
    let (_state, shard) = single();
    let newest = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    thread::scope(|s| {
        let _stop_at_end = StopAtEnd(&stop);
        let reader = s.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let seqno = newest.load(Ordering::Acquire);
                assert!(shard.contains(seqno), "{seqno}");
            }
        });
        for base in (0..60_000).step_by(30).take_while(|_| !reader.is_finished()) {
            let window = ApplyWindow::new(shard.clone(), 64).unwrap();
            window.complete(base + 20).unwrap();
            newest.store(base + 20, Ordering::Release);
            if base % 60 == 0 {
                drop(window);
                shard.advance(base + 19);
            } else {
                window.skip(base + 1..=base + 19).unwrap();
                drop(window);
            }
            assert_eq!(shard.applied(), base + 20);
            shard.advance(base + 30);
        }
    });
}

/// A busy lock makes the reader wait between its look at the mark and its look at the ranges.
#[test]
fn a_seqno_in_a_range_stays_contained_while_the_mark_passes_it() {
    let (_state, shard) = single();
    let newest = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    thread::scope(|s| {
        let _stop_at_end = StopAtEnd(&stop);
        let readers = [(); 2].map(|()| {
            s.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seqno = newest.load(Ordering::Acquire);
                    assert!(shard.contains(seqno), "{seqno}");
                }
            })
        });
        s.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let _ = shard.reached(u64::MAX).wait_timeout(Duration::ZERO);
            }
        });
        for base in (0..90_000).step_by(3).take_while(|_| !readers[0].is_finished()) {
            shard.complete(base + 2..=base + 3);
            newest.store(base + 3, Ordering::Release);
            shard.advance(base + 1);
        }
    });
    assert_eq!(shard.applied() % 3, 0);
}
