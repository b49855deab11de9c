//! `replctl inspect`: what is at a path.

mod raw;

use std::path::PathBuf;

use repl_core::{Snapshot, SnapshotEntry};
use serde::Serialize;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, Report, Text};
use crate::row::Row;
use crate::seen::{Seen, Shown};
use crate::wording::shown;

/// The arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The directory of a store, a checkpoint file, or a slot file
    path: PathBuf,
    /// List the shards of the newest whole generation too, up to this many
    #[arg(long, value_name = "COUNT", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "100")]
    shards: Option<usize>,
    /// Show the fields of every header, right or damaged, instead
    #[arg(long, conflicts_with = "shards")]
    raw: bool,
}

#[derive(Serialize)]
struct Inspected<'a> {
    #[serde(flatten)]
    shown: &'a Shown,
    #[serde(skip_serializing_if = "Option::is_none")]
    newest: Option<Totals>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shards: Option<Vec<Row>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a Failure>,
}

/// The newest whole generation as a whole.
#[derive(Serialize)]
struct Totals {
    generation: u64,
    confirmed: u64,
    shards: usize,
    lowest_mark: u64,
    highest_mark: u64,
    ranges: usize,
    epochs: usize,
    next_incarnation: u64,
    deltas: usize,
}

/// Prints what is there.
pub(crate) fn run(args: &Args, output: &Output) -> Result<Exit, Failure> {
    if args.raw {
        return raw::run(&args.path, output);
    }
    let seen = Seen::at(&args.path)?;
    let marks = seen.survey.newest.as_deref();
    let shards = args.shards.zip(marks).map(|(limit, marks)| rows(marks, limit));
    let newest = Totals::of(&seen);
    output.print(&Inspected {
        shown: &seen.shown,
        newest,
        shards,
        problem: seen.problem.as_ref(),
    })?;
    Ok(seen.exit())
}

fn rows(marks: &Snapshot, limit: usize) -> Vec<Row> {
    marks.entries().take(limit).map(|entry: SnapshotEntry| Row::of(&entry)).collect()
}

impl Totals {
    fn of(seen: &Seen) -> Option<Self> {
        let (found, marks) = (seen.survey.newest_whole()?, seen.survey.newest.as_deref()?);
        let (header, counts) = (found.header?, found.checked.as_ref().ok()?);
        Some(Totals {
            generation: header.generation,
            confirmed: header.confirmed,
            shards: counts.shards,
            lowest_mark: marks.marks().iter().copied().min().unwrap_or(0),
            highest_mark: marks.marks().iter().copied().max().unwrap_or(0),
            ranges: counts.ranges,
            epochs: counts.epochs,
            next_incarnation: counts.next_incarnation.0,
            deltas: found.deltas.len(),
        })
    }
}

impl Report for Inspected<'_> {
    fn show(&self, text: &mut Text) {
        self.shown.show(text);
        if let Some(newest) = &self.newest {
            text.line(format_args!("  generation {}:", newest.generation));
            let confirmed = match newest.confirmed {
                0 => "none was known to be durable when this save began".to_owned(),
                before => format!("generation {before}, which was durable when this save began"),
            };
            text.field("confirmed", confirmed);
            text.field("shards", newest.shards);
            let (low, high) = (newest.lowest_mark, newest.highest_mark);
            text.field("marks", format_args!("{low} to {high}"));
            text.field("ranges", newest.ranges);
            text.field("epochs", newest.epochs);
            text.field("incarnation", format_args!("{} is next", newest.next_incarnation));
            text.field("deltas", newest.deltas);
        }
        for row in self.shards.iter().flatten() {
            text.line(format_args!("    {row}"));
        }
        if let (Some(rows), Some(newest)) = (&self.shards, &self.newest)
            && rows.len() < newest.shards
        {
            let (more, all) = (newest.shards - rows.len(), newest.shards);
            let path = shown(&self.shown.path);
            text.line(format_args!("    and {more} more: replctl inspect --shards={all} {path}"));
        }
        if let Some(problem) = self.problem {
            problem.show(text);
        }
    }
}
