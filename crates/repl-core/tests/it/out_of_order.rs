//! Seqnos are completed in any order, and the mark moves over the contiguous prefix of them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use crate::{complete_each, counting, ends, poll, single};
use repl_core::{AppliedSet, ApplyWindow, Completion, SeqRange, Shard};

fn window(capacity: u64) -> (ApplyWindow, Shard) {
    let (_state, shard) = single();
    (ApplyWindow::new(shard.clone(), capacity).unwrap(), shard)
}

/// The same order every time, and none in particular.
fn shuffled(seqnos: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut all: Vec<u64> = seqnos.collect();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for i in (1..all.len()).rev() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        all.swap(i, usize::try_from(random % (i as u64 + 1)).unwrap());
    }
    all
}

#[test]
fn completing_1_3_2_moves_the_mark_to_1_1_3() {
    let (window, shard) = window(10);
    for (seqno, mark, highest) in [(1, 1, 1), (3, 1, 3), (2, 3, 3)] {
        assert_eq!(window.complete(seqno), Ok(Completion::Completed { mark }));
        assert_eq!((shard.applied(), window.highest()), (mark, highest));
        for probe in 0..6 {
            let completed = probe <= mark || probe == highest;
            assert_eq!(window.contains(probe), completed, "{probe} after {seqno}");
        }
    }
    assert_eq!(window.pending(), []);
}

#[test]
fn claims_completed_in_the_order_1_3_2_move_it_the_same() {
    let (window, shard) = window(10);
    let claims = [1, 2, 3].map(|seqno| window.claim(seqno).unwrap());
    let [one, two, three] = claims;
    assert_eq!(one.complete(), Completion::Completed { mark: 1 });
    assert_eq!(three.complete(), Completion::Completed { mark: 1 });
    assert_eq!(window.pending(), [SeqRange::new(3, 3)]);
    assert_eq!(two.complete(), Completion::Completed { mark: 3 });
    assert_eq!(shard.applied(), 3);
}

/// In proportion to the distance it would be more memory than any machine has.
#[test]
fn far_seqnos_cost_no_memory_in_proportion() {
    let (window, shard) = window(u64::MAX);
    let far = [1 << 20, 1 << 40, (1 << 63) - 1, 1 << 63, u64::MAX, u64::MAX - 1];
    for seqno in far {
        assert!(!window.contains(seqno));
        let claim = window.claim(seqno).unwrap();
        assert!(window.claim(seqno).is_err());
        assert_eq!(claim.complete(), Completion::Completed { mark: 0 });
        let again = window.complete(seqno);
        assert_eq!(again, Ok(Completion::AlreadyCompleted { mark: 0 }));
        assert!(window.contains(seqno) && !window.contains(seqno - 2));
        assert_eq!(window.highest(), window.pending().last().unwrap().last);
    }
    let pending = window.pending();
    assert_eq!(pending.len(), 4, "those that touch are one");
    assert_eq!(pending[3], SeqRange::new(u64::MAX - 1, u64::MAX));
    window.skip(1..=u64::MAX).unwrap();
    assert_eq!((shard.applied(), window.pending()), (u64::MAX, vec![]));
}

#[test]
fn blocks_in_shuffled_order_bring_the_mark_to_the_last_wherever_they_begin() {
    for (first, blocks, size) in [(1, 64, 64), (0, 50, 128), (61, 40, 100), (16_380, 9, 4_096)] {
        let (window, shard) = window(u64::MAX);
        shard.advance(first);
        let last = first + blocks * size;
        for block in shuffled(0..blocks) {
            let start = first + block * size;
            for seqno in shuffled(start + 1..=start + size) {
                let done = window.complete(seqno);
                assert!(matches!(done, Ok(Completion::Completed { .. })), "{seqno}: {done:?}");
            }
        }
        assert_eq!((shard.applied(), window.highest()), (last, last));
        assert_eq!((window.pending(), window.contains(last + 1)), (vec![], false));
        drop(window);
        assert_eq!(shard.completed(), AppliedSet::new(last, []), "nothing is left in the shard");
    }
}

#[test]
fn the_mark_passes_the_end_of_the_ring_many_times() {
    for capacity in [1, 2, 4, 5, 64] {
        let (window, shard) = window(capacity);
        for base in (0..400).step_by(usize::try_from(capacity).unwrap()) {
            for seqno in shuffled(base + 1..=base + capacity) {
                assert!(matches!(window.complete(seqno), Ok(Completion::Completed { .. })));
            }
            assert_eq!((shard.applied(), window.pending()), (base + capacity, vec![]));
        }
    }
}

#[test]
fn threads_with_disjoint_subsets_wait_for_the_one_that_is_withheld() {
    const LAST: u64 = 24_000;
    for (capacity, withheld) in [(LAST, 1), (LAST, 12_345), (u64::MAX, LAST)] {
        let (window, shard) = window(capacity);
        let (counter, waker) = counting();
        let mut reached = shard.reached(withheld);
        assert!(poll(&mut reached, &waker).is_pending());
        let order = shuffled((1..=LAST).filter(|seqno| *seqno != withheld));
        thread::scope(|s| {
            for thread in 0..4 {
                let (order, window) = (&order, &window);
                s.spawn(move || {
                    for seqno in order.iter().skip(thread).step_by(4) {
                        let done = window.complete(*seqno);
                        assert!(matches!(done, Ok(Completion::Completed { .. })));
                    }
                });
            }
        });
        assert_eq!(shard.applied(), withheld - 1);
        assert_eq!((counter.count(), poll(&mut reached, &waker)), (0, Poll::Pending));
        let above = SeqRange::new(withheld + 1, LAST);
        let above = if above.is_empty() { vec![] } else { vec![above] };
        assert_eq!(window.pending(), above);
        let done = window.claim(withheld).unwrap().complete();
        assert_eq!(done, Completion::Completed { mark: LAST });
        assert_eq!((counter.count(), shard.applied()), (1, LAST));
    }
}

