//! The number of waits in a queue is known.

use std::time::Duration;

use repl_core::{ReplicationState, ShardId, WaitError};

use crate::{Queued, advance_each, single};

#[test]
fn each_wait_in_the_queue_counts_until_it_is_reached_or_dropped() {
    let (state, shard) = single();
    assert_eq!((shard.waiter_count(), state.waiter_count()), (0, 0));
    let far = Queued::new(&shard, u64::MAX);
    let _waits: Vec<_> = [5, 7, 5, 9].map(|seqno| Queued::new(&shard, seqno)).into();
    assert_eq!((shard.waiter_count(), state.waiter_count()), (5, 5));
    drop(far);
    assert_eq!(shard.waiter_count(), 4);
    advance_each(&shard, [4, 5]);
    assert_eq!(shard.waiter_count(), 2);
    advance_each(&shard, [9]);
    assert_eq!((shard.waiter_count(), state.waiter_count()), (0, 0));
}

#[test]
fn a_wait_that_timed_out_counts_no_more() {
    let (_state, shard) = single();
    let result = shard.reached(1).wait_timeout(Duration::from_millis(1));
    assert_eq!((result, shard.waiter_count()), (Err(WaitError::Timeout), 0));
}

#[test]
fn the_waits_of_all_shards_are_summed() {
    let state = ReplicationState::new(&[1, 2, 3].map(ShardId));
    let wait = |shard| Queued::new(&state.shard(ShardId(shard)).unwrap(), 1);
    let waits = [1, 2, 2].map(wait);
    assert_eq!(state.waiter_count(), 3);
    state.remove_shard(ShardId(2));
    assert_eq!(state.waiter_count(), 1);
    drop(waits);
    assert_eq!(state.waiter_count(), 0);
}
