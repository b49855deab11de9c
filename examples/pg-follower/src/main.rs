//! Follows a PostgreSQL server by logical replication into SQLite or into another database, each
//! transaction exactly once, while follower and server are killed. README.md lists the steps, and
//! says why they are right.

mod batch;
mod changes;
mod copy;
mod events;
mod failure;
mod follower;
mod load;
mod patience;
mod pgoutput;
mod postgres;
mod probe;
mod report;
mod run;
mod server;
mod sink;
mod source;
mod sqlite;
mod start;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use example_support::RunArgs;
use serde::{Deserialize, Serialize};

use crate::run::Parent;
use crate::source::Address;

/// Follows a PostgreSQL server by logical replication, while both are killed.
///
/// Without arguments: starts a server in a temporary folder, and loads it with 50000 transactions
/// of pgbench. A follower process copies the tables into a SQLite file, and applies the log. It is
/// killed 20 times, and the server crashes twice. Exits with 1 unless every row is equal at the
/// end.
///
/// Needs PostgreSQL 15 or later: apt-get install postgresql.
#[derive(Debug, Clone, Parser, Serialize, Deserialize)]
#[command(version, about)]
struct Args {
    #[command(flatten)]
    run: RunArgs<20>,
    /// The number of transactions that the load commits at least.
    #[arg(long, value_name = "N", default_value_t = 50_000,
        value_parser = clap::value_parser!(u64).range(1..))]
    transactions: u64,
    /// The number of times that the server is stopped as by a crash.
    #[arg(long, value_name = "N", default_value_t = 2)]
    server_crashes: u64,
    /// Where the follower keeps rows and progress.
    #[arg(id = "progress", long = "progress", value_name = "PLACE", default_value = "sqlite")]
    keep: Keep,
    /// The folder of the server's programs [default: that of the newest version].
    #[arg(long, value_name = "DIR")]
    postgres: Option<PathBuf>,
    /// The scale of the tables: 100000 accounts each.
    #[arg(long, value_name = "N", default_value_t = 2,
        value_parser = clap::value_parser!(u32).range(1..=100))]
    scale: u32,
    /// For tests: the transactions of the load a second [default: as many as there can be].
    #[arg(long, value_name = "N", hide = true)]
    rate: Option<u32>,
    /// For tests: with --progress postgres, lose the answer of one commit in N, or of none for 0.
    /// Every second one takes effect.
    #[arg(long, value_name = "N", default_value_t = 4, hide = true)]
    lose_one_in: u64,
    /// Break one rule of the protocol, and see the run fail.
    #[arg(long, value_name = "NAME")]
    mutant: Option<Mutant>,
}

/// Where rows and progress are kept, in the same transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Keep {
    /// In a SQLite file, the progress as bytes
    Sqlite,
    /// In another database of the server, the progress by repl-checkpoint-postgres
    Postgres,
}

/// A deliberately wrong follower that a run must detect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
enum Mutant {
    /// Commits the mark in a transaction after that of the rows.
    MarkAfterRows,
    /// Commits the mark in a transaction before that of the rows.
    MarkBeforeRows,
    /// Confirms to the server what it has received, before it commits it.
    ConfirmBeforeCommit,
}

/// What the parent and the follower have in common.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Setup {
    args: Args,
    root: PathBuf,
    address: Address,
}

fn main() -> ExitCode {
    let follow = |mut setup: Setup| {
        setup.address.password = server::load_password(&setup.root)?;
        follower::run(&setup)
    };
    example_support::main("pg-follower", follow, || {
        let args = Args::parse();
        let run = args.run.start("pg-follower")?;
        run.report(|run| Parent::new(args, run)?.run())
    })
}
