//! What is compared with what, and the bars that were set.

/// How `ours` compares with `peer` in one criterion group.
pub(super) struct Row {
    pub(super) work: &'static str,
    pub(super) group: &'static str,
    pub(super) peer: &'static str,
    /// How many operations criterion takes for one.
    pub(super) operations: u32,
    pub(super) bar: Bar,
}

/// What was set out to reach.
pub(super) enum Bar {
    /// At most so many times the peer's time.
    AtMost(f64),
    /// At least so many times faster than the peer.
    Faster(f64),
    /// How many times faster than the peer, for comparison.
    None,
}

/// Some benches time so many operations at once, so that the loop weighs nothing.
const BATCH: u32 = 256;

pub(super) const ROWS: &[Row] = &[
    Row {
        work: "read through a handle, to a raw atomic load",
        group: "read",
        peer: "raw_load",
        operations: BATCH,
        bar: Bar::AtMost(2.0),
    },
    Row {
        work: "advance through a handle, nobody waiting, to a raw `fetch_max`",
        group: "advance",
        peer: "raw_fetch_max",
        operations: BATCH,
        bar: Bar::AtMost(1.2),
    },
    Row {
        work: "stale advance, to a raw atomic load",
        group: "stale_advance",
        peer: "raw_load",
        operations: BATCH,
        bar: Bar::AtMost(3.0),
    },
    Row {
        work: "read by id while shards come and go, to the seed",
        group: "read_by_id",
        peer: "seed",
        operations: BATCH,
        bar: Bar::AtMost(0.75),
    },
    Row {
        work: "advance by id while shards come and go, to the seed",
        group: "advance_by_id",
        peer: "seed",
        operations: BATCH,
        bar: Bar::AtMost(1.0),
    },
    Row {
        work: "two threads on neighbouring shards, to raw padded atomics",
        group: "two_threads_neighbours",
        peer: "raw_padded",
        operations: BATCH,
        bar: Bar::AtMost(1.1),
    },
    Row {
        work: "advance below the target of 10,000 waiters, to the same with nobody waiting",
        group: "advance_below_10000",
        peer: "nobody",
        operations: 1,
        bar: Bar::AtMost(1.5),
    },
    Row {
        work: "the same, to a tokio watch with 10,000 receivers, each of which is woken, looks and \
               waits again",
        group: "advance_below_10000",
        peer: "tokio_watch",
        operations: 1,
        bar: Bar::None,
    },
    Row {
        work: "the same, to event-listener with 10,000 listeners, each of which is notified, looks \
               and listens again",
        group: "advance_below_10000",
        peer: "event_listener",
        operations: 1,
        bar: Bar::None,
    },
    Row {
        work: "advance that reaches 1 of 10,000 waiters, who then awaits a later seqno, to a tokio \
               watch: all look, all wait again",
        group: "wake_one_of_10000",
        peer: "tokio_watch",
        operations: 1,
        bar: Bar::Faster(50.0),
    },
    Row {
        work: "the same, to event-listener: all look, all listen again",
        group: "wake_one_of_10000",
        peer: "event_listener",
        operations: 1,
        bar: Bar::None,
    },
    Row {
        work: "blocking round trip between two threads on one core, to `Mutex` and `Condvar`",
        group: "round_trip_one_core",
        peer: "mutex_condvar",
        operations: 1,
        bar: Bar::AtMost(1.3),
    },
    Row {
        work: "blocking round trip between two threads on two cores, to `Mutex` and `Condvar`",
        group: "round_trip_two_cores",
        peer: "mutex_condvar",
        operations: 1,
        bar: Bar::AtMost(1.3),
    },
    Row {
        work: "complete in order, to a handle's advance",
        group: "complete_in_order",
        peer: "advance",
        operations: BATCH,
        bar: Bar::AtMost(3.0),
    },
    Row {
        work: "complete a shuffled window of 4,096, two threads, to a `Mutex` with rangemap's \
               `RangeInclusiveSet`",
        group: "complete_shuffled_4096",
        peer: "rangemap",
        operations: 1,
        bar: Bar::Faster(3.0),
    },
    Row {
        work: "the same, to a `Mutex` with a `BTreeSet` of seqnos",
        group: "complete_shuffled_4096",
        peer: "btree_set",
        operations: 1,
        bar: Bar::None,
    },
    Row {
        work: "snapshot of 1,024 shards, to the seed",
        group: "snapshot_1024",
        peer: "seed",
        operations: 1,
        bar: Bar::Faster(10.0),
    },
    Row {
        work: "snapshot of 65,536 shards, to the seed",
        group: "snapshot_65536",
        peer: "seed",
        operations: 1,
        bar: Bar::Faster(10.0),
    },
    Row {
        work: "bincode encode and seal, 65,536 shards, to memcpy and CRC32C of the same bytes",
        group: "bincode_seal_65536",
        peer: "memcpy_crc32c",
        operations: 1,
        bar: Bar::AtMost(2.0),
    },
    Row {
        work: "JSON open and decode, 65,536 dense ids, to `serde_json` into the seed's map",
        group: "json_open_65536_dense",
        peer: "seed",
        operations: 1,
        bar: Bar::Faster(1.8),
    },
    Row {
        work: "JSON open and decode, 65,536 64-bit ids, to `serde_json` into the seed's map",
        group: "json_open_65536_wide",
        peer: "seed",
        operations: 1,
        bar: Bar::Faster(1.8),
    },
    Row {
        work: "FileStore save of 1,024 shards, to its bare system calls",
        group: "file_save_1024",
        peer: "bare_system_calls",
        operations: 1,
        bar: Bar::AtMost(1.15),
    },
    Row {
        work: "SlotStore save of 16 shards, to a bare write and data sync of the same bytes",
        group: "slot_save_16",
        peer: "pwrite_fdatasync",
        operations: 1,
        bar: Bar::AtMost(1.15),
    },
    Row {
        work: "the same, to FileStore",
        group: "slot_save_16",
        peer: "file_store",
        operations: 1,
        bar: Bar::Faster(2.0),
    },
    Row {
        work: "SlotStore save of 1,024 shards, to a bare write and data sync of the same bytes",
        group: "slot_save_1024",
        peer: "pwrite_fdatasync",
        operations: 1,
        bar: Bar::AtMost(1.15),
    },
    Row {
        work: "the same, to FileStore",
        group: "slot_save_1024",
        peer: "file_store",
        operations: 1,
        bar: Bar::Faster(2.0),
    },
    Row {
        work: "SlotStore save of 65,536 shards, to a bare write and data sync of the same bytes",
        group: "slot_save_65536",
        peer: "pwrite_fdatasync",
        operations: 1,
        bar: Bar::AtMost(1.15),
    },
    Row {
        work: "the same, to FileStore",
        group: "slot_save_65536",
        peer: "file_store",
        operations: 1,
        bar: Bar::Faster(2.0),
    },
    Row {
        work: "checkpoint of 16 shards to SlotStore, to one commit of SQLite (WAL, FULL)",
        group: "commit_16",
        peer: "sqlite",
        operations: 1,
        bar: Bar::Faster(1.0),
    },
    Row {
        work: "the same, to redb",
        group: "commit_16",
        peer: "redb",
        operations: 1,
        bar: Bar::Faster(1.0),
    },
    Row {
        work: "the same, to fjall",
        group: "commit_16",
        peer: "fjall",
        operations: 1,
        bar: Bar::Faster(1.0),
    },
    Row {
        work: "checkpoint of 1,024 shards to SlotStore, to one commit of SQLite (WAL, FULL)",
        group: "commit_1024",
        peer: "sqlite",
        operations: 1,
        bar: Bar::Faster(1.0),
    },
    Row {
        work: "the same, to redb",
        group: "commit_1024",
        peer: "redb",
        operations: 1,
        bar: Bar::Faster(1.0),
    },
    Row {
        work: "the same, to fjall",
        group: "commit_1024",
        peer: "fjall",
        operations: 1,
        bar: Bar::Faster(1.0),
    },
    Row {
        work: "checkpoint of 65,536 shards to SlotStore, to one commit of SQLite (WAL, FULL)",
        group: "commit_65536",
        peer: "sqlite",
        operations: 1,
        bar: Bar::Faster(1.0),
    },
    Row {
        work: "the same, to redb",
        group: "commit_65536",
        peer: "redb",
        operations: 1,
        bar: Bar::Faster(1.0),
    },
    Row {
        work: "the same, to fjall",
        group: "commit_65536",
        peer: "fjall",
        operations: 1,
        bar: Bar::Faster(1.0),
    },
];
