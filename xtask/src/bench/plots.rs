//! The plots of docs/benchmarks.md.

use crate::command::Fallible;
use std::fmt::Write as _;
use std::path::Path;

use super::draw::{self, Chart};
use super::medians::medians_over_sizes;

/// The folder of the plots in docs.
pub(super) const FOLDER: &str = "plots";

/// A chart of times over a number of something.
struct Plot {
    file: &'static str,
    title: &'static str,
    /// What is measured, in a sentence or two.
    about: &'static str,
    x: &'static str,
    y: &'static str,
    /// The number of operations in one iteration of criterion.
    operations: u32,
    lines: &'static [Line],
}

/// The times of a contender in the groups `work_SIZE`.
struct Line {
    work: &'static str,
    contender: &'static str,
    label: &'static str,
    ours: bool,
}

const fn ours(work: &'static str, contender: &'static str, label: &'static str) -> Line {
    Line { work, contender, label, ours: true }
}

const fn peer(work: &'static str, contender: &'static str, label: &'static str) -> Line {
    Line { work, contender, label, ours: false }
}

const PLOTS: &[Plot] = &[
    Plot {
        file: "snapshot.svg",
        title: "Snapshot over the number of shards",
        about: "A snapshot of every mark, vs the baseline, which collects a new `HashMap`.",
        x: "shards",
        y: "time of a snapshot",
        operations: 1,
        lines: &[
            ours("snapshot_over_shards", "ours", "ours"),
            peer("snapshot_over_shards", "baseline", "the baseline: a new HashMap"),
        ],
    },
    Plot {
        file: "encode.svg",
        title: "Encode and seal over the number of shards",
        about: "Encoding and sealing a checkpoint with either codec, vs `serde_json` of the \
                baseline's map, without a checksum, and vs copying and checksumming the bytes of \
                bincode.",
        x: "shards",
        y: "time of encoding and sealing",
        operations: 1,
        lines: &[
            ours("encode_over_shards", "json", "ours, JSON"),
            ours("encode_over_shards", "bincode", "ours, bincode"),
            peer("encode_over_shards", "baseline", "the baseline: serde_json of its map"),
            peer("encode_over_shards", "memcpy_crc32c", "memcpy and CRC32C, bincode's bytes"),
        ],
    },
    Plot {
        file: "save.svg",
        title: "FileStore save over the number of shards",
        about: "A save of sealed bytes, vs the bare system calls that write and sync them.",
        x: "shards",
        y: "time of a save",
        operations: 1,
        lines: &[
            ours("save_over_shards", "json", "ours, JSON"),
            ours("save_over_shards", "bincode", "ours, bincode"),
            peer("save_over_shards", "bare_json", "bare system calls, JSON"),
            peer("save_over_shards", "bare_bincode", "bare system calls, bincode"),
        ],
    },
    Plot {
        file: "commit.svg",
        title: "A durable checkpoint over the number of shards",
        about: "Every mark moves and is made durable: snapshot, encode, seal and save with either \
                store, vs one commit of a snapshot of the same marks in SQLite (WAL, \
                `synchronous=FULL`), redb and fjall.",
        x: "shards",
        y: "time of a checkpoint or a commit",
        operations: 1,
        lines: &[
            ours("commit", "ours", "ours, SlotStore"),
            ours("commit", "file_store", "ours, FileStore"),
            peer("commit", "sqlite", "SQLite"),
            peer("commit", "redb", "redb"),
            peer("commit", "fjall", "fjall"),
        ],
    },
    Plot {
        file: "waiting.svg",
        title: "An advance over the number of waiters",
        about: "An advance below the seqnos of all waiters, and one that wakes one of them, vs a \
                tokio watch and an event-listener event, which wake every waiter. The times \
                include the advance, the wake-ups, and each woken waiter checking and waiting \
                again.",
        x: "waiters",
        y: "time of an advance and its wake-ups",
        operations: 1,
        lines: &[
            ours("advance_over_waiters", "advance_below", "ours, reaching none"),
            ours("advance_over_waiters", "wake_one", "ours, reaching one"),
            peer("advance_over_waiters", "tokio_watch", "tokio watch, reaching one"),
            peer("advance_over_waiters", "event_listener", "event-listener, reaching one"),
        ],
    },
    Plot {
        file: "window.svg",
        title: "Completing out of order over the size of the window",
        about: "Two threads each complete every other seqno of a shuffled window, and wait for \
                each other at its end, vs sets of completed seqnos behind a `Mutex`. Ours keeps \
                seqnos more than 16,384 above the mark in ranges behind a lock, too.",
        x: "seqnos of a window",
        y: "time of a completion of each thread",
        operations: 1,
        lines: &[
            ours("complete_over_window", "ours", "ours"),
            peer("complete_over_window", "rangemap", "Mutex, rangemap's RangeInclusiveSet"),
            peer("complete_over_window", "btree_set", "Mutex, BTreeSet of seqnos"),
        ],
    },
];

