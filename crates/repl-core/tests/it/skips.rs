//! A skip, an advance from outside and a restored range complete seqnos without a claim.

use std::thread;

use crate::{Queued, above, complete_each, ranges, restored, single};
use repl_core::{Advance, AppliedSet, ApplyWindow, Completion, SeqRange, Shard};

fn window(capacity: u64) -> (ApplyWindow, Shard) {
    let (_state, shard) = single();
    (ApplyWindow::new(shard.clone(), capacity).unwrap(), shard)
}

#[test]
fn a_skip_is_idempotent() {
    let (window, shard) = window(100);
    assert_eq!(window.skip(5..=8), Ok(Completion::Completed { mark: 0 }));
    let again = Ok(Completion::AlreadyCompleted { mark: 0 });
    for part in [5..=8, 5..=5, 6..=7, 8..=8] {
        assert_eq!(window.skip(part), again);
        assert_eq!(above(window.shard()), ranges(&[(5, 8)]));
    }
    assert_eq!(window.skip(1..=4), Ok(Completion::Completed { mark: 8 }));
    assert_eq!(window.skip(1..=8), Ok(Completion::AlreadyCompleted { mark: 8 }));
    assert_eq!((shard.applied(), above(window.shard())), (8, vec![]));
}

#[test]
fn a_skip_below_the_mark_and_an_empty_one_change_nothing() {
    let (window, shard) = window(100);
    shard.advance(9);
    window.complete(12).unwrap();
    let nothing = Ok(Completion::AlreadyCompleted { mark: 9 });
    #[expect(clippy::reversed_empty_ranges, reason = "an empty range is the case under test")]
    for range in [0..=0, 0..=9, 3..=5, 9..=9, 15..=11, 20..=10, 1..=0] {
        assert_eq!(window.skip(range), nothing);
    }
    assert_eq!((shard.applied(), above(window.shard())), (9, ranges(&[(12, 12)])));
}

#[test]
fn a_skip_of_a_completed_seqno_changes_nothing() {
    let (window, shard) = window(100);
    window.complete(3).unwrap();
    assert_eq!(window.skip(3), Ok(Completion::AlreadyCompleted { mark: 0 }));
    assert_eq!(window.skip(4), Ok(Completion::Completed { mark: 0 }));
    assert_eq!(above(&shard), ranges(&[(3, 4)]));
}

#[test]
fn a_skip_from_below_the_mark_goes_on_from_it() {
    let (window, shard) = window(100);
    shard.advance(9);
    assert_eq!(window.skip(0..=11), Ok(Completion::Completed { mark: 11 }));
    assert_eq!((shard.applied(), above(window.shard())), (11, vec![]));
}

#[test]
fn a_skip_next_to_the_mark_wakes_waiters() {
    let (window, shard) = window(100);
    let waiting = [3, 4, 7, 9].map(|seqno| Queued::new(&shard, seqno));
    window.complete(4).unwrap();
    window.skip(5..=7).unwrap();
    assert!(waiting.iter().all(|waiter| waiter.wakes() == 0));
    window.skip(1..=3).unwrap();
    for mut waiter in waiting {
        let woken = waiter.seqno <= 7;
        assert_eq!(waiter.wakes(), usize::from(woken));
        assert_eq!(waiter.poll().is_ready(), woken);
    }
}

#[test]
fn a_skip_joins_what_it_touches() {
    let (window, shard) = window(100);
    for range in [10..=12, 20..=22, 14..=15] {
        window.skip(range).unwrap();
    }
    window.complete(13).unwrap();
    window.complete(9).unwrap();
    assert_eq!(above(window.shard()), ranges(&[(9, 15), (20, 22)]));
    window.skip(16..=19).unwrap();
    assert_eq!(above(window.shard()), ranges(&[(9, 22)]));
    window.skip(7..=30).unwrap();
    assert_eq!((above(&shard), shard.applied_set().highest()), (ranges(&[(7, 30)]), 30));
}

