//! The plots of docs/benchmarks.md, and what every plot is made of.

use crate::command::Fallible;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::axis::Unit;
use super::draw::{self, Chart};
use super::medians::medians_over_sizes;

/// The folder of the plots in docs.
pub(super) const FOLDER: &str = "plots";

/// A chart over a number of something.
pub(super) struct Plot {
    pub(super) file: &'static str,
    pub(super) title: &'static str,
    /// What is measured, in a sentence or two.
    pub(super) about: &'static str,
    pub(super) x: &'static str,
    pub(super) y: &'static str,
    pub(super) unit: Unit,
    /// The number of operations in one iteration of criterion.
    pub(super) operations: u32,
    pub(super) lines: &'static [Line],
}

/// What one contender measured over the sizes.
pub(super) struct Line {
    from: From,
    contender: &'static str,
    pub(super) label: &'static str,
    ours: bool,
}

enum From {
    /// The groups `work_SIZE` of criterion.
    Times(&'static str),
    /// The figures of a plot of this name.
    Figures(&'static str),
}

pub(super) const fn ours(work: &'static str, contender: &'static str, label: &'static str) -> Line {
    Line { from: From::Times(work), contender, label, ours: true }
}

pub(super) const fn peer(work: &'static str, contender: &'static str, label: &'static str) -> Line {
    Line { from: From::Times(work), contender, label, ours: false }
}

/// A line of figures.
pub(super) const fn figures(
    plot: &'static str,
    contender: &'static str,
    label: &'static str,
    ours: bool,
) -> Line {
    Line { from: From::Figures(plot), contender, label, ours }
}

pub(super) const PLOTS: &[Plot] = &[
    Plot {
        file: "snapshot.svg",
        title: "Snapshot over the number of shards",
        about: "A snapshot of every mark, vs the baseline, which collects a new `HashMap`.",
        x: "shards",
        y: "time of a snapshot",
        unit: Unit::Time,
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
        unit: Unit::Time,
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
        unit: Unit::Time,
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
        unit: Unit::Time,
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
        unit: Unit::Time,
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
        unit: Unit::Time,
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
        let _ = write!(out, "\n{}\n\n{}\n", plot.about, image(plot));
    }
    out
}

/// The plot in a page.
pub(super) fn image(plot: &Plot) -> String {
    let labels: Vec<&str> = plot.lines.iter().map(|line| line.label).collect();
    format!("![{}: {}]({FOLDER}/{})", plot.title, labels.join("; "), plot.file)
}

/// Draws plots. Returns file names and contents.
pub(super) fn drawn(
    plots: &[Plot],
    criterion: &Path,
    figures: &[Value],
) -> Fallible<Vec<(&'static str, String)>> {
    let drawn = |plot: &Plot| Ok((plot.file, draw::svg(&chart(plot, criterion, figures)?)?));
    plots.iter().map(drawn).collect()
}

fn chart(plot: &Plot, criterion: &Path, figures: &[Value]) -> Fallible<Chart> {
    let mut lines = Vec::new();
    for line in plot.lines {
        let mut points: Vec<(f64, f64)> = match line.from {
            From::Times(work) => medians_over_sizes(criterion, work, line.contender)
                .map_err(|err| format!("the plot {}: {err}", plot.file))?
                .into_iter()
                .map(|(size, median)| (f64::from(size), median / f64::from(plot.operations)))
                .collect(),
            From::Figures(name) => {
                let is_its = |figure: &&Value| {
                    figure["plot"] == name && figure["contender"] == line.contender
                };
                let point =
                    |figure: &Value| Some((figure["size"].as_f64()?, figure["value"].as_f64()?));
                figures.iter().filter(is_its).filter_map(point).collect()
            }
        };
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        lines.push(draw::Line { label: line.label, thick: line.ours, points });
    }
    Ok(Chart { title: plot.title, x: plot.x, y: plot.y, unit: plot.unit, lines })
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
            unit: Unit::Time,
            operations: 256,
            lines: &[ours("advance", "ours", "us"), peer("wake", "theirs", "them")],
        };
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "advance_4", "ours_0", 512.0);
        put(dir.path(), "advance_64", "ours_0", 2560.0);
        let error = chart(&PLOT, dir.path(), &[]).err().unwrap().to_string();
        assert!(error.contains("advance.svg") && error.contains("wake_SIZE"), "{error}");
        put(dir.path(), "wake_4", "theirs_0", 256.0);
        let lines = chart(&PLOT, dir.path(), &[]).unwrap().lines;
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

    #[test]
    fn a_plot_shows_figures_in_order_of_their_sizes() {
        const PLOT: Plot = Plot {
            file: "rest.svg",
            title: "Rest",
            about: "",
            x: "shards",
            y: "CPU time",
            unit: Unit::Percent,
            operations: 1,
            lines: &[figures("rest", "ours", "us", true)],
        };
        let figure = |contender: &str, size: u64| serde_json::json!({"plot": "rest", "contender": contender, "size": size, "value": 0.5});
        let all = [figure("ours", 64), figure("polls", 8), figure("ours", 4)];
        let chart = chart(&PLOT, Path::new("none"), &all).unwrap();
        assert_eq!(chart.lines[0].points, [(4.0, 0.5), (64.0, 0.5)]);
    }
}
