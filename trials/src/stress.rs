//! Runs the stress suite from the command line.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use repl_harness::stress::{Config, run as run_suite};

use crate::bar::bar;
use crate::done::Done;

/// The size of a run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The number of threads
    #[arg(long, default_value_t = 4)]
    threads: usize,
    /// The number of seconds that the run takes
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// The seed of what each thread does [default: the time]
    #[arg(long)]
    seed: Option<u64>,
    /// Keep the checkpoints in this directory, and start from those in it
    #[arg(long)]
    dir: Option<PathBuf>,
}

/// Runs the suite, with a progress bar where there is a terminal.
pub(crate) fn run(args: &Args) -> Done {
    let from_clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |d| d.as_secs());
    let seed = args.seed.unwrap_or_else(from_clock);
    println!("stress: {} threads, {} s, seed {seed}", args.threads, args.seconds);
    let config = Config {
        threads: args.threads,
        duration: Duration::from_secs(args.seconds),
        seed,
        dir: args.dir.clone(),
        ..Config::default()
    };
    let bar = bar(args.seconds * 10, "");
    let report = run_suite(&config, |progress| {
        let tenths = progress.elapsed.as_millis() / 100;
        bar.set_position(u64::try_from(tenths).unwrap_or(u64::MAX));
        bar.set_message(format!("{} operations", progress.operations));
    });
    bar.finish_and_clear();
    println!("{}", report?);
    Ok(())
}