#[test]
fn the_mark_moves_over_alternating_skips_and_completions() {
    let (window, shard) = window(100);
    complete_each(&window, (4..=30).filter(|seqno| seqno % 4 < 2));
    for first in (2..=30).step_by(4) {
        window.skip(first..=first + 1).unwrap();
    }
    assert_eq!(shard.applied(), 0);
    assert_eq!(window.complete(1), Ok(Completion::Completed { mark: 31 }));
    assert_eq!((shard.applied(), above(window.shard())), (31, vec![]));
}

#[test]
fn a_skip_costs_the_same_whatever_its_length() {
    let (window, shard) = window(3);
    assert_eq!(window.skip(2..=u64::MAX), Ok(Completion::Completed { mark: 0 }));
    assert_eq!(
        (above(&shard), shard.applied_set().highest()),
        (ranges(&[(2, u64::MAX)]), u64::MAX)
    );
    for seqno in [2, 3, 1 << 40, u64::MAX] {
        assert!(window.shard().contains(seqno));
    }
    assert_eq!(window.complete(1), Ok(Completion::Completed { mark: u64::MAX }));
    assert_eq!(shard.applied(), u64::MAX);
}

#[test]
fn claims_in_a_skip_stay_with_their_holders() {
    let (window, shard) = window(100);
    let claim = window.try_claim(3).unwrap();
    window.skip(2..=5).unwrap();
    assert_eq!(claim.complete(), Ok(Completion::AlreadyCompleted { mark: 0 }));
    assert_eq!((above(window.shard()), shard.applied()), (ranges(&[(2, 5)]), 0));
}

#[test]
fn seqnos_between_two_records_are_skipped() {
    const STEP: u64 = 4_096;
    let (window, shard) = window(u64::MAX);
    let records = [8, 2, 5, 1, 7, 3, 6, 4].map(|i| i * STEP);
    for record in records {
        window.skip(record - STEP + 1..=record - 1).unwrap();
        window.try_claim(record).unwrap().complete().unwrap();
        assert_eq!(shard.applied() % STEP, 0);
    }
    assert_eq!((shard.applied(), above(window.shard())), (8 * STEP, vec![]));
}

#[test]
fn an_advance_from_outside_counts_as_a_skip_up_to_it() {
    let (window, shard) = window(100);
    let claims = [2, 5].map(|seqno| window.try_claim(seqno).unwrap());
    window.complete(3).unwrap();
    assert_eq!(shard.advance(4), Advance::Advanced { from: 0 });
    assert_eq!((shard.applied(), above(window.shard())), (4, vec![]));
    assert!((0..=4).all(|seqno| window.shard().contains(seqno)) && !window.shard().contains(5));
    let [overtaken, next] = claims;
    assert_eq!(overtaken.complete(), Ok(Completion::AlreadyCompleted { mark: 4 }));
    assert_eq!(next.complete(), Ok(Completion::Completed { mark: 5 }));
}

#[test]
fn an_advance_from_outside_moves_over_what_is_completed_and_wakes() {
    for capacity in [100, u64::MAX] {
        let (window, shard) = window(capacity);
        complete_each(&window, 5..=9);
        window.skip(10..=40_000).unwrap();
        if capacity == u64::MAX {
            complete_each(&window, 40_001..=40_009);
        }
        let last = above(&shard)[0].last();
        let waiting = [3, 4, 9, last, last + 1].map(|seqno| Queued::new(&shard, seqno));
        assert_eq!(shard.advance(3), Advance::Advanced { from: 0 });
        assert_eq!(shard.applied(), 3, "4 is missing");
        assert_eq!(shard.advance(4), Advance::Advanced { from: 3 });
        assert_eq!(shard.applied(), last);
        for mut waiter in waiting {
            let woken = waiter.seqno <= last;
            assert_eq!(waiter.wakes(), usize::from(woken));
            assert_eq!(waiter.poll().is_ready(), woken);
        }
        assert_eq!(shard.advance(last), Advance::Stale { at: last });
        assert_eq!(window.complete(last + 1), Ok(Completion::Completed { mark: last + 1 }));
    }
}

#[test]
fn an_advance_into_the_middle_of_a_completed_range_ends_at_its_end() {
    let (window, shard) = window(100);
    complete_each(&window, 5..=9);
    window.skip(20..=29).unwrap();
    shard.advance(7);
    assert_eq!(shard.applied(), 9);
    shard.advance(25);
    assert_eq!((shard.applied(), above(window.shard())), (29, vec![]));
}

