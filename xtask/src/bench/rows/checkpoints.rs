//! The comparisons of codecs, stores and whole checkpoints.

use super::{Goal, Row};

pub(super) const ROWS: &[Row] = &[
    Row {
        work: "bincode encode and seal, 65,536 shards, vs memcpy and CRC32C of the same bytes",
        group: "bincode_seal_65536",
        peer: "memcpy_crc32c",
        operations: 1,
        goal: Goal::AtMost(2.0),
    },
    Row {
        work: "JSON unseal and decode, 65,536 dense ids, vs `serde_json` into the baseline's map",
        group: "json_open_65536_dense",
        peer: "baseline",
        operations: 1,
        goal: Goal::Faster(1.8),
    },
    Row {
        work: "JSON unseal and decode, 65,536 64-bit ids, vs `serde_json` into the baseline's map",
        group: "json_open_65536_wide",
        peer: "baseline",
        operations: 1,
        goal: Goal::Faster(1.8),
    },
    recovery(
        "recover 1,048,576 shards from a SlotStore in the page cache, bincode, each shard given by \
         its id, vs the crate bincode and a `HashMap` of the marks, from bytes in memory",
        "recover_slots_by_id",
        "bincode_map",
    ),
    Row {
        goal: Goal::None,
        ..recovery(
            "the same, vs `BincodeCodec` and a `HashMap` of the marks",
            "recover_slots_by_id",
            "codec_map",
        )
    },
    recovery(
        "recover 1,048,576 shards from a SlotStore in the page cache, bincode, all that are there, \
         vs the crate bincode and a `HashMap` of the marks, from bytes in memory",
        "recover_slots_all",
        "bincode_map",
    ),
    recovery("the same, from a FileStore", "recover_files_all", "bincode_map"),
    Row {
        work: "FileStore save of 1,024 shards, vs the bare system calls",
        group: "file_save_1024",
        peer: "bare_system_calls",
        operations: 1,
        goal: Goal::AtMost(1.15),
    },
    Row {
        work: "open a FileStore in an existing directory, beside 1,000 others, vs the bare system \
               calls",
        group: "open_existing",
        peer: "bare_system_calls",
        operations: 1,
        goal: Goal::Adds(200.0),
    },
    Row {
        work: "open a FileStore in a new directory, beside 1,000 others, vs the bare system calls, \
               which sync its parent too",
        group: "open_new",
        peer: "bare_system_calls",
        operations: 1,
        goal: Goal::Adds(200.0),
    },
    Row {
        work: "SlotStore save of 16 shards, vs a bare write and data sync of the same bytes",
        group: "slot_save_16",
        peer: "pwrite_fdatasync",
        operations: 1,
        goal: Goal::AtMost(1.15),
    },
    Row {
        work: "the same, vs FileStore",
        group: "slot_save_16",
        peer: "file_store",
        operations: 1,
        goal: Goal::Faster(2.0),
    },
    Row {
        work: "SlotStore save of 16 shards on `NoSync`, vs a bare write of the same bytes",
        group: "unsynced_16",
        peer: "pwrite",
        operations: 1,
        goal: Goal::Takes(5.0),
    },
    Row {
        work: "SlotStore save of 1,024 shards, vs a bare write and data sync of the same bytes",
        group: "slot_save_1024",
        peer: "pwrite_fdatasync",
        operations: 1,
        goal: Goal::AtMost(1.15),
    },
    Row {
        work: "the same, vs FileStore",
        group: "slot_save_1024",
        peer: "file_store",
        operations: 1,
        goal: Goal::Faster(2.0),
    },
    Row {
        work: "SlotStore save of 65,536 shards, vs a bare write and data sync of the same bytes",
        group: "slot_save_65536",
        peer: "pwrite_fdatasync",
        operations: 1,
        goal: Goal::AtMost(1.15),
    },
    Row {
        work: "the same, vs FileStore",
        group: "slot_save_65536",
        peer: "file_store",
        operations: 1,
        goal: Goal::Faster(2.0),
    },
    Row {
        work: "what changed between two snapshots of 65,536 shards where one mark moved, vs a \
               comparison of the marks",
        group: "changes_moved_65536",
        peer: "slices",
        operations: 1,
        goal: Goal::AtMost(1.2),
    },
    Row {
        work: "the same, 1,048,576 shards",
        group: "changes_moved_1048576",
        peer: "slices",
        operations: 1,
        goal: Goal::AtMost(1.2),
    },
    Row {
        work: "the same where one shard was added",
        group: "changes_added_1048576",
        peer: "slices",
        operations: 1,
        goal: Goal::AtMost(1.2),
    },
    Row {
        work: "move one mark of 1,024 and checkpoint to SlotStore, vs that move, a snapshot, a \
               comparison of the marks, and a bare write and data sync of one page",
        group: "save_one_moved_1024",
        peer: "bare",
        operations: 1,
        goal: Goal::AtMost(1.15),
    },
    Row {
        work: "the same, 65,536 shards",
        group: "save_one_moved_65536",
        peer: "bare",
        operations: 1,
        goal: Goal::AtMost(1.15),
    },
    Row {
        work: "the same, 1,048,576 shards",
        group: "save_one_moved_1048576",
        peer: "bare",
        operations: 1,
        goal: Goal::AtMost(1.15),
    },
    Row {
        work: "checkpoint of 1,024 shards to SlotStore after one mark moved, vs one commit of that row in \
               SQLite (WAL, FULL)",
        group: "save_one_moved_1024",
        peer: "sqlite",
        operations: 1,
        goal: Goal::Faster(1.0),
    },
    Row {
        work: "the same, vs redb",
        group: "save_one_moved_1024",
        peer: "redb",
        operations: 1,
        goal: Goal::Faster(1.0),
    },
    Row {
        work: "the same, vs fjall",
        group: "save_one_moved_1024",
        peer: "fjall",
        operations: 1,
        goal: Goal::Faster(1.0),
    },
    Row {
        work: "checkpoint of 16 shards to SlotStore, vs one commit of SQLite (WAL, FULL)",
        group: "commit_16",
        peer: "sqlite",
        operations: 1,
        goal: Goal::Faster(1.0),
    },
    Row {
        work: "the same, vs redb",
        group: "commit_16",
        peer: "redb",
        operations: 1,
        goal: Goal::Faster(1.0),
    },
    Row {
        work: "the same, vs fjall",
        group: "commit_16",
        peer: "fjall",
        operations: 1,
        goal: Goal::Faster(1.0),
    },
    Row {
        work: "checkpoint of 1,024 shards to SlotStore, vs one commit of SQLite (WAL, FULL)",
        group: "commit_1024",
        peer: "sqlite",
        operations: 1,
        goal: Goal::Faster(1.0),
    },
    Row {
        work: "the same, vs redb",
        group: "commit_1024",
        peer: "redb",
        operations: 1,
        goal: Goal::Faster(1.0),
    },
    Row {
        work: "the same, vs fjall",
        group: "commit_1024",
        peer: "fjall",
        operations: 1,
        goal: Goal::Faster(1.0),
    },
    Row {
        work: "checkpoint of 65,536 shards to SlotStore, vs one commit of SQLite (WAL, FULL)",
        group: "commit_65536",
        peer: "sqlite",
        operations: 1,
        goal: Goal::Faster(1.0),
    },
    Row {
        work: "the same, vs redb",
        group: "commit_65536",
        peer: "redb",
        operations: 1,
        goal: Goal::Faster(1.0),
    },
    Row {
        work: "the same, vs fjall",
        group: "commit_65536",
        peer: "fjall",
        operations: 1,
        goal: Goal::Faster(1.0),
    },
    Row {
        work: "save of 64 shards to PostgreSQL on loopback, vs one statement that updates a row of \
               the same bytes and inserts its history row, over the same client",
        group: "postgres_save_64",
        peer: "update",
        operations: 1,
        goal: Goal::AtMost(1.3),
    },
    Row {
        work: "the same, vs a statement that writes the bytes into the history alone",
        group: "postgres_save_64",
        peer: "update_once",
        operations: 1,
        goal: Goal::AtMost(1.3),
    },
    Row {
        work: "save of 64 shards to SeaweedFS on loopback, vs one conditional put of the same bytes",
        group: "object_save_64",
        peer: "bare_put",
        operations: 1,
        goal: Goal::AtMost(1.2),
    },
];

const fn recovery(work: &'static str, group: &'static str, peer: &'static str) -> Row {
    Row { work, group, peer, operations: 1, goal: Goal::AtMost(1.0) }
}
