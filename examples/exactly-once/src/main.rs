//! Four threads commit data and marks side by side in one database, exactly once. README.md lists
//! the steps, and says why they are right.
//!
//! This file has the command line and the parent: it starts the applier, kills it, checks what it
//! left, and starts it again until the logs are applied.

mod applier;
mod database;
mod log;
mod verify;

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use example_support::{Error, Report, Run, RunArgs, fraction, listen};
use serde::{Deserialize, Serialize};

use crate::applier::Event;
use crate::database::Database;
use crate::log::{Logs, SHARDS};

/// Commits data and marks side by side in one database, each segment exactly once, while being
/// killed.
///
/// Without arguments: a process of four threads applies four logs in a temporary folder, and is
/// killed 200 times. Exits with 1 unless each segment has taken effect exactly once.
#[derive(Debug, Parser, Serialize, Deserialize)]
#[command(version, about)]
struct Args {
    #[command(flatten)]
    run: RunArgs<200>,
    /// The number of segments in each of the four logs.
    #[arg(long, value_name = "N", default_value_t = 4000,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    segments: u64,
    /// For tests: leave one commit in N in doubt, or none for 0. Half of them take effect.
    #[arg(long, value_name = "N", default_value_t = 40, hide = true)]
    doubt_one_in: u64,
    /// For tests: keep this many segments that may be deleted.
    #[arg(long, value_name = "N", default_value_t = 0, hide = true)]
    keep: u64,
    /// For tests: break one rule of the protocol.
    #[arg(long, hide = true)]
    mutant: Option<Mutant>,
}

/// A deliberately wrong applier that the check must detect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
enum Mutant {
    /// Stores the marks of a clone of the live state, instead of those stored and its own move.
    CloneLiveState,
    /// Advances the live state before the commit.
    AdvanceBeforeCommit,
}

fn main() -> ExitCode {
    let apply = |(logs, args): (Logs, Args)| {
        listen::<()>(drop);
        applier::run(&args, &logs)
    };
    example_support::main("exactly-once", apply, || {
        let args = Args::parse();
        args.run.start("exactly-once")?.report(|run| apply_and_kill(&args, run))
    })
}

/// What a run counts.
#[derive(Debug, Default, Serialize)]
struct Counts {
    /// The segments of all logs.
    segments: u64,
    kills: u64,
    deleted: u64,
    /// How often each happened. A kill hides some.
    #[serde(flatten)]
    events: BTreeMap<Event, u64>,
}

impl Report for Counts {}

/// Runs until the logs are applied, or until a check after a kill finds a fault.
fn apply_and_kill(args: &Args, run: &mut Run) -> Result<(Counts, Vec<String>), Error> {
    let (root, seed) = (run.folder.root.clone(), run.seed);
    let logs = Logs { root, seed, segments: args.segments };
    logs.write()?;
    Database::create(&logs.database())?;
    let segments = logs.segments * SHARDS.len() as u64;
    let mut counts = Counts { segments, ..Counts::default() };
    // The number of segments that are applied, as far as the parent knows.
    let mut done = 0;
    let mut faults = loop {
        let at_end = run.child("applier", &(&logs, args), |event, _| {
            done += u64::from(matches!(event, Some(Event::Committed | Event::FoundApplied)));
            if let Some(event) = event {
                *counts.events.entry(event).or_default() += 1;
            }
            Ok(fraction(done, segments))
        })?;
        let found = verify::check(&logs, &Database::open(&logs.database())?, at_end)?;
        (counts.kills, counts.deleted) = (run.kills.killed(), found.deleted);
        if at_end || !found.faults.is_empty() {
            break found.faults;
        }
        done = found.applied;
    };
    let count = |event| counts.events.get(&event).copied().unwrap_or(0);
    let (kills, conflicts) = (counts.kills, count(Event::Conflict));
    let took_effect = count(Event::FoundApplied);
    let has_doubts = args.doubt_one_in == 0 || took_effect > 0;
    let shows_all = kills == args.run.kills && conflicts > 0 && has_doubts && counts.deleted > 0;
    if faults.is_empty() && !shows_all {
        faults.push(format!(
            "{kills} kills of {}, {conflicts} conflicts and {took_effect} commits in doubt that \
             took effect, so the run shows too little: give more --segments",
            args.run.kills
        ));
    }
    Ok((counts, faults))
}
