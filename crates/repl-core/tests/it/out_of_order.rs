//! Seqnos are completed in any order, and the mark moves over the contiguous prefix.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use crate::{Queued, above, complete_each, complete_when_room, ends, single};
use repl_core::{AppliedSet, ApplyWindow, Completion, SeqRange, Shard};

fn window(capacity: u64) -> (ApplyWindow, Shard) {
    let (_state, shard) = single();
    (ApplyWindow::new(shard.clone(), capacity).unwrap(), shard)
}

/// A shuffled order, the same every time.
fn shuffled(seqnos: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut all: Vec<u64> = seqnos.collect();
    fastrand::Rng::with_seed(1).shuffle(&mut all);
    all
}

#[test]
fn completing_1_3_2_moves_the_mark_to_1_1_3() {
    let (window, shard) = window(10);
    for (seqno, mark, highest) in [(1, 1, 1), (3, 1, 3), (2, 3, 3)] {
        assert_eq!(window.complete(seqno), Ok(Completion::Completed { mark }));
        assert_eq!((shard.applied(), window.shard().applied_set().highest()), (mark, highest));
        for probe in 0..6 {
            let completed = probe <= mark || probe == highest;
            assert_eq!(window.shard().contains(probe), completed, "{probe} after {seqno}");
        }
    }
    assert_eq!(above(window.shard()), []);
}

#[test]
fn claims_completed_in_the_order_1_3_2_move_the_mark_the_same() {
    let (window, shard) = window(10);
    let claims = [1, 2, 3].map(|seqno| window.try_claim(seqno).unwrap());
    let [one, two, three] = claims;
    assert_eq!(one.complete(), Ok(Completion::Completed { mark: 1 }));
    assert_eq!(three.complete(), Ok(Completion::Completed { mark: 1 }));
    assert_eq!(above(window.shard()), [SeqRange::from(3)]);
    assert_eq!(two.complete(), Ok(Completion::Completed { mark: 3 }));
    assert_eq!(shard.applied(), 3);
}

/// Memory that grew with the distance would be more than any machine has.
#[test]
fn memory_does_not_grow_with_the_distance_from_the_mark() {
    let (window, shard) = window(u64::MAX);
    let seqnos = [1 << 20, 1 << 40, (1 << 63) - 1, 1 << 63, u64::MAX, u64::MAX - 1];
    for seqno in seqnos {
        assert!(!window.shard().contains(seqno));
        let claim = window.try_claim(seqno).unwrap();
        assert!(window.try_claim(seqno).is_err());
        assert_eq!(claim.complete(), Ok(Completion::Completed { mark: 0 }));
        let again = window.complete(seqno);
        assert_eq!(again, Ok(Completion::AlreadyCompleted { mark: 0 }));
        assert!(window.shard().contains(seqno) && !window.shard().contains(seqno - 2));
        assert_eq!(shard.applied_set().highest(), above(&shard).last().unwrap().last());
    }
    let completed = above(&shard);
    assert_eq!(completed.len(), 4, "ranges that touch are joined");
    assert_eq!(completed[3], SeqRange::new(u64::MAX - 1, u64::MAX));
    window.skip(1..=u64::MAX).unwrap();
    assert_eq!((shard.applied(), above(window.shard())), (u64::MAX, vec![]));
}

#[test]
fn shuffled_blocks_bring_the_mark_to_the_last_seqno() {
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
        assert_eq!((shard.applied(), window.shard().applied_set().highest()), (last, last));
        assert_eq!((above(window.shard()), window.shard().contains(last + 1)), (vec![], false));
        drop(window);
        assert_eq!(shard.applied_set(), AppliedSet::up_to(last), "nothing is left in the shard");
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
            assert_eq!((shard.applied(), above(window.shard())), (base + capacity, vec![]));
        }
    }
}

