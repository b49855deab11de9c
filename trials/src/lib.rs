//! Tries the stores: every crash, real filesystems, threads. `cargo xtask` runs it.
#![expect(clippy::print_stdout, reason = "a command line tool")]

mod bar;
mod crash;
mod done;
mod power;
mod shutdown;
mod stress;
mod threads;
mod writer;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "Trials of the stores")]
struct Args {
    #[command(subcommand)]
    trial: Trial,
}

#[derive(Subcommand)]
enum Trial {
    /// Run the stress suite: threads advance, wait, complete, snapshot and checkpoint at once
    Stress(stress::Args),
    /// Run the crash suite: every crash of both stores, and every image that it may leave
    Crash(crash::Args),
    /// Shut real filesystems down under running stores; needs root
    Shutdown(shutdown::Args),
    /// Cut the power of real filesystems under running stores; needs root
    Power(power::Args),
    /// Save until the process is killed or its filesystem is gone
    #[command(hide = true)]
    Writer(writer::Args),
    /// Change files beside the stores
    #[command(hide = true)]
    PowerNeighbor(power::NeighborArgs),
}

/// Runs the trial that the command line names.
pub fn main() -> ExitCode {
    let args = Args::parse();
    // Where `cargo xtask` was called.
    if let Some(folder) = std::env::var_os("TRIALS_FOLDER")
        && let Err(err) = std::env::set_current_dir(&folder)
    {
        eprintln!("trials: {}: {err}", folder.display());
        return ExitCode::FAILURE;
    }
    let result = match args.trial {
        Trial::Stress(args) => stress::run(&args),
        Trial::Crash(args) => crash::run(&args),
        Trial::Shutdown(args) => shutdown::run(&args),
        Trial::Power(args) => power::run(&args),
        Trial::Writer(args) => writer::run(&args),
        Trial::PowerNeighbor(args) => power::neighbor(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("trials: {err}");
            let mut cause = err.source();
            while let Some(err) = cause {
                eprintln!("  because: {err}");
                cause = err.source();
            }
            ExitCode::FAILURE
        }
    }
}
