//! The command line.

use clap::{Parser, Subcommand};

use crate::commands::{completions, inspect};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Output;

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
Exit status: 0 good, 1 damage, 2 wrong usage, 3 cannot tell, 4 usable by falling back, 5 refused by \
a safety rule.
PATH is the directory of a FileStore or a SlotStore, a checkpoint file, or a slot file.";

#[derive(Subcommand)]
enum Command {
    /// Show what is at a path: store, generations, codec, shards, ranges, epochs, deltas
    Inspect(inspect::Args),
    /// Print a script that completes commands in a shell
    Completions(completions::Args),
}

impl Cli {
    /// Runs the command.
    pub(crate) fn run(&self, output: &Output) -> Result<Exit, Failure> {
        match &self.command {
            Command::Inspect(args) => inspect::run(args, output),
            Command::Completions(args) => completions::run(args, output),
        }
    }
}
