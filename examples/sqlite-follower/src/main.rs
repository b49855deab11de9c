//! Follows live SQLite databases through their write-ahead logs, and survives being killed.
//!
//! The engine is SQLite in WAL mode. Each database is one shard, and its `-wal` file is the
//! replicated log. `repl-core` keeps the marks and `repl-checkpoint` saves them. Everything
//! specific to SQLite is here. README.md gives an overview.

mod answers;
mod apply;
mod bar;
mod base_copy;
mod checkpointing;
mod child;
mod cli;
mod client_row;
mod clients;
mod durable;
mod events;
mod floor;
mod folder;
mod follower;
mod kills;
mod launch;
mod layout;
mod leader;
mod leader_log;
mod load;
mod log_file;
mod pool;
mod position;
mod positions;
mod power_cut;
mod progress;
mod reader;
mod replica;
mod report;
mod restart;
mod rng;
mod run;
mod run_error;
mod shards;
mod source;
mod sql;
mod start;
mod tail;
mod verify;
mod wal;
mod workload;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, error::ErrorKind};
use repl_checkpoint::StoreId;

use crate::cli::{ChildCommand, Cli, FollowerArgs, LeaderArgs, RunArgs};
use crate::layout::Layout;

fn main() -> ExitCode {
    let Cli { child, run } = Cli::parse();
    let (program, result) = match child {
        None => ("sqlite-follower", run_all(&run)),
        Some(ChildCommand::Leader(args)) => ("leader", lead(args)),
        Some(ChildCommand::Follower(args)) => ("follower", follow(&args)),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{program}: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run_all(args: &RunArgs) -> Result<ExitCode, Box<dyn Error>> {
    let folder = run::take_folder(args)?;
    let report = match run::Run::new(args, &folder).and_then(run::Run::run) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("sqlite-follower: everything is kept in {}", folder.keep().display());
            return Err(error.into());
        }
    };
    let mut out = io::stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        report.print(&mut out)?;
    }
    if report.all_equal() {
        return Ok(ExitCode::SUCCESS);
    }
    let kept = folder.keep();
    eprintln!("sqlite-follower: a replica differs; everything is kept in {}", kept.display());
    Ok(ExitCode::FAILURE)
}

fn lead(args: LeaderArgs) -> Result<ExitCode, Box<dyn Error>> {
    leader::run(leader::LeaderOptions {
        layout: Layout::new(&args.dir),
        seed: args.seed,
        until: args.until,
        log_frames: args.log_frames,
        load: args.load,
        ignore_floor: args.ignore_floor,
    })?;
    Ok(ExitCode::SUCCESS)
}

fn follow(args: &FollowerArgs) -> Result<ExitCode, Box<dyn Error>> {
    let Ok(store_id) = u128::from_str_radix(&args.store_id, 16) else {
        let message = "--store-id takes a hexadecimal number";
        Cli::command().error(ErrorKind::ValueValidation, message).exit();
    };
    follower::run(follower::FollowerOptions {
        layout: Layout::new(&args.dir),
        store: args.store,
        store_id: StoreId(store_id),
        databases: args.databases,
        threads: args.threads.into(),
        rebase: args.rebase,
        keep_images: args.keep_images,
        mark_before_flush: args.mark_before_flush,
        apply_before_log: args.apply_before_log,
        skip_wait: args.skip_wait,
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The error and its causes in one line. A cause that its error prints itself, as some errors of
/// SQLite do, is not repeated.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}
