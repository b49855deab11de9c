//! A follower to copy: a storage engine that follows a log, in under 150 lines.
//!
//! `engine.rs` is the engine, `start.rs` compares it with its logs at each start, and `follower.rs`
//! is the process that runs it. The other files test them: the parent in this file writes the logs,
//! kills the process with SIGKILL at random instants, checks what it left, and starts it again.
//!
//! ```sh
//! cargo run --locked --release -p minimal-follower
//! ```

mod engine;
mod follower;
mod leader;
mod mutant;
mod start;
mod verify;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use example_support::{Error, Report, Run, RunArgs, files, fraction, listen, send};
use repl_checkpoint::{Saved, peek};
use repl_core::SeqNo;
use serde::Serialize;

use crate::follower::SHARDS;
use crate::leader::Leader;
use crate::mutant::Mutant;

/// Follows logs into table files while being killed.
///
/// Without arguments: a process follows three logs in a temporary folder, and is killed 20 times.
/// Exits with 1 unless the tables are equal to the logs in the end.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Args {
    #[command(flatten)]
    run: RunArgs<20>,
    /// Break one rule of the engine, which the check must find.
    #[arg(long, value_name = "NAME")]
    mutant: Option<Mutant>,
}

fn main() -> ExitCode {
    example_support::main("minimal-follower", follow, || {
        let args = Args::parse();
        args.run.start("minimal-follower")?.report(|run| follow_and_kill(&args, run))
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
/// After every third kill the newest checkpoint is damaged.
const DAMAGED_EVERY: u64 = 3;

/// What a run counts.
#[derive(Debug, Default, Serialize)]
struct Counts {
    /// The segments of all logs.
    segments: u64,
    kills: u64,
    /// Checkpoints that the parent knows of. A kill hides some.
    checkpoints: u64,
    /// Starts with a damaged newest checkpoint.
    fallbacks: u64,
    /// Segments above the marks at each restart, added up.
    needed: u64,
    /// Segments that were deleted before the last kill.
    deleted_early: u64,
    deleted: u64,
}

impl Report for Counts {}

/// Runs until the logs are followed to their ends, or until a check finds a fault.
///
/// The logs grow while a follower runs, until it is killed. When no kill is left they do not grow,
/// and the last follower reaches their ends.
fn follow_and_kill(args: &Args, run: &mut Run) -> Result<(Counts, Vec<String>), Error> {
    let dir = run.folder.root.clone();
    let mut leader = Leader::create(&dir, run.seed, SEGMENTS)?;
    let mut counts = Counts::default();
    loop {
        let until = if run.kills.are_done() { leader.last } else { SeqNo::MAX };
        let at_end = run.child("follower", &(&dir, until, args.mutant), |saved, child| {
            child.must_end_soon()?;
            if until == SeqNo::MAX {
                leader.write_next()?;
            }
            counts.checkpoints += saved.map_or(0, |()| 1);
            // The last kill is due before nine tenths.
            Ok(fraction(counts.checkpoints, args.run.kills * CHECKPOINTS_PER_KILL).min(0.9))
        })?;
        counts.kills = run.kills.killed();
        if !at_end && counts.kills.is_multiple_of(DAMAGED_EVERY) && damage_newest(&dir)? {
            counts.fallbacks += 1;
        }
        let found = verify::check(&dir, &leader, at_end)?;
        counts.deleted = found.deleted;
        if at_end || !found.faults.is_empty() {
            counts.segments = leader.last * SHARDS.len() as u64;
            return Ok((counts, found.faults));
        }
        counts.needed += found.needed;
        counts.deleted_early = found.deleted;
    }
}

/// Cuts the newest checkpoint off in the middle. Returns false if the one before would not do.
///
/// A follower survives one damaged checkpoint, so nothing is damaged while the newest is damaged
/// already, nor while it is the only one.
fn damage_newest(dir: &Path) -> Result<bool, Error> {
    let marks = dir.join("marks");
    let [.., _before, newest] = &files::checkpoints_in(&marks)?[..] else { return Ok(false) };
    if peek(&marks)?.path != *newest {
        return Ok(false);
    }
    let file = fs::OpenOptions::new().write(true).open(newest)?;
    file.set_len(file.metadata()?.len() / 2)?;
    Ok(true)
}
