//! `replctl diff`: what moved from one checkpoint to another.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use repl_core::{Snapshot, SnapshotChange};
use serde::Serialize;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, Report, Text};
use crate::seen::Seen;
use crate::verdict::is_refused;
use crate::wording::{counted, shown};

/// The arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The older one: a store, a checkpoint file, or a slot file
    before: PathBuf,
    /// The newer one
    after: PathBuf,
    /// List this many shards at most
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    limit: usize,
}

#[derive(Serialize)]
struct Diff {
    before: Side,
    after: Side,
    added: usize,
    removed: usize,
    reset: usize,
    changed: usize,
    /// What marks moved in all, forwards and back.
    forwards: u64,
    back: u64,
    shards: Vec<Change>,
}

/// One of the two.
#[derive(Serialize)]
struct Side {
    path: PathBuf,
    store: Option<String>,
    generation: Option<u64>,
    shards: usize,
}

#[derive(Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
enum Change {
    Added {
        shard: u64,
        mark: u64,
    },
    Removed {
        shard: u64,
        mark: u64,
    },
    Reset {
        shard: u64,
        from: u64,
        to: u64,
    },
    Moved {
        shard: u64,
        from: u64,
        to: u64,
    },
    /// Ranges above the mark, epochs or the log differ.
    Other {
        shard: u64,
        mark: u64,
    },
}

/// Compares two paths.
pub(crate) fn run(args: &Args, output: &Output) -> Result<Exit, Failure> {
    let (before, first, exit) = side(&args.before)?;
    let (after, second, other) = side(&args.after)?;
    output.print(&Diff::of(before, after, &first, &second, args.limit))?;
    Ok(if exit == Exit::Good { other } else { exit })
}

/// The newest whole generation at a path. Without one there is nothing to compare.
pub(crate) fn marks_at(path: &Path) -> Result<(Seen, Arc<Snapshot>), Failure> {
    let mut seen = Seen::at(path)?;
    let is_refused = is_refused(&seen.survey);
    let newest = seen.survey.newest.take().filter(|_| !is_refused);
    match (newest, seen.problem.take()) {
        (Some(marks), problem) => {
            seen.problem = problem;
            Ok((seen, marks))
        }
        (None, Some(problem)) => Err(problem),
        (None, None) => Err(Failure::new(Exit::Unknown, path, "no checkpoint is there")),
    }
}

fn side(path: &Path) -> Result<(Side, Arc<Snapshot>, Exit), Failure> {
    let (seen, marks) = marks_at(path)?;
    let generation = seen.survey.newest_whole().and_then(|found| found.header);
    let side = Side {
        path: path.to_owned(),
        store: seen.survey.store.map(|store| store.to_string()),
        generation: generation.map(|header| header.generation),
        shards: marks.len(),
    };
    Ok((side, marks, seen.exit()))
}

impl Diff {
    fn of(before: Side, after: Side, old: &Snapshot, new: &Snapshot, limit: usize) -> Self {
        let (added, removed, reset, changed) = (0, 0, 0, 0);
        let (forwards, back, shards) = (0, 0, Vec::new());
        let mut diff =
            Diff { before, after, added, removed, reset, changed, forwards, back, shards };
        for change in new.changes_since(old) {
            let change = diff.count(change, old);
            if diff.shards.len() < limit {
                diff.shards.extend(change);
            }
        }
        diff
    }

    fn count(&mut self, change: SnapshotChange, old: &Snapshot) -> Option<Change> {
        let before = |shard| old.mark(shard).unwrap_or(0);
        Some(match change {
            SnapshotChange::Added { shard, mark } => {
                self.added += 1;
                Change::Added { shard: shard.0, mark }
            }
            SnapshotChange::Removed { shard } => {
                self.removed += 1;
                Change::Removed { shard: shard.0, mark: before(shard) }
            }
            SnapshotChange::Reset { shard, mark } => {
                self.reset += 1;
                Change::Reset { shard: shard.0, from: before(shard), to: mark }
            }
            SnapshotChange::Changed { shard, from, to } if from == to => {
                self.changed += 1;
                Change::Other { shard: shard.0, mark: to }
            }
            SnapshotChange::Changed { shard, from, to } => {
                self.changed += 1;
                self.forwards = self.forwards.saturating_add(to.saturating_sub(from));
                self.back = self.back.saturating_add(from.saturating_sub(to));
                Change::Moved { shard: shard.0, from, to }
            }
            _ => return None,
        })
    }
}

impl Side {
    fn line(&self) -> String {
        let generation = self.generation.map_or("?".to_owned(), |number| number.to_string());
        let shards = counted(self.shards, "shard");
        format!("generation {generation}, {shards}: {}", self.path.display())
    }
}

impl Report for Diff {
    fn show(&self, text: &mut Text) {
        text.field("before", self.before.line());
        text.field("after", self.after.line());
        if self.before.store != self.after.store {
            text.warning("  they are of two stores");
        }
        for change in &self.shards {
            text.line(change.line());
        }
        let Diff { added, removed, reset, changed, forwards, back, .. } = self;
        let all = added + removed + reset + changed;
        if all > self.shards.len() {
            let more = all - self.shards.len();
            let (before, after) = (shown(&self.before.path), shown(&self.after.path));
            text.line(format_args!(
                "  and {more} more: replctl diff --limit {all} {before} {after}"
            ));
        }
        text.line(format_args!(
            "{changed} changed, {added} added, {removed} removed, {reset} reset; marks moved {forwards} \
             forwards, {back} back"
        ));
    }
}

impl Change {
    fn line(&self) -> String {
        match self {
            Change::Added { shard, mark } => format!("+ shard {shard}: mark {mark}"),
            Change::Removed { shard, mark } => format!("- shard {shard}: its mark was {mark}"),
            Change::Reset { shard, from, to } => {
                let before =
                    if from == to { "as before".into() } else { format!("before: {from}") };
                format!("! shard {shard}: reset to a new incarnation, at mark {to} ({before})")
            }
            Change::Moved { shard, from, to } if to > from => {
                format!("  shard {shard}: {from} to {to}, +{}", to - from)
            }
            Change::Moved { shard, from, to } => {
                format!("! shard {shard}: {from} to {to}, -{}", from - to)
            }
            Change::Other { shard, mark } => {
                format!("  shard {shard}: mark {mark}; ranges, epochs or log differ")
            }
        }
    }
}
