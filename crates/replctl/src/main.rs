//! `replctl`: looks at, checks and repairs the stores of repl-checkpoint.

mod apart;
mod aside;
mod audit;
mod cli;
mod commands;
mod edit;
mod exit;
mod failure;
mod held;
mod lock;
mod names;
mod new_place;
mod notes;
mod output;
mod owners;
mod reasons;
mod row;
mod seen;
mod site;
mod store;
mod unlisted;
mod url;
mod verdict;
mod wording;

use std::process::ExitCode;

use clap::Parser;

use self::cli::Cli;
use self::output::Output;

fn main() -> ExitCode {
    #[cfg(feature = "remote")]
    commands::doctor::work_for_a_race(); // if this process is one of its writers
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
