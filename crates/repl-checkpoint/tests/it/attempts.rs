//! A checkpoint in two steps: begin, flush in any way, save.

mod dropped;
mod in_doubt;
mod membership;
mod other;
mod unreferenced;

use std::marker::PhantomData;
use std::time::{Duration, Instant};

use repl_checkpoint::{Attempt, CheckpointError, Floors, Saved, Status};
use repl_core::{NewShard, ShardId};

use crate::support::scripted::Scripted;
use crate::support::{begun, durable, save};

const ONE: ShardId = ShardId(1);
const TWO: ShardId = ShardId(2);

const _: () = {
    const fn owned_and_sent<T: Send + 'static>() {}
    owned_and_sent::<Attempt>();
};

#[test]
fn an_attempt_cannot_be_cloned() {
    struct Is<T>(PhantomData<T>);
    trait Otherwise {
        fn cloned(&self) -> bool {
            false
        }
    }
    impl<T> Otherwise for Is<T> {}
    // A method of the type goes before one of a trait.
    impl<T: Clone> Is<T> {
        fn cloned(&self) -> bool {
            let Is(PhantomData) = self;
            true
        }
    }
    assert!(!Is::<Attempt>(PhantomData).cloned());
    assert!(Is::<Floors>(PhantomData).cloned());
}

#[test]
fn an_attempt_is_flushed_and_saved_on_other_threads() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1, 2]);
    follower.state.advance(ONE, 5);
    follower.state.advance(TWO, 7);
    let mut attempt = begun(&mut follower.checkpointer);
    let flush = move || {
        assert_eq!(attempt.marks().mark(TWO), Some(7));
        attempt.lower(ONE, 4);
        attempt
    };
    let attempt = std::thread::spawn(flush).join().unwrap();
    let mut checkpointer = follower.checkpointer;
    let saved = std::thread::spawn(move || checkpointer.save(attempt)).join().unwrap();
    assert!(matches!(saved, Ok(Saved::Written(_))), "{saved:?}");
    assert_eq!((store.mark(1), store.mark(2)), (Some(4), Some(7)));
}

#[test]
fn what_is_applied_after_begin_is_left_to_the_next_attempt() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    follower.state.advance(ONE, 5);
    let attempt = begun(&mut follower.checkpointer);
    follower.state.advance(ONE, 9);
    follower.checkpointer.save(attempt).unwrap();
    assert_eq!(store.mark(1), Some(5));
    assert_eq!(begun(&mut follower.checkpointer).marks().mark(ONE), Some(9));
}

#[test]
fn begin_calls_no_store_and_moves_no_floor() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    follower.state.advance(ONE, 5);
    let attempt = begun(&mut follower.checkpointer);
    assert_eq!(store.take_events(), [""; 0]);
    assert_eq!(floors.checkpointed(ONE), None);
    follower.checkpointer.save(attempt).unwrap();
    assert_eq!(floors.checkpointed(ONE), Some(5));
}

#[test]
fn begin_is_none_if_the_last_two_saves_hold_the_marks_and_that_is_a_success() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    save(&mut follower.checkpointer);
    save(&mut follower.checkpointer);
    // A failure before shows that the next success is seen.
    follower.state.advance(ONE, 1);
    let mut attempt = begun(&mut follower.checkpointer);
    attempt.lower(ONE, 0);
    drop(attempt);
    assert!(matches!(floors.health().status, Status::Failing { .. }));
    for _ in 0..2 {
        save(&mut follower.checkpointer);
    }
    let before = Instant::now();
    assert!(follower.checkpointer.begin().unwrap().is_none());
    let health = floors.health();
    assert_eq!((health.status, health.running_since), (Status::Good, None));
    assert!(health.last_success.is_some_and(|at| at >= before));
    assert_eq!(store.saves(), 4);
}

#[test]
fn after_lowering_it_is_decided_again_whether_anything_is_to_be_saved() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    follower.state.advance(ONE, 5);
    save(&mut follower.checkpointer);
    save(&mut follower.checkpointer);
    store.take_events();
    follower.state.advance(ONE, 9);
    let mut attempt = begun(&mut follower.checkpointer);
    attempt.lower(ONE, 5);
    assert_eq!(follower.checkpointer.save(attempt).unwrap(), Saved::Unchanged);
    assert_eq!(store.take_events(), [""; 0]);
    assert_eq!(follower.checkpointer.floors().health().status, Status::Good);
}

