//! docs/scale.md: each cost over the number of shards, and the limits.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::axis::Unit;
use super::figures;
use super::plots::{self, Plot, figures as figure, ours, peer};
use super::report;
use crate::command::Fallible;

pub(super) const PLOTS: &[Plot] = &[
    Plot {
        file: "read-by-id.svg",
        title: "Reading a mark by id over the number of shards",
        about: "## Reading by id\n\nA look-up of random ids, vs the baseline. In large states most \
                of the time is one or two cache misses. With a `Shard` in hand a read costs one \
                load at any size. While another thread adds a shard every millisecond, reads stay \
                as fast: they take no lock.",
        x: "shards",
        y: "time of a read",
        unit: Unit::Time,
        operations: 256,
        lines: &[
            ours("read_by_id_over_shards", "ours", "ours"),
            ours("read_by_id_adding", "ours", "ours, while shards are added"),
            peer("read_by_id_over_shards", "baseline", "the baseline, which cannot change"),
        ],
    },
    Plot {
        file: "add-remove.svg",
        title: "Adding and removing over the number of shards",
        about: "## Adding and removing\n\nOne shard is added and another removed, at random ids, vs \
                the baseline's map behind an `RwLock` (readers wait for changes), the same map \
                copied for each change (readers do not wait), and papaya, a concurrent map. None of \
                the three keeps the shards in order, which makes a snapshot slow. `add_shards` and \
                `remove_shards` cost less for each shard.",
        x: "shards",
        y: "time to add one and remove one",
        unit: Unit::Time,
        operations: 1,
        lines: &[
            ours("add_remove_over_shards", "ours", "ours"),
            peer("add_remove_over_shards", "locked", "RwLock with a HashMap"),
            peer("add_remove_over_shards", "papaya", "papaya"),
            peer("add_remove_copied", "copied", "a HashMap, copied"),
        ],
    },
    Plot {
        file: "snapshot-changed.svg",
        title: "Snapshot after changes, over the number of shards",
        about: "## Snapshots\n\nA snapshot is O(shards): two loads a shard and one allocation. Where \
                shards were removed and others added, their cells are no longer side by side: here \
                500 were, at random ids. The ids are shared with the state and are not copied.",
        x: "shards",
        y: "time of a snapshot",
        unit: Unit::Time,
        operations: 1,
        lines: &[
            ours("snapshot_changed_over_shards", "ours", "ours, after 1,000 changes"),
            ours("snapshot_changed_over_shards", "unchanged", "ours, never changed"),
            peer("snapshot_changed_over_shards", "baseline", "the baseline: a new HashMap"),
        ],
    },
    Plot {
        file: "checkpoint-memory.svg",
        title: "Memory of a checkpoint over the number of shards",
        about: "## Memory of a checkpoint\n\nThe most memory that a checkpoint allocates at a time \
                while every mark has moved, the store aside, vs collecting the baseline's marks in a \
                map and `serde_json` of it. Between checkpoints, the marks of the last two stay: 8 \
                bytes a shard each.",
        x: "shards",
        y: "memory",
        unit: Unit::Bytes,
        operations: 1,
        lines: &[
            figure("checkpoint_memory", "bincode", "ours, bincode", true),
            figure("checkpoint_memory", "json", "ours, JSON", true),
            figure("checkpoint_memory", "baseline", "the baseline, JSON", false),
        ],
    },
    Plot {
        file: "waiting-over-shards.svg",
        title: "Waiting over the number of shards",
        about: "## Waiting\n\nA wait for the next seqno of a random shard and the advance that ends \
                it, vs a tokio `watch` for each shard. The time grows with cache misses alone. A \
                shard with waiters has a queue, which goes with the last of them.",
        x: "shards",
        y: "time of a wait and its advance",
        unit: Unit::Time,
        operations: 1,
        lines: &[
            ours("waiting_over_shards", "ours", "ours"),
            peer("waiting_over_shards", "tokio_watch", "a tokio watch for each shard"),
        ],
    },
    Plot {
        file: "rest.svg",
        title: "CPU time of a checkpointer at rest, over the shards",
        about: "## Background checkpointers at rest\n\nThe CPU time of a background checkpointer \
                with an interval of 100 ms while no mark moves, vs a thread that compares snapshots \
                ten times a second. After a few intervals without a change the thread sleeps until \
                there is one. The first change of each shard then takes a lock, once. The lowest \
                value shown is 0.0001 %; at rest it is 0.",
        x: "shards",
        y: "CPU time",
        unit: Unit::Percent,
        operations: 1,
        lines: &[
            figure("rest", "ours", "ours", true),
            figure("rest", "polls", "a thread that compares snapshots", false),
        ],
    },
];