/// The section of the page with the plots.
pub(super) fn section() -> String {
    let mut out = "\n## Plots\n\nBoth axes are logarithmic. Every point is the median over the \
                   rounds of one run, in which the contenders alternate.\n"
        .to_owned();
    for plot in PLOTS {
        let labels: Vec<&str> = plot.lines.iter().map(|line| line.label).collect();
        let alt = format!("{}: {}", plot.title, labels.join("; "));
        let _ = write!(out, "\n{}\n\n![{alt}]({FOLDER}/{})\n", plot.about, plot.file);
    }
    out
}

/// Draws every plot. Returns file names and contents.
pub(super) fn drawn(criterion: &Path) -> Fallible<Vec<(&'static str, String)>> {
    PLOTS.iter().map(|plot| Ok((plot.file, draw::svg(&chart(plot, criterion)?)?))).collect()
}

fn chart(plot: &Plot, criterion: &Path) -> Fallible<Chart> {
    let mut lines = Vec::new();
    for line in plot.lines {
        let medians = medians_over_sizes(criterion, line.work, line.contender)
            .map_err(|err| format!("the plot {}: {err}", plot.file))?;
        let point = |(size, median)| (f64::from(size), median / f64::from(plot.operations));
        let points = medians.into_iter().map(point).collect();
        lines.push(draw::Line { label: line.label, thick: line.ours, points });
    }
    Ok(Chart { title: plot.title, x: plot.x, y: plot.y, lines })
}

#[cfg(test)]
mod tests {
    use super::super::medians::tests::put;
    use super::*;

    #[test]
    fn a_plot_shows_the_times_of_one_operation() {
        const PLOT: Plot = Plot {
            file: "advance.svg",
            title: "Advance",
            about: "",
            x: "waiters",
            y: "time",
            operations: 256,
            lines: &[ours("advance", "ours", "us"), peer("wake", "theirs", "them")],
        };
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "advance_4", "ours_0", 512.0);
        put(dir.path(), "advance_64", "ours_0", 2560.0);
        let error = chart(&PLOT, dir.path()).err().unwrap().to_string();
        assert!(error.contains("advance.svg") && error.contains("wake_SIZE"), "{error}");
        put(dir.path(), "wake_4", "theirs_0", 256.0);
        let lines = chart(&PLOT, dir.path()).unwrap().lines;
        assert_eq!(lines[0].points, [(4.0, 2.0), (64.0, 10.0)]);
        assert_eq!(lines[1].points, [(4.0, 1.0)]);
        assert_eq!((lines[0].thick, lines[1].thick), (true, false));
    }

    #[test]
    fn the_page_shows_every_plot_with_short_labels() {
        let page = section();
        for plot in PLOTS {
            assert!(page.contains(&format!("](plots/{})", plot.file)), "{page}");
            assert!(plot.title.len() <= 70, "{}", plot.title);
            for line in plot.lines {
                assert!(line.label.len() <= 40, "{}", line.label);
            }
        }
    }
}
