//! `replctl completions`: a script for a shell.

use clap::Command;
use clap_complete::Shell;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::print_raw;

/// The arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the script for a command line.
pub(crate) fn run(args: &Args, mut command: Command) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "replctl", &mut script);
    print_raw(&script)?;
    Ok(Exit::Good)
}