const LIMITS: &str = "\
## Limits

- A cell takes 64 bytes, a cache line of its own; the ids in order and the index take the rest.
- Cells are freed by slabs of up to 1,024. The slab of a removed shard stays while a cell of it is in
  use or a `Shard` leads to one. Removing shards at random gives back little until most are gone, and
  where shards come and go at random, a state has several times as many cells as shards.
- A thread keeps the table of each of the last four states in which it looked up by id. Those of large
  states, from 131,072 shards on, are taken back when the state is dropped or much was removed from
  it; a smaller one stays until the thread looks up in others, or ends.
- Adding, resetting and removing take one lock of the state, and one thread at a time. A snapshot
  waits for it. Reading and advancing take none of it.
- `ReplicationState::new`, `clone`, `snapshot` and `close` are O(shards). So is coming to rest: about
  as much as two snapshots, once each time.
- A checkpoint is a snapshot and a comparison with the one before. What it encodes and writes follows
  what has changed in a `SlotStore`, and is all marks in a `FileStore`.
- With `or_after`, a background checkpointer polls while marks move, every 10 ms by default. A poll is
  one load a shard and one allocation: at a million shards take `poll_every` of a second or more.
";

/// The page.
pub(super) fn page(values: &[Value]) -> Fallible<String> {
    let mut out = format!(
        "# Scale\n\n\
         What each call costs over 1,000 to 1,000,000 shards. From `cargo xtask bench` {}. Both axes \
         of each plot are logarithmic, and the contenders of a plot alternate in one run. \"The \
         baseline\" is a `HashMap` of `Arc<AtomicU64>`. [Benchmarks](benchmarks.md) has the other \
         figures. What 100,000 followers send to PostgreSQL or a bucket is in [progress on a \
         server](remote.md#scale-100000-followers-of-1000-shards).\n\n\
         | figure | goal | measured | met |\n| --- | --- | --- | --- |\n",
        report::measured()?
    );
    let is_of_scale =
        |figure: &&Value| figure["percent_of_a_core"].is_null() && figure["waiters"].is_null();
    let values: Vec<Value> = values.iter().filter(is_of_scale).cloned().collect();
    for row in figures::rows(&values)? {
        writeln!(out, "{row}")?;
    }
    for plot in PLOTS {
        let (heading, about) = plot.about.split_once("\n\n").unwrap_or(("", plot.about));
        write!(out, "\n{heading}\n\n{about}\n\n{}\n", plots::image(plot))?;
    }
    Ok(format!("{out}\n{LIMITS}"))
}

/// Draws the plots. Returns file names and contents.
pub(super) fn drawn(criterion: &Path, figures: &[Value]) -> Fallible<Vec<(&'static str, String)>> {
    plots::drawn(PLOTS, criterion, figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_a_heading_for_every_plot_and_the_limits() {
        let page = page(&[]).unwrap();
        assert_eq!(page.matches("\n## ").count(), PLOTS.len() + 1);
        for plot in PLOTS {
            assert!(page.contains(&format!("](plots/{})", plot.file)), "{page}");
            assert!(plot.title.len() <= 70, "{}", plot.title);
            assert!(plot.lines.iter().all(|line| line.label.len() <= 40));
        }
    }
}
