//! The command line.

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::{Args, Parser, Subcommand};
use kill_loop::{chain, end_with_parent, send};
use repl_checkpoint::Saved;
use repl_core::SeqNo;

use crate::follower;
use crate::mutant::{self, Mutant};
use crate::run::{self, Event};

/// Follows logs into table files while being killed.
///
/// Without arguments: a process follows three logs in a temporary folder, and is killed 20 times.
/// Exits with 1 unless the tables are equal to the logs in the end.
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
    /// The number of times to kill the follower.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) kills: u64,
    /// The seed of all random choices [default: a new one each time, printed].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Print one JSON document instead of a table.
    #[arg(long)]
    json: bool,
    /// Break one rule of the engine, which the check must find.
    #[arg(long, value_name = "NAME")]
    pub(crate) mutant: Option<Mutant>,
}

/// The process that the parent starts.
#[derive(Debug, Subcommand)]
enum ChildCommand {
    #[command(hide = true)]
    Follow {
        #[arg(long)]
        dir: PathBuf,
        #[arg(long)]
        until: SeqNo,
        #[arg(long)]
        mutant: Option<Mutant>,
    },
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let Cli { child, run } = Cli::parse();
    let (program, result) = match child {
        None => ("minimal-follower", run_all(&run)),
        Some(ChildCommand::Follow { dir, until, mutant }) => {
            end_with_parent();
            let followed = follower::run(&dir, until, |engine| {
                let saved = mutant::checkpoint(mutant, engine)?;
                if saved != Saved::Unchanged {
                    send(Event::Saved);
                }
                Ok(saved)
            });
            ("follower", followed.map(|()| ExitCode::SUCCESS).map_err(Into::into))
        }
    };
    result.unwrap_or_else(|error| {
        eprintln!("{program}: {}", chain(&*error));
        ExitCode::FAILURE
    })
}

fn run_all(args: &RunArgs) -> Result<ExitCode, Box<dyn Error>> {
    let folder = tempfile::Builder::new().prefix("minimal-follower-").tempdir()?;
    let result = run::run(args, folder.path(), args.seed.unwrap_or_else(any_seed));
    if !result.as_ref().is_ok_and(|report| report.equal) {
        eprintln!("minimal-follower: everything is kept in {}", folder.keep().display());
    }
    let report = result?;
    let mut out = io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        report.print(&mut out)?;
    }
    for fault in &report.faults {
        eprintln!("minimal-follower: {fault}");
    }
    Ok(if report.equal { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn any_seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (u64::from(std::process::id()) ^ u64::from(now.subsec_nanos())) % 1_000_000
}
