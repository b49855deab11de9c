//! The comparisons of marks, waiting, windows, sets and snapshots.

use super::{Goal, Row};

/// The number of operations that some benches time at once, so that the loop costs nothing.
const BATCH: u32 = 256;

pub(super) const ROWS: &[Row] = &[
    Row {
        work: "read through a handle, vs a raw atomic load",
        group: "read",
        peer: "raw_load",
        operations: BATCH,
        goal: Goal::AtMost(1.3),
    },
    Row {
        work: "advance through a handle without waiters, vs a raw `fetch_max`",
        group: "advance",
        peer: "raw_fetch_max",
        operations: BATCH,
        goal: Goal::AtMost(1.2),
    },
    Row {
        work: "stale advance, vs a raw atomic load",
        group: "stale_advance",
        peer: "raw_load",
        operations: BATCH,
        goal: Goal::AtMost(3.0),
    },
    Row {
        work: "a wait for a seqno that is reached already, vs a raw atomic load",
        group: "reached_wait",
        peer: "raw_load",
        operations: BATCH,
        goal: Goal::AtMost(3.0),
    },
    Row {
        work: "read by id while shards are added and removed, vs the baseline",
        group: "read_by_id",
        peer: "baseline",
        operations: BATCH,
        goal: Goal::AtMost(0.65),
    },
    Row {
        work: "advance by id while shards are added and removed, vs the baseline",
        group: "advance_by_id",
        peer: "baseline",
        operations: BATCH,
        goal: Goal::AtMost(0.9),
    },
    Row {
        work: "two threads on neighbouring shards, vs raw padded atomics",
        group: "two_threads_neighbours",
        peer: "raw_padded",
        operations: BATCH,
        goal: Goal::AtMost(1.1),
    },
    Row {
        work: "advance below the seqnos of 10,000 waiters, vs the same without waiters",
        group: "advance_below_10000",
        peer: "no_waiters",
        operations: 1,
        goal: Goal::AtMost(1.5),
    },
    Row {
        work: "the same, vs a tokio watch that wakes all 10,000 receivers, each of which checks \
               and waits again",
        group: "advance_below_10000",
        peer: "tokio_watch",
        operations: 1,
        goal: Goal::None,
    },
    Row {
        work: "the same, vs an event-listener event that wakes all 10,000 listeners, each of which \
               checks and waits again",
        group: "advance_below_10000",
        peer: "event_listener",
        operations: 1,
        goal: Goal::None,
    },
    Row {
        work: "advance that reaches 1 of 10,000 waiters, which then awaits a later seqno, vs a \
               tokio watch that wakes all",
        group: "wake_one_of_10000",
        peer: "tokio_watch",
        operations: 1,
        goal: Goal::Faster(50.0),
    },
    Row {
        work: "the same, vs an event-listener event that wakes all",
        group: "wake_one_of_10000",
        peer: "event_listener",
        operations: 1,
        goal: Goal::None,
    },
    Row {
        work: "queue a waiter and wake it, vs a `Mutex` with a `BinaryHeap` of wakers, in which a \
               dropped waiter would stay",
        group: "queue_and_wake_beside_0",
        peer: "heap",
        operations: 1,
        goal: Goal::AtMost(1.1),
    },
    Row {
        work: "the same beside 10,000 waiters for later seqnos",
        group: "queue_and_wake_beside_10000",
        peer: "heap",
        operations: 1,
        goal: Goal::AtMost(1.1),
    },
    Row {
        work: "blocking round trip between two threads on one core, vs `Mutex` and `Condvar`",
        group: "round_trip_one_core",
        peer: "mutex_condvar",
        operations: 1,
        goal: Goal::AtMost(1.3),
    },
    Row {
        work: "blocking round trip between two threads on two cores, vs `Mutex` and `Condvar`",
        group: "round_trip_two_cores",
        peer: "mutex_condvar",
        operations: 1,
        goal: Goal::AtMost(1.3),
    },
    Row {
        work: "complete in order, vs a handle's advance",
        group: "complete_in_order",
        peer: "advance",
        operations: BATCH,
        goal: Goal::AtMost(3.0),
    },
    Row {
        work: "two threads complete a shuffled window of 4,096, vs a `Mutex` with rangemap's \
               `RangeInclusiveSet`",
        group: "complete_shuffled_4096",
        peer: "rangemap",
        operations: 1,
        goal: Goal::Faster(3.0),
    },
    Row {
        work: "the same, vs a `Mutex` with a `BTreeSet` of seqnos",
        group: "complete_shuffled_4096",
        peer: "btree_set",
        operations: 1,
        goal: Goal::None,
    },
    Row {
        work: "insert seqnos into a set of applied seqnos of 10 ranges, vs rangemap's `RangeInclusiveSet`",
        group: "set_insert_10",
        peer: "rangemap",
        operations: 1,
        goal: Goal::Faster(1.0),
    },
    Row {
        work: "insert seqnos into a set of applied seqnos of 100 ranges, vs rangemap's `RangeInclusiveSet`",
        group: "set_insert_100",
        peer: "rangemap",
        operations: 1,
        goal: Goal::Faster(1.0),
    },
    Row {
        work: "insert seqnos into a set of applied seqnos of 1,000 ranges, vs rangemap's `RangeInclusiveSet`",
        group: "set_insert_1000",
        peer: "rangemap",
        operations: 1,
        goal: Goal::Faster(1.0),
    },
    Row {
        work: "list what is missing from such a set of 10 ranges, vs rangemap's `gaps`",
        group: "set_missing_10",
        peer: "rangemap",
        operations: 1,
        goal: Goal::Faster(1.0),
    },
    Row {
        work: "list what is missing from such a set of 100 ranges, vs rangemap's `gaps`",
        group: "set_missing_100",
        peer: "rangemap",
        operations: 1,
        goal: Goal::Faster(1.0),
    },
    Row {
        work: "list what is missing from such a set of 1,000 ranges, vs rangemap's `gaps`",
        group: "set_missing_1000",
        peer: "rangemap",
        operations: 1,
        goal: Goal::Faster(1.0),
    },
    Row {
        work: "256 look-ups in such a set of 10 ranges, vs rangemap",
        group: "set_contains_10",
        peer: "rangemap",
        operations: 1,
        goal: Goal::Faster(1.0),
    },
    Row {
        work: "256 look-ups in such a set of 100 ranges, vs rangemap",
        group: "set_contains_100",
        peer: "rangemap",
        operations: 1,
        goal: Goal::Faster(1.0),
    },
    Row {
        work: "256 look-ups in such a set of 1,000 ranges, vs rangemap",
        group: "set_contains_1000",
        peer: "rangemap",
        operations: 1,
        goal: Goal::Faster(1.0),
    },
    Row {
        work: "snapshot of 1,024 shards, vs the baseline",
        group: "snapshot_1024",
        peer: "baseline",
        operations: 1,
        goal: Goal::Faster(10.0),
    },
    Row {
        work: "snapshot of 65,536 shards, vs the baseline",
        group: "snapshot_65536",
        peer: "baseline",
        operations: 1,
        goal: Goal::Faster(10.0),
    },
];
