//! A service under tokio: it applies logs to data in memory, and answers clients.
//!
//! Each shard has a log, a map in memory, and an applier, which is a task. A flush writes the maps
//! to files. SIGKILL ends the process at random instants, SIGTERM ends it in order, and each time it
//! is started again. In the end the data of each shard is equal to its log.
//!
//! ```sh
//! cargo run --locked --release -p tokio-service
//! ```
//!
//! # Steps
//! *Start* (`Service::start`): 1. read the list of shards. 2. Recover the marks of the shards in the
//! list. 3. Drop the orphans: the list says that they are removed. 4. Read the data of each shard,
//! and start its applier after the mark.
//!
//! *Apply* (`Replica::apply`): 1. wait for the next segment. 2. Change the map. 3. Advance the mark.
//! There is no await from 2 to 3, so an aborted applier leaves no segment half applied.
//!
//! *Read* (`clients.rs`): 1. write, and get the seqno of the write. 2. Wait for it, with a timeout.
//! 3. Read.
//!
//! *Checkpoint* (`Service::checkpoint`): 1. begin, which takes the marks. 2. Await the flush of the
//! shards that have moved. 3. Save the marks. 4. Delete the segments up to the retention floors.
//!
//! *Change the shards* (`Service::change`): 1. the list is made durable with the new shard, and
//! without the removed one. 2. Only then the state changes. After a crash between the two, a new
//! shard begins at mark 0, and a removed one is an orphan. In the other order a checkpoint without a
//! shard of the list could follow, and its log no longer begins at segment 1
//! (`--mutant state-before-list`). 3. Once no checkpoint names the removed shard, its data and log
//! are deleted; not earlier, as a crash could bring its mark back (`--mutant drop-data-early`).
//! 4. Then the list forgets it. A number is never used for a second shard.
//!
//! *Shut down* (`Service::shut_down`): 1. stop the appliers. 2. Take a last checkpoint. 3. Close the
//! state, which ends the waits of clients. The next start then applies no segment again.

mod clients;
mod disk;
mod log;
mod replica;
mod rig;
mod service;
mod shards;
mod verify;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use kill_loop::{chain, end_with_parent};

/// Runs a service under tokio that is killed at random instants, then shut down, and loses nothing.
///
/// Without arguments: the service runs in a temporary folder and is killed 20 times. Exits with 1
/// unless the data of each shard is equal to its log, no client has read stale data, and the start
/// after the shutdown has applied no segment again.
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
struct RunArgs {
    /// The number of times to kill the service.
    #[arg(long, value_name = "N", default_value_t = 20)]
    kills: u64,
    /// The seed of all random choices [default: a new one each time, printed].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Print one JSON document instead of a table.
    #[arg(long)]
    json: bool,
    /// Break one rule on purpose.
    #[arg(long)]
    mutant: Option<Mutant>,
}

/// The process that the parent starts.
#[derive(Debug, Subcommand)]
enum ChildCommand {
    #[command(hide = true)]
    Serve(ServeArgs),
}

/// The options of the service.
#[derive(Debug, Clone, Args)]
struct ServeArgs {
    #[arg(long)]
    dir: PathBuf,
    #[arg(long)]
    seed: u64,
    /// Start no clients and change no shards.
    #[arg(long)]
    idle: bool,
    #[arg(long)]
    mutant: Option<Mutant>,
}

/// A deliberately wrong service that the check must detect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mutant {
    /// Saves the marks before the data is flushed.
    SaveBeforeFlush,
    /// Changes the state before the list of shards.
    StateBeforeList,
    /// Deletes the data of a removed shard while a checkpoint still names it.
    DropDataEarly,
    /// Reads without waiting for the write.
    ReadWithoutWaiting,
    /// Takes no last checkpoint.
    ShutdownWithoutSave,
}

fn main() -> ExitCode {
    let Cli { child, run } = Cli::parse();
    let (program, result) = match child {
        None => ("tokio-service", run_all(&run)),
        Some(ChildCommand::Serve(args)) => {
            end_with_parent();
            ("service", service::main(args).map(|()| ExitCode::SUCCESS))
        }
    };
    result.unwrap_or_else(|error| {
        eprintln!("{program}: {}", chain(&error));
        ExitCode::FAILURE
    })
}

fn run_all(args: &RunArgs) -> io::Result<ExitCode> {
    let folder = tempfile::Builder::new().prefix("tokio-service-").tempdir()?;
    let result = rig::run(args, folder.path());
    if !result.as_ref().is_ok_and(|report| report.faults.is_empty()) {
        eprintln!("tokio-service: everything is kept in {}", folder.keep().display());
    }
    let report = result?;
    let mut out = io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        write!(out, "{report}")?;
    }
    report.faults.iter().for_each(|fault| eprintln!("tokio-service: {fault}"));
    Ok(if report.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
