//! The command line, and one run: writes the logs, kills the process that follows them, checks what
//! it left, and starts it again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use clap::Parser;
use example_support::{Child, End, Error, Folder, Kills, fraction, listen, rng, row, send};
use repl_checkpoint::{Saved, peek};
use repl_core::SeqNo;
use serde::Serialize;

use crate::follower::{self, SHARDS};
use crate::leader::Leader;
use crate::mutant::{self, Mutant};
use crate::verify;

/// Follows logs into table files while being killed.
///
/// Without arguments: a process follows three logs in a temporary folder, and is killed 20 times.
/// Exits with 1 unless the tables are equal to the logs in the end.
#[derive(Debug, Parser)]
#[command(version, about)]
struct RunArgs {
    /// The number of times to kill the follower.
    #[arg(long, value_name = "N", default_value_t = 20)]
    kills: u64,
    /// The seed of all random choices [default: a new one each time, printed].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Print one JSON document instead of a table.
    #[arg(long)]
    json: bool,
    /// Break one rule of the engine, which the check must find.
    #[arg(long, value_name = "NAME")]
    mutant: Option<Mutant>,
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    example_support::main("minimal-follower", follow, || {
        let args = RunArgs::parse();
        let (folder, ()) = Folder::take("minimal-follower", None, ())?;
        let run = |folder: &Folder| run(&args, folder.root());
        example_support::run("minimal-follower", args.json, folder, run)
    })
}

/// The follower process. Sends an event after each checkpoint.
fn follow((dir, until, mutant): (PathBuf, SeqNo, Option<Mutant>)) -> Result<(), Error> {
    listen::<()>(drop);
    let checkpoint = |engine: &mut _| {
        let saved = mutant::checkpoint(mutant, engine)?;
        if saved != Saved::Unchanged {
            send(());
        }
        Ok(saved)
    };
    Ok(follower::run(&dir, until, checkpoint)?)
}

/// The length of the logs when the first process starts.
const SEGMENTS: SeqNo = 100;
/// A process takes this many checkpoints on average before it is killed.
const CHECKPOINTS_PER_KILL: u64 = 4;
/// A kill that is due waits a random time up to this.
const WAITS_UP_TO: Duration = Duration::from_millis(20);
/// A process that is not killed reaches the ends of the logs within this time.
const LIMIT: Duration = Duration::from_secs(60);
/// After every third kill the newest checkpoint is damaged.
const DAMAGED_EVERY: u64 = 3;

/// The report of a run.
#[derive(Debug, Default, Serialize)]
struct Report {
    seed: u64,
    /// The number of segments of all logs.
    segments: u64,
    kills: u64,
    /// Checkpoints that the parent knows of. A kill hides some.
    checkpoints: u64,
    /// Starts with a damaged newest checkpoint.
    fallbacks: u64,
    /// Segments above the marks at each restart, added up.
    needed: u64,
    deleted_before_last_kill: u64,
    deleted: u64,
    faults: Vec<String>,
}

/// Runs until the logs are followed to their ends, or until a check finds a fault.
fn run(args: &RunArgs, dir: &Path) -> Result<Report, Error> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let mut kills = Kills::new(rng(&[seed]), args.kills, WAITS_UP_TO);
    let mut leader = Leader::create(dir, seed, SEGMENTS)?;
    let mut report = Report { seed, ..Report::default() };
    loop {
        let at_end = run_child(args, dir, &mut leader, &mut kills, &mut report.checkpoints)?;
        if !at_end && kills.killed().is_multiple_of(DAMAGED_EVERY) && damage_newest(dir)? {
            report.fallbacks += 1;
        }
        let found = verify::check(dir, &leader, at_end)?;
        report.deleted = found.deleted;
        report.faults = found.faults;
        if at_end || !report.faults.is_empty() {
            break;
        }
        report.needed += found.needed;
        report.deleted_before_last_kill = found.deleted;
    }
    report.kills = kills.killed();
    report.segments = leader.last * SHARDS.len() as u64;
    Ok(report)
}

/// Runs one follower while the logs grow, until it is killed. If no kill is left, the logs do not
/// grow, and it follows them to their ends. Returns whether it did.
fn run_child(
    args: &RunArgs,
    dir: &Path,
    leader: &mut Leader,
    kills: &mut Kills,
    checkpoints: &mut u64,
) -> Result<bool, Error> {
    let until = if kills.are_done() { leader.last } else { SeqNo::MAX };
    let (sender, events) = mpsc::channel::<()>();
    let mut child = Child::start("follower", &(dir, until, args.mutant), sender)?;
    let at_end = loop {
        if until == SeqNo::MAX {
            leader.write_next()?;
        }
        if events.recv_timeout(Duration::from_millis(1)).is_ok() {
            *checkpoints += 1;
        } else if let Some(end) = child.ended_within(LIMIT)? {
            break end == End::Finished;
        }
        if kills.is_due(fraction(*checkpoints, args.kills * CHECKPOINTS_PER_KILL)) {
            child.kill()?;
            break false;
        }
    };
    *checkpoints += events.iter().count() as u64;
    Ok(at_end)
}

/// Cuts the newest checkpoint off in the middle. Returns false if the one before would not do.
///
/// A follower survives one damaged checkpoint, so nothing is damaged while the newest is damaged
/// already, nor while it is the only one.
fn damage_newest(dir: &Path) -> Result<bool, Error> {
    let marks = dir.join("marks");
    let mut files = Vec::new();
    for entry in fs::read_dir(&marks).into_iter().flatten() {
        files.push(entry?.path());
    }
    files.retain(|file| file.extension().is_some_and(|end| end == "checkpoint"));
    files.sort();
    let [.., _before, newest] = &files[..] else { return Ok(false) };
    if peek(&marks)?.path != *newest {
        return Ok(false);
    }
    let file = fs::OpenOptions::new().write(true).open(newest)?;
    file.set_len(file.metadata()?.len() / 2)?;
    Ok(true)
}

impl example_support::Report for Report {
    fn table(&self) -> Vec<String> {
        let Report { deleted, deleted_before_last_kill, .. } = self;
        let verdict = if self.faults.is_empty() { "equal" } else { "NOT equal" };
        vec![
            row("seed", self.seed),
            row("segments", self.segments),
            row("kills", self.kills),
            row("checkpoints", self.checkpoints),
            row("damaged checkpoints", self.fallbacks),
            row("needed at restarts", format!("{} segments", self.needed)),
            row("deleted", format!("{deleted}, {deleted_before_last_kill} before the last kill")),
            row("tables", format!("{verdict} to the logs")),
        ]
    }

    fn faults(&self) -> Vec<String> {
        self.faults.clone()
    }
}
