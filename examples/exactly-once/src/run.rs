//! The command line, and one run: starts the applier, kills it, checks what it left, and starts it
//! again until the logs are applied.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, Parser, ValueEnum};
use example_support::{Bar, Error, Folder, Kills, fraction, listen, rng, row, run_child};
use serde::{Deserialize, Serialize};

use crate::applier::{self, Event};
use crate::database::Database;
use crate::log::{Logs, SHARDS};
use crate::verify::{self, Fault};

/// Commits data and marks side by side in one database, each segment exactly once, while being
/// killed.
///
/// Without arguments: a process of four threads applies four logs in a temporary folder, and is
/// killed 200 times. Exits with 1 unless each segment has taken effect exactly once.
#[derive(Debug, Parser)]
#[command(version, about)]
struct RunArgs {
    /// Keep everything in this folder, which must be new or empty.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The number of segments in each of the four logs.
    #[arg(long, value_name = "N", default_value_t = 4000,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    segments: u64,
    /// The number of times to kill the applier.
    #[arg(long, value_name = "N", default_value_t = 200)]
    kills: u64,
    /// The seed of all random choices [default: a new one each time, printed].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Print one JSON document instead of a table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    apply: ApplyArgs,
}

/// The options of the applier.
#[derive(Debug, Clone, Copy, Args, Serialize, Deserialize)]
pub(crate) struct ApplyArgs {
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
    let apply = |(logs, args): (Logs, ApplyArgs)| {
        listen::<()>(drop);
        applier::run(&args, &logs)
    };
    example_support::main("exactly-once", apply, || {
        let args = RunArgs::parse();
        let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
        let (folder, seed) = Folder::take("exactly-once", args.dir.as_deref(), seed)?;
        if !folder.is_new() {
            let root = folder.root().display();
            return Err(format!("{root} is not empty: give another --dir").into());
        }
        example_support::run("exactly-once", args.json, folder, |folder| {
            let logs = Logs { root: folder.root().to_owned(), seed, segments: args.segments };
            run(&args, &logs)
        })
    })
}

/// A kill that is due waits a random time up to this.
const WAITS_UP_TO: Duration = Duration::from_millis(20);

/// The report of a run.
#[derive(Debug, Default, Serialize)]
struct Report {
    seed: u64,
    /// The number of segments of all logs.
    segments: u64,
    kills: u64,
    /// Commits that the applier saw take effect. A kill hides some.
    commits: u64,
    conflicts: u64,
    in_doubt: u64,
    /// Commits in doubt that the stored marks then said had taken effect.
    in_doubt_took_effect: u64,
    deleted: u64,
    applied_twice: usize,
    missing: usize,
    deleted_above_the_mark: usize,
    seconds: f64,
    exactly_once: bool,
    faults: Vec<String>,
}

/// Runs until the logs are applied, or until a check after a kill finds a fault.
fn run(args: &RunArgs, logs: &Logs) -> Result<Report, Error> {
    let began = Instant::now();
    logs.write()?;
    Database::create(&logs.database())?;
    let segments = logs.segments * SHARDS.len() as u64;
    let mut report = Report { seed: logs.seed, segments, ..Report::default() };
    let mut kills = Kills::new(rng(&[logs.seed, 5]), args.kills, WAITS_UP_TO);
    let bar = Bar::new(args.json);
    // The number of segments that are applied, as far as the parent knows.
    let mut done = 0;
    let found = loop {
        let at_end = run_child("applier", &(logs, args.apply), &mut kills, &bar, |event| {
            done += u64::from(matches!(event, Event::Committed | Event::FoundApplied));
            report.count(event);
            (fraction(done, segments), format!("{done} of {segments} segments"))
        })?;
        let found = verify::check(logs, &Database::open(&logs.database())?, at_end)?;
        if at_end || !found.faults.is_empty() {
            break found;
        }
        done = found.applied;
    };
    report.kills = kills.killed();
    report.deleted = found.deleted;
    let count = |is: fn(&Fault) -> bool| found.faults.iter().filter(|fault| is(fault)).count();
    report.applied_twice = count(|f| matches!(f, Fault::Repeated { .. }));
    report.missing = count(|f| matches!(f, Fault::Missing { .. } | Fault::DeletedUnapplied { .. }));
    report.deleted_above_the_mark = count(|f| matches!(f, Fault::DeletedAbove { .. }));
    report.exactly_once = found.faults.is_empty();
    report.faults = found.faults.iter().map(Fault::to_string).collect();
    if report.exactly_once && !report.shows_what_it_claims(args) {
        report.faults.push(format!(
            "{} kills of {}, {} conflicts and {} commits in doubt that took effect, so the run \
             shows too little: give more --segments",
            report.kills, args.kills, report.conflicts, report.in_doubt_took_effect
        ));
    }
    report.seconds = began.elapsed().as_secs_f64();
    Ok(report)
}

impl Report {
    fn count(&mut self, event: Event) {
        *match event {
            Event::Committed => &mut self.commits,
            Event::Conflict => &mut self.conflicts,
            Event::InDoubt => &mut self.in_doubt,
            Event::FoundApplied => &mut self.in_doubt_took_effect,
        } += 1;
    }

    fn shows_what_it_claims(&self, args: &RunArgs) -> bool {
        let has_doubts = args.apply.doubt_one_in == 0 || self.in_doubt_took_effect > 0;
        self.kills == args.kills && self.conflicts > 0 && has_doubts && self.deleted > 0
    }
}

impl example_support::Report for Report {
    fn table(&self) -> Vec<String> {
        let took_effect = self.in_doubt_took_effect;
        let verdict = if self.exactly_once { "each segment" } else { "NOT each segment" };
        vec![
            row("seed", self.seed),
            row("segments", format!("{} in {:.1} s", self.segments, self.seconds)),
            row("kills", self.kills),
            row("commits", self.commits),
            row("conflicts", format!("{}, tried again", self.conflicts)),
            row("in doubt", format!("{}, of which {took_effect} took effect", self.in_doubt)),
            row("deleted", format!("{} segments", self.deleted)),
            row("applied twice", self.applied_twice),
            row("missing", self.missing),
            row("deleted above the mark", self.deleted_above_the_mark),
            row("exactly once", verdict),
        ]
    }

    fn faults(&self) -> Vec<String> {
        self.faults.clone()
    }
}
