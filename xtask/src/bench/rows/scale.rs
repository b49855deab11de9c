//! The comparisons over the number of shards. docs/scale.md has the plots.

use super::{Goal, Row};

/// The number of reads in one iteration.
const BATCH: u32 = 256;

pub(super) const ROWS: &[Row] = &[
    read("read by id, 1,024 shards, vs the baseline", "read_by_id_over_shards_1024"),
    read("the same, 65,536 shards", "read_by_id_over_shards_65536"),
    read("the same, 1,048,576 shards", "read_by_id_over_shards_1048576"),
    read(
        "read by id while another thread adds a shard every millisecond, 1,024 shards, vs the \
         baseline",
        "read_by_id_adding_1024",
    ),
    read("the same, 65,536 shards", "read_by_id_adding_65536"),
    read("the same, 1,048,576 shards", "read_by_id_adding_1048576"),
    adding(
        "read by id while another thread adds a shard every millisecond, 1,024 shards, vs the same \
         without that thread",
        "read_by_id_adding_1024",
    ),
    adding("the same, 65,536 shards", "read_by_id_adding_65536"),
    adding("the same, 1,048,576 shards", "read_by_id_adding_1048576"),
    change(
        "add one of 1,024 shards and remove another, vs the baseline's map behind an `RwLock`",
        "add_remove_over_shards_1024",
        "locked",
    ),
    change("the same, vs papaya", "add_remove_over_shards_1024", "papaya"),
    change("the same, vs the baseline's map, copied", "add_remove_copied_1024", "copied"),
    change(
        "add one of 1,048,576 shards and remove another, vs the baseline's map behind an `RwLock`",
        "add_remove_over_shards_1048576",
        "locked",
    ),
    change("the same, vs papaya", "add_remove_over_shards_1048576", "papaya"),
    snapshot(
        "snapshot of 1,024 shards after 1,000 changes at random ids, vs the baseline",
        "snapshot_changed_over_shards_1024",
        Goal::Faster(5.0),
    ),
    snapshot("the same, 65,536 shards", "snapshot_changed_over_shards_65536", Goal::Faster(5.0)),
    snapshot("the same, 1,048,576 shards", "snapshot_changed_over_shards_1048576", Goal::None),
    snapshot(
        "snapshot of 1,048,576 shards, vs the baseline",
        "snapshot_over_shards_1048576",
        Goal::None,
    ),
];

const fn read(work: &'static str, group: &'static str) -> Row {
    Row { work, group, peer: "baseline", operations: BATCH, goal: Goal::AtMost(0.65) }
}

const fn adding(work: &'static str, group: &'static str) -> Row {
    Row { work, group, peer: "quiet", operations: BATCH, goal: Goal::AtMost(1.2) }
}

const fn change(work: &'static str, group: &'static str, peer: &'static str) -> Row {
    Row { work, group, peer, operations: 1, goal: Goal::None }
}

const fn snapshot(work: &'static str, group: &'static str, goal: Goal) -> Row {
    Row { work, group, peer: "baseline", operations: 1, goal }
}
