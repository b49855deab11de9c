//! The command line, and one run: starts the applier, kills it and starts it again until the log is
//! applied, then compares the database with the log.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use example_support::{Error, Report, Run, RunArgs, fraction, listen};
use serde::{Deserialize, Serialize};

use crate::accounts::Accounts;
use crate::applier::{self, Counts, Event, above_mark};
use crate::log::Log;
use crate::verify;

const RECORDS: u64 = 40_000;

/// Applies the records of a log out of order, each exactly once, while being killed.
///
/// Without arguments: applies a log in a temporary folder with a process of four threads, which is
/// killed 20 times. Exits with 1 unless each record has taken effect exactly once.
///
/// In a --dir that holds an earlier run, a run continues where that one stopped.
#[derive(Debug, Parser, Serialize, Deserialize)]
#[command(version, about)]
pub(crate) struct Args {
    #[command(flatten)]
    run: RunArgs<20>,
    /// The number of records in the log [default: 40000, or that of the log in --dir].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    records: Option<u64>,
    /// The number of threads that apply records.
    #[arg(long, value_name = "N", default_value_t = 4,
        value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) threads: u16,
    /// For tests: abort one batch in N, or none for 0.
    #[arg(long, value_name = "N", default_value_t = 50, hide = true)]
    pub(crate) fail_one_in: u64,
    /// For tests: break one rule of the protocol.
    #[arg(long, hide = true)]
    pub(crate) mutant: Option<Mutant>,
}

/// A deliberately wrong applier that the final comparison must detect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Mutant {
    /// Records the mark, and not the completed ranges.
    ForgetRanges,
    /// Commits mark and ranges in a transaction of their own, before the data.
    MarkFirst,
}

/// Runs the program.
pub fn main() -> ExitCode {
    let apply = |(path, log, args): (PathBuf, Log, Args)| {
        listen::<()>(drop);
        applier::run(&args, &log, &Accounts::open(&path, log.id())?)
    };
    example_support::main("parallel-apply", apply, || {
        let args = Args::parse();
        let records = args.records.unwrap_or(RECORDS);
        let (run, log) =
            args.run.start_or_continue("parallel-apply", |seed| Log { seed, records })?;
        let Log { seed, records } = log;
        if run.seed != seed || args.records.is_some_and(|r| r != records) {
            let root = run.folder.root.display();
            let made = format!("{root} was made with --seed {seed} --records {records}");
            return Err(format!("{made}: give the same, or another --dir").into());
        }
        run.report(|run| apply_and_kill(&args, run, &log))
    })
}

/// What a run counts.
#[derive(Debug, Default, Serialize)]
struct RunCounts {
    records: u64,
    threads: u16,
    kills: u64,
    /// Starts that found records applied.
    resumes: u64,
    /// Starts that found completed ranges above the mark.
    resumes_above_mark: u64,
    #[serde(flatten)]
    appliers: Counts,
}

impl Report for RunCounts {}

/// Runs until the log is applied, and compares.
fn apply_and_kill(
    args: &Args,
    run: &mut Run,
    log: &Log,
) -> Result<(RunCounts, Vec<String>), Error> {
    let path = run.folder.root.join("accounts.redb");
    if !path.exists() {
        Accounts::create(&path, log.id())?;
    }
    let found = Accounts::open(&path, log.id())?.applied()?;
    let from = found.mark().saturating_add(above_mark(&found));
    let (records, threads) = (log.records, args.threads);
    let mut counts = RunCounts { records, threads, ..RunCounts::default() };
    let mut done = from;
    let mut finished = false;
    while !finished {
        let mut applier = Counts::default();
        finished = run.child("applier", &(&path, log, args), |event, _| {
            match event {
                Some(Event::Started { mark, above }) => {
                    counts.resumes += u64::from(mark > 0 || above > 0);
                    counts.resumes_above_mark += u64::from(above > 0);
                }
                Some(Event::Committed { done: now, counts }) => (done, applier) = (now, counts),
                None => {}
            }
            Ok(fraction(done - from, records - from))
        })?;
        counts.appliers.add(applier);
    }
    counts.kills = run.kills.killed();
    let mut faults = verify::compare(log, &Accounts::open(&path, log.id())?)?;
    // A run that continues another may be too short to show anything.
    let (kills, above) = (args.run.kills, counts.resumes_above_mark);
    if faults.is_empty() && kills > 0 && from == 0 && (counts.kills < kills || above == 0) {
        faults.push(format!(
            "the applier was killed {} times of {kills}, and {above} starts found records \
             completed above the mark, so the run shows too little: give more --records",
            counts.kills
        ));
    }
    Ok((counts, faults))
}
