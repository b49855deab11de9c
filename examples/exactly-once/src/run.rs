//! The command line, and one run: starts the applier, kills it, checks what it left, and starts it
//! again until the logs are applied.

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use example_support::{Error, Report, Run, RunArgs, fraction, listen};
use serde::{Deserialize, Serialize};

use crate::applier::{self, Event};
use crate::database::Database;
use crate::log::{Logs, SHARDS};
use crate::verify;

/// Commits data and marks side by side in one database, each segment exactly once, while being
/// killed.
///
/// Without arguments: a process of four threads applies four logs in a temporary folder, and is
/// killed 200 times. Exits with 1 unless each segment has taken effect exactly once.
#[derive(Debug, Parser, Serialize, Deserialize)]
#[command(version, about)]
pub(crate) struct Args {
    #[command(flatten)]
    run: RunArgs<200>,
    /// The number of segments in each of the four logs.
    #[arg(long, value_name = "N", default_value_t = 4000,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    segments: u64,
    /// For tests: leave one commit in N in doubt, or none for 0. Half of them take effect.
    #[arg(long, value_name = "N", default_value_t = 40, hide = true)]
    pub(crate) doubt_one_in: u64,
    /// For tests: keep this many segments that may be deleted.
    #[arg(long, value_name = "N", default_value_t = 0, hide = true)]
    pub(crate) keep: u64,
    /// For tests: break one rule of the protocol.
    #[arg(long, hide = true)]
    pub(crate) mutant: Option<Mutant>,
}

/// A deliberately wrong applier that the check must detect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Mutant {
    /// Stores the marks of a clone of the live state, instead of those stored and its own move.
    CloneLiveState,
    /// Advances the live state before the commit.
    AdvanceBeforeCommit,
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
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
    /// Commits that the applier saw take effect. A kill hides some.
    commits: u64,
    conflicts: u64,
    in_doubt: u64,
    /// Commits in doubt that the stored marks then said had taken effect.
    in_doubt_took_effect: u64,
    deleted: u64,
}

impl Report for Counts {}

/// Runs until the logs are applied, or until a check after a kill finds a fault.
fn apply_and_kill(args: &Args, run: &mut Run) -> Result<(Counts, Vec<String>), Error> {
    let (root, seed) = (run.folder.root().to_owned(), run.seed);
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
                counts.count(event);
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
    if faults.is_empty() && !counts.show_what_the_run_claims(args) {
        faults.push(format!(
            "{} kills of {}, {} conflicts and {} commits in doubt that took effect, so the run \
             shows too little: give more --segments",
            counts.kills, args.run.kills, counts.conflicts, counts.in_doubt_took_effect
        ));
    }
    Ok((counts, faults))
}

impl Counts {
    fn count(&mut self, event: Event) {
        *match event {
            Event::Committed => &mut self.commits,
            Event::Conflict => &mut self.conflicts,
            Event::InDoubt => &mut self.in_doubt,
            Event::FoundApplied => &mut self.in_doubt_took_effect,
        } += 1;
    }

    fn show_what_the_run_claims(&self, args: &Args) -> bool {
        let has_doubts = args.doubt_one_in == 0 || self.in_doubt_took_effect > 0;
        self.kills == args.run.kills && self.conflicts > 0 && has_doubts && self.deleted > 0
    }
}
