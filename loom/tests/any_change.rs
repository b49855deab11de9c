//! Waiting for any change of a state: what a look does not find ends the wait.

use std::sync::Arc;

use loom_models::{ApplyWindow, NewShard};

use crate::{OTHER, SHARD, apply, check, data, one_shard, step, thread};

#[test]
fn an_advance_that_the_look_misses_ends_the_wait() {
    check(|| {
        let (state, shard) = one_shard();
        let applier = apply(&data(), &shard, 1);
        let any = state.any_change();
        if step(|| shard.applied()) == 0 {
            assert_eq!(any.wait(), Ok(()));
        }
        assert_eq!(shard.applied(), 1);
        applier.join().unwrap();
    });
}

#[test]
fn a_second_wait_beside_the_ring_of_the_first_misses_no_advance() {
    check(|| {
        let (state, shard) = one_shard();
        drop(state.any_change()); // armed, and nothing waits
        let applier = apply(&data(), &shard, 1);
        let any = state.any_change();
        if step(|| shard.applied()) == 0 {
            assert_eq!(any.wait(), Ok(()));
        }
        assert_eq!(shard.applied(), 1);
        applier.join().unwrap();
    });
}

#[test]
fn a_completion_out_of_order_that_the_look_misses_ends_the_wait() {
    check(|| {
        let (state, shard) = one_shard();
        let window = Arc::new(ApplyWindow::new(shard.clone(), 4).unwrap());
        let completer = thread::spawn({
            let window = Arc::clone(&window);
            move || assert!(window.complete(2).is_ok())
        });
        let any = state.any_change();
        if !shard.contains(2) {
            assert_eq!(any.wait(), Ok(()));
        }
        assert!(shard.contains(2));
        completer.join().unwrap();
    });
}

#[test]
fn a_shard_that_the_look_misses_ends_the_wait() {
    check(|| {
        let (state, _shard) = one_shard();
        let adder = thread::spawn({
            let state = Arc::clone(&state);
            move || drop(step(|| state.add_shard(NewShard::new(OTHER))))
        });
        let any = state.any_change();
        if state.shards() == [SHARD] {
            assert_eq!(any.wait(), Ok(()));
        }
        assert_eq!(state.shards(), [SHARD, OTHER]);
        adder.join().unwrap();
    });
}
