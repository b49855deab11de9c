//! `cargo xtask`: runs every check and the benches.
#![expect(clippy::print_stdout, reason = "a command line tool")]

mod api;
mod bar;
mod bench;
mod ci;
mod command;
mod completions;
mod crash;
mod fuzz;
mod layers;
mod links;
mod members;
mod msrv;
mod packages;
mod power;
mod release_check;
mod shutdown;
mod source;
mod steps;
mod stress;
mod threads;
mod writer;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Checks and benches of this workspace")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run every check, in order, up to the first that fails
    Ci(steps::Args),
    /// Run every check before a release, in order, up to the first that fails
    ReleaseCheck(steps::Args),
    /// Run the stress suite: threads advance, wait, complete, snapshot and checkpoint at once
    Stress(stress::Args),
    /// Run the crash suite: every crash of both stores, and every image that it may leave
    Crash(crash::Args),
    /// Run the fuzz targets, one after another; needs cargo-fuzz and a nightly toolchain
    Fuzz(fuzz::Args),
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
    /// Run the benches, and write docs/benchmarks.md, docs/scale.md and docs/plots
    Bench(bench::Args),
    /// Print the layers of each library crate; fails if files import each other in a circle
    Layers(layers::Args),
    /// Compare the public interface of each library crate with docs/api
    Api(api::Args),
    /// Write completions of replctl for every shell into a directory
    Completions(completions::Args),
}

fn main() -> ExitCode {
    let result = match Args::parse().task {
        Task::Ci(args) => ci::run(&args),
        Task::ReleaseCheck(args) => release_check::run(&args),
        Task::Stress(args) => stress::run(&args),
        Task::Crash(args) => crash::run(&args),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Shutdown(args) => shutdown::run(&args),
        Task::Power(args) => power::run(&args),
        Task::Writer(args) => writer::run(&args),
        Task::PowerNeighbor(args) => power::neighbor(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Layers(args) => layers::run(&args),
        Task::Api(args) => api::run(&args),
        Task::Completions(args) => completions::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("xtask: {err}");
            let mut cause = err.source();
            while let Some(err) = cause {
                eprintln!("  because: {err}");
                cause = err.source();
            }
            ExitCode::FAILURE
        }
    }
}
