//! The command line.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{Args, Parser, Subcommand, ValueEnum};
use kill_loop::{chain, end_with_parent};

use crate::applier;
use crate::log::Logs;
use crate::run::{self, Folder};

/// Commits data and marks side by side in one database, each segment exactly once, while being
/// killed.
///
/// Without arguments: a process of four threads applies four logs in a temporary folder, and is
/// killed 200 times. Exits with 1 unless each segment has taken effect exactly once.
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
    /// Keep everything in this folder, which must be new or empty.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The number of segments in each of the four logs.
    #[arg(long, value_name = "N", default_value_t = 4000,
        value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) segments: u64,
    /// The number of times to kill the applier.
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(crate) kills: u64,
    /// The seed of all random choices [default: a new one each time, printed].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Print one JSON document instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) apply: ApplyArgs,
}

/// The options of the applier.
#[derive(Debug, Args)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mutant {
    /// Stores the marks of a clone of the live state, instead of those stored and its own move.
    CloneLiveState,
    /// Advances the live state before the commit.
    AdvanceBeforeCommit,
}

/// The process that the parent starts.
#[derive(Debug, Subcommand)]
enum ChildCommand {
    #[command(hide = true)]
    Apply {
        #[arg(long)]
        dir: PathBuf,
        #[arg(long)]
        seed: u64,
        #[arg(long)]
        segments: u64,
        #[command(flatten)]
        args: ApplyArgs,
    },
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let Cli { child, run } = Cli::parse();
    let (program, result) = match child {
        None => ("exactly-once", run_all(&run)),
        Some(ChildCommand::Apply { dir, seed, segments, args }) => {
            end_with_parent();
            let logs = Logs::new(&dir, seed, segments);
            let applied = applier::run(&args, &logs, &run::database_in(&dir));
            ("applier", applied.map(|()| ExitCode::SUCCESS).map_err(Into::into))
        }
    };
    result.unwrap_or_else(|error| {
        eprintln!("{program}: {}", chain(&*error));
        ExitCode::FAILURE
    })
}

fn run_all(args: &RunArgs) -> Result<ExitCode, Box<dyn Error>> {
    let folder = take_folder(args)?;
    let report = match run::run(args, &folder) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("exactly-once: everything is kept in {}", folder.keep().display());
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
        eprintln!("exactly-once: {fault}");
    }
    if report.exactly_once {
        eprintln!(
            "exactly-once: {} kills of {}, {} conflicts and {} commits in doubt that took effect, \
             so the run shows too little: give more --segments",
            report.kills, args.kills, report.conflicts, report.in_doubt_took_effect
        );
    }
    eprintln!("exactly-once: everything is kept in {}", folder.keep().display());
    Ok(ExitCode::FAILURE)
}

fn take_folder(args: &RunArgs) -> Result<Folder, Box<dyn Error>> {
    let seed = args.seed.unwrap_or_else(any_seed);
    let Some(dir) = &args.dir else {
        let temporary = tempfile::Builder::new().prefix("exactly-once-").tempdir()?;
        return Ok(Folder { root: temporary.path().to_owned(), temporary: Some(temporary), seed });
    };
    let failed = |error: io::Error| format!("cannot use the folder {}: {error}", dir.display());
    fs::create_dir_all(dir).map_err(failed)?;
    if fs::read_dir(dir).map_err(failed)?.next().is_some() {
        return Err(format!("{} is not empty: give another --dir", dir.display()).into());
    }
    let root = fs::canonicalize(dir).map_err(failed)?;
    Ok(Folder { root, temporary: None, seed })
}

fn any_seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (u64::from(std::process::id()) ^ u64::from(now.subsec_nanos())) % 1_000_000
}
