//! The command line, and one run: starts the applier, kills it and starts it again until the log is
//! applied, then compares the database with the log.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, Parser, ValueEnum};
use example_support::{
    Bar, Context, Error, Folder, Kills, files, fraction, listen, rng, row, run_child,
};
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
#[derive(Debug, Parser)]
#[command(version, about)]
struct RunArgs {
    /// Keep everything in this folder. A second run continues where the first stopped.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The number of records in the log [default: 40000, or that of the log in --dir].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    records: Option<u64>,
    /// The number of times to kill the applier.
    #[arg(long, value_name = "N", default_value_t = 20)]
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
    /// The number of threads that apply records.
    #[arg(long, value_name = "N", default_value_t = 4,
        value_parser = clap::value_parser!(u64).range(1..=64))]
    pub(crate) threads: u64,
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
    let apply = |(root, args): (PathBuf, ApplyArgs)| {
        listen::<()>(drop);
        let log: Log = Folder::settings_in(&root)?;
        applier::run(&args, &log, &Accounts::open(&accounts_in(&root), log.id())?)
    };
    example_support::main("parallel-apply", apply, || {
        let args = RunArgs::parse();
        let (folder, log) = take_folder(&args)?;
        example_support::run("parallel-apply", args.json, folder, |folder| {
            run(&args, folder.root(), &log)
        })
    })
}

/// Locks the folder, and creates what is missing in it.
fn take_folder(args: &RunArgs) -> Result<(Folder, Log), Error> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let new = Log::new(seed, args.records.unwrap_or(RECORDS));
    let (folder, log) = Folder::take("parallel-apply", args.dir.as_deref(), new)?;
    let (seed, records) = (log.seed, log.len());
    if args.seed.is_some_and(|s| s != seed) || args.records.is_some_and(|r| r != records) {
        return Err(format!(
            "{} was made with --seed {seed} --records {records}: give the same, or another --dir",
            folder.root().display()
        )
        .into());
    }
    make_accounts(&accounts_in(folder.root()), &log)?;
    Ok((folder, log))
}

/// Creates the database under a temporary name and renames it. A kill during the creation would
/// otherwise leave a file that redb refuses for good.
fn make_accounts(path: &Path, log: &Log) -> Result<(), Error> {
    if path.exists() {
        return Ok(());
    }
    let temporary = path.with_extension("tmp");
    files::remove(&temporary)?;
    Accounts::create(&temporary, log.id())?;
    let renamed = std::fs::rename(&temporary, path).and_then(|()| files::sync_folder_of(path));
    renamed.context(|| format!("cannot rename {}", temporary.display()))
}

/// A kill that is due waits a random time up to this.
const WAITS_UP_TO: Duration = Duration::from_millis(30);

/// The report of a run.
#[derive(Debug, Default, Serialize)]
struct Report {
    seed: u64,
    records: u64,
    threads: u64,
    kills: u64,
    /// Starts that found records applied.
    resumes: u64,
    /// Starts that found completed ranges above the mark.
    resumes_above_mark: u64,
    /// Records committed before an earlier one was.
    out_of_order: u64,
    passed_over: u64,
    waits_for_room: u64,
    failed_batches: u64,
    seconds: f64,
    exactly_once: bool,
    faults: Vec<String>,
}

fn accounts_in(root: &Path) -> PathBuf {
    root.join("accounts.redb")
}

/// Runs until the log is applied, and compares.
fn run(args: &RunArgs, root: &Path, log: &Log) -> Result<Report, Error> {
    let began = Instant::now();
    let open = || Accounts::open(&accounts_in(root), log.id());
    let found = open()?.applied()?;
    let from = found.mark().saturating_add(above_mark(&found));
    let (seed, records) = (log.seed, log.len());
    let mut report = Report { seed, records, threads: args.apply.threads, ..Report::default() };
    let mut kills = Kills::new(rng(&[seed, 5]), args.kills, WAITS_UP_TO);
    let bar = Bar::new(args.json);
    let task = (root, args.apply);
    let mut done = from;
    loop {
        // The counts of the current applier.
        let mut counts = Counts::default();
        let finished = run_child("applier", &task, &mut kills, &bar, |event| {
            match event {
                Event::Started { mark, above } => {
                    report.resumes += u64::from(mark > 0 || above > 0);
                    report.resumes_above_mark += u64::from(above > 0);
                }
                Event::Committed { done: now, counts: all } => (done, counts) = (now, all),
            }
            (fraction(done - from, records - from), format!("{done} of {records} records"))
        })?;
        report.out_of_order += counts.out_of_order;
        report.passed_over += counts.passed_over;
        report.waits_for_room += counts.waits;
        report.failed_batches += counts.failed;
        if finished {
            break;
        }
    }
    report.kills = kills.killed();
    report.faults = verify::compare(log, &open()?)?;
    report.exactly_once = report.faults.is_empty();
    // A run that continues another may be too short to show anything.
    let killed = report.kills == args.kills && report.resumes_above_mark > 0;
    if report.exactly_once && args.kills > 0 && from == 0 && !killed {
        report.faults.push(format!(
            "the applier was killed {} times of {}, and {} starts found records completed above \
             the mark, so the run shows too little: give more --records",
            report.kills, args.kills, report.resumes_above_mark
        ));
    }
    report.seconds = began.elapsed().as_secs_f64();
    Ok(report)
}

impl example_support::Report for Report {
    fn table(&self) -> Vec<String> {
        let above = self.resumes_above_mark;
        vec![
            row("seed", self.seed),
            row("records", format!("{} in {:.1} s", self.records, self.seconds)),
            row("threads", self.threads),
            row("kills", self.kills),
            row("resumes", format!("{}, {above} with records above the mark", self.resumes)),
            row("out of order", format!("{} records", self.out_of_order)),
            row("passed over", format!("{} records, already completed", self.passed_over)),
            row("waits for room", self.waits_for_room),
            row("failed batches", format!("{}, applied again", self.failed_batches)),
            row("exactly once", if self.exactly_once { "each record" } else { "NOT each record" }),
        ]
    }

    fn faults(&self) -> Vec<String> {
        self.faults.clone()
    }
}