#[test]
fn four_threads_that_claim_what_is_free_apply_each_seqno_once() {
    const LAST: u64 = 6_000;
    for capacity in [1, 3, 100] {
        let (window, shard) = window(capacity);
        let applied = ends(move || {
            let next = AtomicU64::new(1);
            let applied = thread::scope(|s| {
                let appliers = [(); 4].map(|()| {
                    s.spawn(|| {
                        let mut mine = Vec::new();
                        loop {
                            let seqno = next.fetch_add(1, Ordering::Relaxed);
                            if seqno > LAST {
                                return mine;
                            }
                            let claim = window.claim_blocking(seqno).unwrap();
                            mine.push(claim.seqno());
                            let done = claim.complete();
                            assert!(matches!(done, Completion::Completed { .. }));
                        }
                    })
                });
                appliers.map(|applier| applier.join().unwrap()).concat()
            });
            assert_eq!(shard.applied(), LAST);
            applied
        });
        assert_eq!(applied.len() as u64, LAST);
        assert_eq!(applied.into_iter().collect::<BTreeSet<_>>().len() as u64, LAST);
    }
}

/// Two completers close the two halves of a gap at once, over and over.
#[test]
fn no_completion_is_left_behind_where_two_meet() {
    let (window, shard) = window(4);
    ends(move || {
        thread::scope(|s| {
            for parity in 1..=2 {
                let (window, shard) = (&window, &shard);
                s.spawn(move || {
                    for seqno in (parity..=6_000).step_by(2) {
                        window.complete_blocking(seqno).unwrap();
                        if seqno % 100 == parity {
                            shard.wait_for(seqno).unwrap();
                        }
                    }
                });
            }
        });
        assert_eq!((shard.applied(), window.pending()), (6_000, vec![]));
    });
}

#[test]
fn a_waiter_in_a_gap_is_woken_by_who_closes_it() {
    let (window, shard) = window(100);
    let waiting = |seqno| {
        let (counter, waker) = counting();
        let mut reached = shard.reached(seqno);
        assert!(poll(&mut reached, &waker).is_pending());
        (reached, counter)
    };
    let mut all: Vec<_> = (1..=50).map(waiting).collect();
    complete_each(&window, 2..=40);
    assert!(all.iter().all(|(_, counter)| counter.count() == 0));
    window.complete(1).unwrap();
    for (reached, counter) in &mut all {
        assert_eq!(counter.count(), usize::from(reached.seqno() <= 40));
        let expected = if reached.seqno() <= 40 { Poll::Ready(Ok(40)) } else { Poll::Pending };
        assert_eq!(poll(reached, Waker::noop()), expected);
    }
}

#[test]
fn duplicates_and_what_the_mark_has_passed_change_nothing() {
    let (window, shard) = window(u64::MAX);
    complete_each(&window, (1..=5).chain([7, 50_000]));
    let before = (shard.applied(), window.pending(), window.highest());
    for seqno in [0, 1, 5, 7, 50_000] {
        let done = window.complete(seqno);
        assert_eq!(done, Ok(Completion::AlreadyCompleted { mark: 5 }), "{seqno}");
        assert!(window.claim(seqno).is_err());
        assert_eq!((shard.applied(), window.pending(), window.highest()), before);
    }
}

#[test]
fn of_two_that_complete_the_same_seqno_at_least_one_is_told_that_it_did() {
    const LAST: usize = 4_000;
    let (window, shard) = window(64);
    let told = ends(move || {
        let told = thread::scope(|s| {
            let threads = [(); 2].map(|()| {
                s.spawn(|| {
                    let by_pairs = (0..LAST as u64).map(|i| (i ^ 1) + 1);
                    let done = by_pairs.map(|seqno| window.complete_blocking(seqno).unwrap());
                    done.map(|done| matches!(done, Completion::Completed { .. })).collect()
                })
            });
            threads.map(|thread| -> Vec<bool> { thread.join().unwrap() })
        });
        assert_eq!(shard.applied(), LAST as u64);
        told
    });
    assert!((0..LAST).all(|i| told[0][i] || told[1][i]));
}

#[test]
fn the_last_seqnos_complete_like_any_other() {
    for capacity in [1, 2, 3, 64, u64::MAX] {
        for start in [u64::MAX - 4, u64::MAX - 1] {
            let (window, shard) = window(capacity);
            shard.advance(start);
            let mut left: Vec<_> = (start + 1..=u64::MAX).rev().collect();
            while !left.is_empty() {
                left.retain(|seqno| window.complete(*seqno).is_err());
            }
            assert_eq!((shard.applied(), window.highest()), (u64::MAX, u64::MAX));
            assert_eq!(window.pending(), []);
            let again = window.complete(u64::MAX);
            assert_eq!(again, Ok(Completion::AlreadyCompleted { mark: u64::MAX }));
            assert!(window.claim(u64::MAX).is_err() && window.contains(u64::MAX));
            assert_eq!(shard.wait_for_timeout(u64::MAX, Duration::ZERO), Ok(u64::MAX));
        }
    }
}
