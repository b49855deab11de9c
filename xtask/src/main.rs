//! `cargo xtask`: runs every check and the benches.
#![expect(clippy::print_stdout, reason = "a command line tool")]

mod api;
mod bench;
mod ci;
mod command;
mod completions;
mod fuzz;
mod layers;
mod links;
mod members;
mod msrv;
mod packages;
mod release_check;
mod source;
mod steps;
mod targets;
mod trials;

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
    /// Run every check but the slow ones, in order, up to the first that fails
    Ci(steps::Args),
    /// Run the checks that take long, up to the first that fails
    Slow(steps::Args),
    /// Run every check before a release, in order, up to the first that fails
    ReleaseCheck(steps::Args),
    /// Run the stress suite: threads advance, wait, complete, snapshot and checkpoint at once
    #[command(disable_help_flag = true)]
    Stress(trials::Args),
    /// Run the crash suite: every crash of both stores, and every image that it may leave
    #[command(disable_help_flag = true)]
    Crash(trials::Args),
    /// Run the fuzz targets, one after another; needs cargo-fuzz and a nightly toolchain
    Fuzz(fuzz::Args),
    /// Shut real filesystems down under running stores; needs root
    #[command(disable_help_flag = true)]
    Shutdown(trials::Args),
    /// Cut the power of real filesystems under running stores; needs root
    #[command(disable_help_flag = true)]
    Power(trials::Args),
    /// Run the benches, and write docs/benchmarks.md, docs/scale.md and docs/plots
    Bench(bench::Args),
    /// Print the layers of each crate; fails if files import each other in a circle
    Layers(layers::Args),
    /// Compare the public interface of each library crate with docs/api
    Api(api::Args),
    /// Write completions of replctl for every shell into a directory
    Completions(completions::Args),
}

fn main() -> ExitCode {
    let result = match Args::parse().task {
        Task::Ci(args) => ci::run(&args),
        Task::Slow(args) => ci::run_slow(&args),
        Task::ReleaseCheck(args) => release_check::run(&args),
        Task::Stress(args) => trials::run("stress", &args),
        Task::Crash(args) => trials::run("crash", &args),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Shutdown(args) => trials::run("shutdown", &args),
        Task::Power(args) => trials::run("power", &args),
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
