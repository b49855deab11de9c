//! Follows live SQLite databases through their write-ahead logs, and survives being killed.
//!
//! The engine is SQLite in WAL mode. Each database is one shard, and its `-wal` file is the
//! replicated log. `repl-core` keeps the marks and `repl-checkpoint` saves them. Everything
//! specific to SQLite is here. README.md gives an overview, and the reasons for each rule.

mod base_copy;
mod cli;
mod clients;
mod database;
mod events;
#[cfg(test)]
mod fixture;
mod follower;
mod handover;
mod layout;
mod leader;
mod leader_log;
mod load;
mod positions;
mod reads;
mod replica;
mod report;
mod run;
mod shards;
mod start;
mod tail;
mod verify;
mod wal;
mod workload;

use std::process::ExitCode;

use clap::Parser;
use example_support::Folder;
use serde::{Deserialize, Serialize};

use crate::cli::RunArgs;
use crate::load::Load;
use crate::run::{Run, Settings};

/// What a child process is started for.
#[derive(Serialize, Deserialize)]
enum Task {
    Leader(leader::Task),
    Follower(follower::Task),
}

fn main() -> ExitCode {
    let child = |task| match task {
        Task::Leader(task) => leader::run(task),
        Task::Follower(task) => follower::run(task),
    };
    example_support::main("sqlite-follower", child, || {
        let args = RunArgs::parse();
        // Before anything is created: a file that cannot be loaded leaves nothing behind.
        args.load.as_deref().map(Load::read).transpose()?;
        let new = Settings::new(&args);
        let (folder, settings) = Folder::take("sqlite-follower", args.dir.as_deref(), new)?;
        settings.check(&args, folder.root())?;
        example_support::run("sqlite-follower", args.json, folder, |folder| {
            Run::new(&args, folder.root(), &settings)?.run()
        })
    })
}
