//! Follows live SQLite databases through their write-ahead logs, and survives being killed.
//!
//! The engine is SQLite in WAL mode. Each database is one shard, and its `-wal` file is the
//! replicated log. `repl-core` keeps the marks and `repl-checkpoint` saves them. Everything
//! specific to SQLite is here. README.md gives an overview, and the reasons for each rule.

mod base_copy;
mod bounds;
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
use repl_core::ShardId;
use serde::{Deserialize, Serialize};

use crate::cli::Args;
use crate::layout::Layout;
use crate::load::Load;
use crate::run::Parent;

const DATABASES: u64 = 4;

/// What a child process is started for.
#[derive(Serialize, Deserialize)]
enum Task {
    /// With the number of transactions that each database shall reach, unless a file is loaded.
    Leader(Setup, Vec<u64>),
    Follower(Setup),
}

/// What the leader and the follower of a run have in common.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Setup {
    args: Args,
    layout: Layout,
    seed: u64,
    /// The store id of the checkpoints of this folder. It prevents the use of those of another.
    store: u128,
}

impl Setup {
    fn shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        let databases = if self.args.load.is_some() { 1 } else { DATABASES };
        (0..databases).map(ShardId)
    }
}

fn main() -> ExitCode {
    let child = |task| match task {
        Task::Leader(setup, until) => leader::run(setup, until),
        Task::Follower(setup) => follower::run(setup),
    };
    example_support::main("sqlite-follower", child, || {
        let args = Args::parse();
        // Before anything is created: a file that cannot be loaded leaves nothing behind.
        args.load.as_deref().map(Load::read).transpose()?;
        let kind = if args.load.is_some() { "--load" } else { "a workload" };
        let new = |_| (kind.to_owned(), fastrand::u128(..));
        let (run, (made_for, store)) = args.run.start_or_continue("sqlite-follower", new)?;
        let root = &run.folder.root;
        if made_for != kind {
            let root = root.display();
            return Err(format!("{root} was made for {made_for}: give another --dir").into());
        }
        let setup = Setup { layout: Layout(root.clone()), seed: run.seed, store, args };
        run.report(|run| Parent::new(setup, run)?.run())
    })
}