#[test]
fn ranges_completed_on_the_shard_count_in_its_window() {
    let (window, shard) = window(u64::MAX);
    window.complete(7).unwrap();
    shard.complete(SeqRange::new(3, 6));
    shard.complete(SeqRange::new(90_000, 90_009));
    assert_eq!(shard.applied_set(), AppliedSet::new(0, [3..=7, 90_000..=90_009]));
    for seqno in [3, 6, 90_000] {
        assert!(window.shard().contains(seqno) && window.try_claim(seqno).is_err());
        let done = window.complete(seqno);
        assert_eq!(done, Ok(Completion::AlreadyCompleted { mark: 0 }));
    }
    shard.complete(SeqRange::new(0, 2));
    assert_eq!(shard.applied(), 7, "next to the mark it moves it, over the window's 7 too");
    shard.complete(SeqRange::new(5, 4));
    shard.complete(SeqRange::from(0));
    shard.complete(SeqRange::new(2, 7));
    assert_eq!(shard.applied_set(), AppliedSet::new(7, [90_000..=90_009]));
}

/// Completions alternate between the ring and ranges, and four threads close the gaps.
#[test]
fn no_completion_is_left_behind_between_skips_and_completions() {
    const LAST: u64 = 3_000;
    for round in 0..10 {
        let (window, shard) = window(u64::MAX);
        thread::scope(|s| {
            for thread in 0..4 {
                let (window, shard) = (&window, &shard);
                s.spawn(move || {
                    for seqno in (1..=LAST).filter(|seqno| seqno * 7 / 3 % 4 == thread) {
                        complete_somehow(window, shard, seqno, (seqno / 3 + round) % 5);
                    }
                });
            }
        });
        assert_eq!((shard.applied(), above(window.shard())), (LAST, vec![]));
    }
}

fn complete_somehow(window: &ApplyWindow, shard: &Shard, seqno: u64, how: u64) {
    match how {
        0 => _ = window.try_claim(seqno).unwrap().complete().unwrap(),
        1 => _ = window.complete(seqno).unwrap(),
        2 => _ = window.skip(seqno..=seqno).unwrap(),
        3 => shard.complete(SeqRange::from(seqno)),
        _ => {
            if let Advance::Gap { .. } = shard.advance_from(seqno - 1, seqno) {
                window.complete(seqno).unwrap();
            }
        }
    }
}

#[test]
fn the_ranges_of_an_applied_set_are_above_its_mark() {
    const LAST: u64 = 10_000;
    let (window, shard) = window(256);
    thread::scope(|s| {
        let worker = s.spawn(|| {
            for seqno in (2..=LAST).step_by(2) {
                complete_each(&window, [seqno, seqno - 1]);
            }
        });
        while !worker.is_finished() {
            let completed = shard.applied_set();
            let mark = completed.mark();
            assert!(completed.above().all(|range| range.first() > mark + 1), "{completed:?}");
        }
    });
    assert_eq!(shard.applied_set(), AppliedSet::up_to(LAST));
}

#[test]
fn closing_the_gap_before_a_restored_range_moves_the_mark_over_completions_above_it() {
    let window = restored(single().1, 256, &ranges(&[(2, 3), (6, 9)])).unwrap();
    for seqno in [4, 5, 10] {
        window.try_claim(seqno).unwrap().complete().unwrap();
    }
    let done = window.try_claim(1).unwrap().complete();
    assert_eq!(done, Ok(Completion::Completed { mark: 10 }));
    assert_eq!((window.shard().applied(), above(window.shard())), (10, vec![]));
}

#[test]
fn closing_the_gap_before_a_skip_moves_the_mark_over_completions_above_it() {
    let window = ApplyWindow::new(single().1, 256).unwrap();
    window.skip(2..=3).unwrap();
    window.complete(4).unwrap();
    assert_eq!(window.complete(1), Ok(Completion::Completed { mark: 4 }));
    assert_eq!((window.shard().applied(), above(window.shard())), (4, vec![]));
}
