//! What may a user ask for?

use std::fmt;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;

/// Follows live SQLite databases through their write-ahead logs, and survives being killed.
///
/// Without arguments: a leader process writes four databases in a temporary folder, a follower
/// process keeps a replica of each, and both are killed again and again. Clients write on the
/// leader, wait for their writes on the follower, and read them there. Exits with 1 unless each of
/// them saw what it had written and every replica equals its database in the end.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) child: Option<ChildCommand>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// What one run is asked for.
#[expect(clippy::struct_excessive_bools, reason = "one a flag of the command line")]
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Keep everything in this folder: a second run goes on where the first stopped.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Write the SQL of this file into one database, each line in a transaction of its own.
    #[arg(long, value_name = "FILE.sql", conflicts_with = "transactions")]
    pub(crate) load: Option<PathBuf>,
    /// Kill the follower 200 times and the leader 20 times, while 400000 transactions are made.
    #[arg(long)]
    pub(crate) soak: bool,
    /// How often to kill the follower [default: 16, or 200 with --soak].
    #[arg(long, value_name = "N")]
    pub(crate) kills: Option<u64>,
    /// Stop writing after so many seconds, or when all reads are made where that is later.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seconds: Option<u64>,
    /// How many transactions to make in this run, all databases together [default: 80000, or 400000
    /// with --soak, or as many as fit in --seconds].
    #[arg(long, value_name = "N")]
    pub(crate) transactions: Option<u64>,
    /// Where the random choices begin [default: another one each time, printed].
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// How long a log may grow before the leader ends it.
    #[arg(long, value_name = "FRAMES", default_value_t = 4000,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) log_frames: u32,
    /// How often to kill the leader [default: 4, or 20 with --soak].
    #[arg(long, value_name = "N")]
    pub(crate) leader_kills: Option<u64>,
    /// What the follower keeps its marks in.
    #[arg(long, value_name = "KIND", default_value = "files")]
    pub(crate) store: StoreKind,
    /// How many threads of the follower apply the databases.
    #[arg(long, value_name = "N", default_value_t = 2,
        value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: u16,
    /// How often clients write on the leader and then read that on the follower.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) reads: u64,
    /// Print one JSON document instead of a progress bar and a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Copy a database anew where the follower cannot go on from its mark.
    #[arg(long)]
    pub(crate) rebase: bool,
    /// For tests: at each kill, throw away what was not synced, as a power cut would.
    #[arg(long, hide = true)]
    pub(crate) drop_page_cache: bool,
    /// For tests: break one rule, to see that it is missed.
    #[arg(long, hide = true)]
    pub(crate) sabotage: Option<Sabotage>,
}

impl RunArgs {
    pub(crate) fn kills(&self) -> u64 {
        self.kills.unwrap_or(if self.soak { 200 } else { 16 })
    }

    pub(crate) fn leader_kills(&self) -> u64 {
        self.leader_kills.unwrap_or(if self.soak { 20 } else { 4 })
    }

    /// How many transactions to make where no time is given.
    pub(crate) fn transactions(&self) -> u64 {
        self.transactions.unwrap_or(if self.soak { 400_000 } else { 80_000 })
    }
}

/// A store of `repl-checkpoint`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StoreKind {
    /// A file a generation, replaced by rename
    #[default]
    Files,
    /// Slots of one file, written in place
    Slots,
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StoreKind::Files => "files",
            StoreKind::Slots => "slots",
        })
    }
}

/// A rule to break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sabotage {
    /// The follower saves most marks before it flushes the replica.
    MarkBeforeFlush,
    /// The follower applies transactions before their log is durable.
    ApplyBeforeLog,
    /// The follower reads for clients without waiting for what they have written.
    SkipWait,
    /// The leader restarts its log without waiting for the retention floor.
    IgnoreFloor,
}

/// What the parent starts.
#[derive(Debug, Subcommand)]
pub(crate) enum ChildCommand {
    #[command(hide = true)]
    Leader(LeaderArgs),
    #[command(hide = true)]
    Follower(FollowerArgs),
}

#[derive(Debug, Args)]
pub(crate) struct LeaderArgs {
    #[arg(long)]
    pub(crate) dir: PathBuf,
    #[arg(long)]
    pub(crate) seed: u64,
    #[arg(long, value_delimiter = ',')]
    pub(crate) until: Vec<u64>,
    #[arg(long)]
    pub(crate) log_frames: u32,
    #[arg(long)]
    pub(crate) load: Option<PathBuf>,
    #[arg(long)]
    pub(crate) ignore_floor: bool,
}

#[expect(clippy::struct_excessive_bools, reason = "one a flag of the command line")]
#[derive(Debug, Args)]
pub(crate) struct FollowerArgs {
    #[arg(long)]
    pub(crate) dir: PathBuf,
    #[arg(long)]
    pub(crate) databases: u64,
    #[arg(long)]
    pub(crate) threads: u16,
    #[arg(long)]
    pub(crate) store: StoreKind,
    #[arg(long)]
    pub(crate) store_id: String,
    #[arg(long)]
    pub(crate) rebase: bool,
    #[arg(long)]
    pub(crate) keep_images: bool,
    #[arg(long)]
    pub(crate) mark_before_flush: bool,
    #[arg(long)]
    pub(crate) apply_before_log: bool,
    #[arg(long)]
    pub(crate) skip_wait: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(words: &[&str]) -> (u64, u64, u64) {
        let run = Cli::try_parse_from([&["sqlite-follower"], words].concat()).unwrap().run;
        (run.kills(), run.leader_kills(), run.transactions())
    }

    #[test]
    fn a_soak_is_longer_unless_it_is_told_how_long() {
        assert_eq!(asked(&[]), (16, 4, 80_000));
        assert_eq!(asked(&["--soak"]), (200, 20, 400_000));
        assert_eq!(asked(&["--soak", "--kills", "1000"]), (1000, 20, 400_000));
    }
}
