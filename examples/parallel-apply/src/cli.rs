//! What may a user ask for?

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::accounts::Accounts;
use crate::folder::Folder;
use crate::{applier, events, folder, log, run};

/// Applies the records of a log out of order, each exactly once, and is killed again and again.
///
/// Without arguments: a log in a temporary folder, applied by a process of four threads that is
/// killed 20 times. Exits with 1 unless the effect of each record is there exactly once in the end.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    child: Option<ChildCommand>,
    #[command(flatten)]
    run: RunArgs,
}

/// What one run is asked for.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Keep everything in this folder: a second run goes on where the first stopped.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// How many records the log has [default: 40000, or those of the log in --dir].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(crate) records: Option<u64>,
    /// How often to kill the applier.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) kills: u64,
    /// Where the random choices begin [default: another one each time, printed].
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Print one JSON document instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) apply: ApplyArgs,
}

/// How to apply.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// How many threads apply at once.
    #[arg(long, value_name = "N", default_value_t = 4,
        value_parser = clap::value_parser!(u64).range(1..=64))]
    pub(crate) threads: u64,
    /// For tests: abort one batch in so many; none for 0.
    #[arg(long, value_name = "N", default_value_t = 50, hide = true)]
    pub(crate) fail_one_in: u64,
    /// For tests: break one rule, to see that it is missed.
    #[arg(long, hide = true)]
    pub(crate) sabotage: Option<Sabotage>,
}

/// A rule to break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sabotage {
    /// The mark is recorded, and the completed ranges are not.
    ForgetRanges,
    /// Mark and ranges are committed in a transaction of their own, before the data.
    MarkFirst,
}

/// What the parent starts.
#[derive(Debug, Subcommand)]
enum ChildCommand {
    #[command(hide = true)]
    Apply {
        #[arg(long)]
        dir: PathBuf,
        #[command(flatten)]
        args: ApplyArgs,
    },
}

/// Does what the command line asks for.
pub fn main() -> ExitCode {
    let Cli { child, run } = Cli::parse();
    let (who, result) = match child {
        None => ("parallel-apply", run_all(&run)),
        Some(ChildCommand::Apply { dir, args }) => ("applier", apply(&dir, &args)),
    };
    result.unwrap_or_else(|error| {
        eprintln!("{who}: {}", chain(&*error));
        ExitCode::FAILURE
    })
}

fn run_all(args: &RunArgs) -> Result<ExitCode, Box<dyn Error>> {
    let folder = Folder::take(args.dir.as_deref(), args.records, args.seed)?;
    let report = match run::run(args, &folder) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("parallel-apply: everything is kept in {}", folder.keep().display());
            return Err(error.into());
        }
    };
    let mut out = io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        report.print(&mut out)?;
    }
    if report.exactly_once && report.shows_what_it_claims {
        return Ok(ExitCode::SUCCESS);
    }
    for fault in &report.faults {
        eprintln!("parallel-apply: {fault}");
    }
    if report.exactly_once {
        eprintln!(
            "parallel-apply: killed {} of {} times, and {} starts found records completed above \
             the mark: this does not show what it should; ask for more --records",
            report.kills, args.kills, report.resumes_above_mark
        );
    }
    eprintln!("parallel-apply: everything is kept in {}", folder.keep().display());
    Ok(ExitCode::FAILURE)
}

fn apply(dir: &std::path::Path, args: &ApplyArgs) -> Result<ExitCode, Box<dyn Error>> {
    events::end_with_parent();
    let log = log::Log::open(&folder::log_in(dir))?;
    let accounts = Accounts::open(&folder::accounts_in(dir), log.id())?;
    applier::run(args, &log, &accounts)?;
    Ok(ExitCode::SUCCESS)
}

/// An error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
