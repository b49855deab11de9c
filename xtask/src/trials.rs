//! Runs the package `trials`, which a check of formatting or links need not wait for.

use crate::command::{Done, Program, cargo};

/// What follows the name of a trial.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The arguments of the trial: `--help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    arguments: Vec<String>,
}

/// Runs a trial.
pub(crate) fn run(trial: &str, args: &Args) -> Done {
    let arguments: Vec<&str> = args.arguments.iter().map(String::as_str).collect();
    // Paths among the arguments are relative to here; cargo runs a test in the folder of its package.
    let here = std::env::current_dir()?;
    program(trial, &arguments).env("TRIALS_FOLDER", &here.to_string_lossy()).run()
}

/// The program of a trial: one build for all, of what the tests are built of.
pub(crate) fn program(trial: &str, arguments: &[&str]) -> Program {
    let run = ["--locked", "--quiet", "--all-features", "--test", "trials", "--", trial];
    cargo("test", &[&run[..], arguments].concat())
}
