//! The command line.

use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};

use crate::commands::{
    backup, completions, convert, diff, doctor, export, fall_back, forget, import, inspect,
    restore, set, verify, watch,
};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;
use crate::url::{is_url, without_password};

/// Looks at, checks and repairs the stores of repl-checkpoint.
#[derive(Parser)]
#[command(name = "replctl", version, about, max_term_width = 100, after_help = STATUSES)]
pub(crate) struct Cli {
    /// Print JSON, one document a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    command: Command,
}

const STATUSES: &str = "\
Exit status: 0 good, 1 damage, 2 wrong usage, 3 cannot tell, 4 usable, though the newest is \
damaged, 5 refused by a safety rule.
PATH is the directory of a FileStore or a SlotStore, a checkpoint file, or a slot file.";

#[derive(Subcommand)]
enum Command {
    /// Show what is at a path: store, generations, codec, shards, ranges, epochs, deltas
    Inspect(inspect::Args),
    /// Check every generation as recovery does, also beside an engine that saves
    Verify(verify::Args),
    /// Show what moved from one checkpoint to another
    Diff(diff::Args),
    /// Print the marks of the newest whole generation as JSON, CSV or for Prometheus
    Export(export::Args),
    /// Show the marks as they move, their rate, and how far they are behind another store
    Watch(watch::Args),
    /// Go on from the newest whole checkpoint; move the damaged ones aside
    FallBack(fall_back::Args),
    /// Set the mark of a shard
    Set(set::Args),
    /// Leave a shard out of all later checkpoints
    Forget(forget::Args),
    /// Copy the newest whole checkpoint into a new directory, also while an engine saves
    Backup(backup::Args),
    /// Bring a backup, or what a change has put aside, into the place of a store
    Restore(restore::Args),
    /// Make a new store of the newest checkpoint, in another codec or of another kind
    Convert(convert::Args),
    /// Make a new store of marks that another program has kept
    Import(import::Args),
    /// Say whether a filesystem, or a server, can keep the promises of a store
    Doctor(doctor::Args),
    /// Print a script that completes commands in a shell
    Completions(completions::Args),
}

impl Cli {
    /// Runs the command.
    pub(crate) fn run(&self, output: &Output) -> Result<Exit, Failure> {
        if !matches!(self.command, Command::Doctor(_)) {
            check_no_url()?;
        }
        match &self.command {
            Command::Inspect(args) => inspect::run(args, output),
            Command::Verify(args) => verify::run(args, output),
            Command::Diff(args) => diff::run(args, output),
            Command::Export(args) => export::run(args, output),
            Command::Watch(args) => watch::run(args, output),
            Command::FallBack(args) => fall_back::run(args, output),
            Command::Set(args) => set::run(args, output),
            Command::Forget(args) => forget::run(args, output),
            Command::Backup(args) => backup::run(args, output),
            Command::Restore(args) => restore::run(args, output),
            Command::Convert(args) => convert::run(args, output),
            Command::Import(args) => import::run(args, output),
            Command::Doctor(args) => doctor::run(args, output),
            Command::Completions(args) => completions::run(args, Self::command()),
        }
    }
}

/// Refuses the address of a server, where a path is meant: a command that writes would make a
/// directory of that name.
fn check_no_url() -> Result<(), Failure> {
    let places = std::env::args_os().skip(1).map(PathBuf::from);
    let Some(url) = places.filter(|place| is_url(place)).map(|url| without_password(&url)).next()
    else {
        return Ok(());
    };
    let reason = "it is the address of a server, and this command reads files";
    Err(Failure::new(Exit::Usage, &url, reason)
        .then("replctl doctor URL, for whether a server can be trusted"))
}