#[test]
fn the_mark_waits_for_the_one_seqno_that_is_withheld() {
    const LAST: u64 = 24_000;
    for (capacity, withheld) in [(LAST, 1), (LAST, 12_345), (u64::MAX, LAST)] {
        let (window, shard) = window(capacity);
        let mut waiter = Queued::new(&shard, withheld);
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
        assert_eq!((waiter.wakes(), waiter.poll()), (0, Poll::Pending));
        let completed = AppliedSet::new(withheld - 1, [withheld + 1..=LAST]);
        assert_eq!(shard.applied_set(), completed);
        let done = window.try_claim(withheld).unwrap().complete();
        assert_eq!(done, Ok(Completion::Completed { mark: LAST }));
        assert_eq!((waiter.wakes(), shard.applied()), (1, LAST));
    }
}

#[test]
fn four_claiming_threads_apply_each_seqno_once() {
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
                            let claim = window.claim(seqno).wait().unwrap();
                            mine.push(claim.seqno());
                            let done = claim.complete();
                            assert!(matches!(done, Ok(Completion::Completed { .. })));
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

/// Two threads close the two halves of a gap at once, over and over.
#[test]
fn no_completion_is_left_behind_where_two_threads_close_a_gap() {
    let (window, shard) = window(4);
    ends(move || {
        thread::scope(|s| {
            for parity in 1..=2 {
                let (window, shard) = (&window, &shard);
                s.spawn(move || {
                    for seqno in (parity..=6_000).step_by(2) {
                        complete_when_room(window, seqno);
                        if seqno % 100 == parity {
                            shard.reached(seqno).wait().unwrap();
                        }
                    }
                });
            }
        });
        assert_eq!((shard.applied(), above(window.shard())), (6_000, vec![]));
    });
}

#[test]
fn closing_a_gap_wakes_the_waiters_above_it() {
    let (window, shard) = window(100);
    let mut all: Vec<_> = (1..=50).map(|seqno| Queued::new(&shard, seqno)).collect();
    complete_each(&window, 2..=40);
    assert!(all.iter().all(|waiter| waiter.wakes() == 0));
    window.complete(1).unwrap();
    for waiter in &mut all {
        assert_eq!(waiter.wakes(), usize::from(waiter.seqno <= 40));
        let expected = if waiter.seqno <= 40 { Poll::Ready(Ok(40)) } else { Poll::Pending };
        assert_eq!(waiter.poll(), expected);
    }
}

#[test]
fn completing_a_seqno_again_changes_nothing() {
    let (window, shard) = window(u64::MAX);
    complete_each(&window, (1..=5).chain([7, 50_000]));
    let before = (shard.applied(), above(window.shard()), window.shard().applied_set().highest());
    for seqno in [0, 1, 5, 7, 50_000] {
        let done = window.complete(seqno);
        assert_eq!(done, Ok(Completion::AlreadyCompleted { mark: 5 }), "{seqno}");
        assert!(window.try_claim(seqno).is_err());
        assert_eq!(
            (shard.applied(), above(window.shard()), window.shard().applied_set().highest()),
            before
        );
    }
}

#[test]
fn at_least_one_of_two_threads_that_complete_a_seqno_completed_it() {
    const LAST: usize = 4_000;
    let (window, shard) = window(64);
    let completed = ends(move || {
        let completed = thread::scope(|s| {
            let threads = [(); 2].map(|()| {
                s.spawn(|| {
                    let by_pairs = (0..LAST as u64).map(|i| (i ^ 1) + 1);
                    let done = by_pairs.map(|seqno| complete_when_room(&window, seqno));
                    done.map(|done| matches!(done, Completion::Completed { .. })).collect()
                })
            });
            threads.map(|thread| -> Vec<bool> { thread.join().unwrap() })
        });
        assert_eq!(shard.applied(), LAST as u64);
        completed
    });
    assert!((0..LAST).all(|i| completed[0][i] || completed[1][i]));
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
            assert_eq!(
                (shard.applied(), window.shard().applied_set().highest()),
                (u64::MAX, u64::MAX)
            );
            assert_eq!(above(window.shard()), []);
            let again = window.complete(u64::MAX);
            assert_eq!(again, Ok(Completion::AlreadyCompleted { mark: u64::MAX }));
            assert!(window.try_claim(u64::MAX).is_err() && window.shard().contains(u64::MAX));
            assert_eq!(shard.reached(u64::MAX).wait_timeout(Duration::ZERO), Ok(u64::MAX));
        }
    }
}
