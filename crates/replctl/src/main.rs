//! `replctl`: looks at, checks and repairs the stores of repl-checkpoint.

mod cli;
mod commands;
mod exit;
mod failure;
mod lock;
mod output;
mod store;

use std::process::ExitCode;

use clap::Parser;

use self::cli::Cli;
use self::output::Output;

fn main() -> ExitCode {
    let cli = Cli::parse(); // exits with 2 if it is wrong
    let output = Output { is_json: cli.json };
    match cli.run(&output) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            // If even that cannot be printed, the status says it.
            let _ = output.fail(&failure);
            failure.exit.into()
        }
    }
}
