//! The command line.

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use kill_loop::{chain, end_with_parent};

use crate::accounts::Accounts;
use crate::folder::Folder;
use crate::{applier, folder, log, run};

/// Applies the records of a log out of order, each exactly once, while being killed.
///
/// Without arguments: applies a log in a temporary folder with a process of four threads, which is
/// killed 20 times. Exits with 1 unless each record has taken effect exactly once.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    child: Option<ChildCommand>,
    #[command(flatten)]
    run: RunArgs,
}

/// The options of one run.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Keep everything in this folder. A second run continues where the first stopped.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// The number of records in the log [default: 40000, or that of the log in --dir].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(crate) records: Option<u64>,
    /// The number of times to kill the applier.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) kills: u64,
    /// The seed of all random choices [default: a new one each time, printed].
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Print one JSON document instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) apply: ApplyArgs,
}

/// The options of the applier.
#[derive(Debug, Args)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mutant {
    /// Records the mark, and not the completed ranges.
    ForgetRanges,
    /// Commits mark and ranges in a transaction of their own, before the data.
    MarkFirst,
}

/// The process that the parent starts.
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

/// Runs the program.
pub fn main() -> ExitCode {
    let Cli { child, run } = Cli::parse();
    let (program, result) = match child {
        None => ("parallel-apply", run_all(&run)),
        Some(ChildCommand::Apply { dir, args }) => ("applier", apply(&dir, &args)),
    };
    result.unwrap_or_else(|error| {
        eprintln!("{program}: {}", chain(&*error));
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
            "parallel-apply: the applier was killed {} times of {}, and {} starts found records \
             completed above the mark, so the run shows too little: give more --records",
            report.kills, args.kills, report.resumes_above_mark
        );
    }
    eprintln!("parallel-apply: everything is kept in {}", folder.keep().display());
    Ok(ExitCode::FAILURE)
}

fn apply(dir: &std::path::Path, args: &ApplyArgs) -> Result<ExitCode, Box<dyn Error>> {
    end_with_parent();
    let log = log::Log::open(&folder::log_in(dir))?;
    let accounts = Accounts::open(&folder::accounts_in(dir), log.id())?;
    applier::run(args, &log, &accounts)?;
    Ok(ExitCode::SUCCESS)
}
