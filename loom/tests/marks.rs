//! One mark: publication, and that it never falls.

use crate::{Advance, Ordering, apply, check, data, one_shard, step, thread};

#[test]
fn a_mark_publishes_what_was_written_before_the_advance() {
    check(|| {
        let (_state, shard) = one_shard();
        let written = data();
        let applier = apply(&written, &shard, 1);
        if step(|| shard.applied()) == 1 {
            assert_eq!(written.load(Ordering::Relaxed), 1);
        }
        assert_eq!(applier.join().unwrap(), Advance::Advanced { from: 0 });
    });
}

#[test]
fn a_later_advance_continues_what_an_earlier_one_published() {
    check(|| {
        let (_state, shard) = one_shard();
        let (first, second) = (data(), data());
        let to_1 = apply(&first, &shard, 1);
        let to_2 = apply(&second, &shard, 2);
        let mark = step(|| shard.applied());
        let saw_first = first.load(Ordering::Relaxed) == 1;
        let saw_second = second.load(Ordering::Relaxed) == 2;
        let (to_1, to_2) = (to_1.join().unwrap(), to_2.join().unwrap());
        assert!(mark < 2 || saw_second, "a mark of 2 without its data");
        assert!(mark != 1 || saw_first, "a mark of 1 without its data");
        if mark == 2 && to_2 == (Advance::Advanced { from: 1 }) {
            assert_eq!(to_1, Advance::Advanced { from: 0 });
            assert!(saw_first, "a mark of 2 without the data of the advance to 1 under it");
        }
    });
}

#[test]
fn a_thread_that_moves_the_mark_on_observes_what_is_below_it() {
    check(|| {
        let (_state, shard) = one_shard();
        let first = data();
        let to_1 = apply(&first, &shard, 1);
        if step(|| shard.advance(2)) == (Advance::Advanced { from: 1 }) {
            assert_eq!(first.load(Ordering::Relaxed), 1);
        }
        to_1.join().unwrap();
    });
}

#[test]
fn the_mark_never_falls_and_ends_at_the_maximum() {
    check(|| {
        let (_state, shard) = one_shard();
        let advancers = [1, 2].map(|to| {
            let shard = shard.clone();
            thread::spawn(move || {
                let outcome = step(|| shard.advance(to));
                assert!(
                    step(|| shard.applied()) >= to,
                    "fell below what this thread had advanced to"
                );
                outcome
            })
        });
        let (earlier, later) = (step(|| shard.applied()), step(|| shard.applied()));
        assert!(earlier <= later, "fell from {earlier} to {later}");
        let outcomes = advancers.map(|a| a.join().unwrap());
        assert_eq!(step(|| shard.applied()), 2);
        let possible = [
            [Advance::Advanced { from: 0 }, Advance::Advanced { from: 1 }],
            [Advance::Stale { at: 2 }, Advance::Advanced { from: 0 }],
        ];
        assert!(possible.contains(&outcomes), "{outcomes:?}");
    });
}

#[test]
fn one_of_two_advances_to_the_same_seqno_moves_the_mark() {
    check(|| {
        let (_state, shard) = one_shard();
        let advancers = [(); 2].map(|()| {
            let shard = shard.clone();
            thread::spawn(move || step(|| shard.advance(1)))
        });
        let mut outcomes = advancers.map(|a| a.join().unwrap());
        outcomes.sort_by_key(|outcome| *outcome == Advance::Stale { at: 1 });
        assert_eq!(outcomes, [Advance::Advanced { from: 0 }, Advance::Stale { at: 1 }]);
    });
}