#[test]
fn a_mark_lowered_below_the_last_save_is_refused_at_save_and_writes_nothing() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1, 2]);
    let floors = follower.checkpointer.floors();
    follower.state.advance(TWO, 50);
    save(&mut follower.checkpointer);
    save(&mut follower.checkpointer);
    follower.state.advance(ONE, 5);
    follower.state.advance(TWO, 60);
    store.take_events();
    let mut attempt = begun(&mut follower.checkpointer);
    attempt.lower(TWO, 49);
    let error = follower.checkpointer.save(attempt).unwrap_err();
    assert!(
        matches!(error, CheckpointError::BelowLastSave { shard: TWO, saved: 50, lowered: 49 }),
        "{error}"
    );
    assert!(!error.is_poisoning());
    assert_eq!(store.take_events(), [""; 0]);
    assert_eq!((floors.checkpointed(ONE), floors.checkpointed(TWO)), (Some(0), Some(50)));
    assert!(matches!(floors.health().status, Status::Failing { failures: 1, .. }));
    // No number was used up.
    assert_eq!(save(&mut follower.checkpointer), 3);
}

#[test]
fn a_mark_can_only_be_lowered_and_no_shard_be_added() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    follower.state.advance(ONE, 5);
    let mut attempt = begun(&mut follower.checkpointer);
    attempt.lower(ONE, 99);
    attempt.lower(TWO, 3);
    attempt.drop_above(TWO);
    assert_eq!(attempt.marks().iter().collect::<Vec<_>>(), [(ONE, 5)]);
    follower.checkpointer.save(attempt).unwrap();
    assert_eq!((store.mark(1), store.mark(2)), (Some(5), None));
}

#[test]
fn a_lowered_attempt_keeps_the_ranges_of_the_other_shards() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1, 2]);
    for shard in [ONE, TWO] {
        follower.state.shard(shard).unwrap().complete(3..=4);
    }
    let mut attempt = begun(&mut follower.checkpointer);
    attempt.drop_above(ONE);
    follower.checkpointer.save(attempt).unwrap();
    let (_, saved) = store.newest();
    let ranges = |shard| saved.shard(shard).unwrap().completed.len();
    assert_eq!((ranges(ONE), ranges(TWO)), (0, 1));
}

#[test]
fn the_report_has_the_generation_the_bytes_and_both_times() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let attempt = begun(&mut follower.checkpointer);
    let flushing = Instant::now();
    // The time of a flush is measured, so it must take some.
    while flushing.elapsed() < Duration::from_millis(20) {
        std::thread::yield_now();
    }
    let flushed = flushing.elapsed();
    let saving = Instant::now();
    let Saved::Written(report) = follower.checkpointer.save(attempt).unwrap() else {
        panic!("nothing was saved");
    };
    assert_eq!(report.generation, 1);
    store.edit(|kept| assert_eq!(report.bytes, kept[0].1.len() as u64));
    assert!(report.flush_time >= flushed, "{report:?}");
    assert!(report.save_time <= saving.elapsed(), "{report:?}");
    assert!(report.save_time > Duration::ZERO, "{report:?}");
}

#[test]
fn checkpoint_is_begin_flush_and_save_in_a_row() {
    let in_a_row = Scripted::default();
    let mut follower = in_a_row.recovered(&[1]);
    let in_steps = Scripted::default();
    let mut other = in_steps.recovered(&[1]);
    for mark in [0, 3, 3, 8] {
        for state in [&follower.state, &other.state] {
            state.advance(ONE, mark);
            state.reset_shard(NewShard::new(TWO).with_mark(mark));
        }
        follower.checkpointer.checkpoint(durable).unwrap();
        if let Some(attempt) = other.checkpointer.begin().unwrap() {
            other.checkpointer.save(attempt).unwrap();
        }
    }
    assert_eq!(in_a_row.take_events(), in_steps.take_events());
    in_a_row.edit(|a| in_steps.edit(|b| assert_eq!(a, b)));
}
