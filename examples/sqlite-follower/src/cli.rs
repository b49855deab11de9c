//! The command line.

use std::fmt;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Serialize;

/// Follows live SQLite databases through their write-ahead logs, and survives being killed.
///
/// Without arguments: a leader process writes four databases in a temporary folder, a follower
/// process keeps a replica of each, and both are killed again and again. Clients write on the
/// leader, wait for their writes on the follower, and read them there. Exits with 1 unless every
/// client read what it had written and every replica equals its database in the end.
#[derive(Debug, Parser)]
#[command(version, about, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) child: Option<ChildCommand>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// The options of one run.
#[expect(clippy::struct_excessive_bools, reason = "one per flag of the command line")]
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Keep everything in this folder. A second run continues where the first stopped.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Run the SQL of this file on one database, each line as a transaction of its own.
    #[arg(long, value_name = "FILE.sql", conflicts_with = "transactions")]
    pub(crate) load: Option<PathBuf>,
    /// Kill the follower 200 times and the leader 20 times, over 400000 transactions.
    #[arg(long)]
    pub(crate) soak: bool,
    /// The number of times to kill the follower [default: 16, or 200 with --soak].
    #[arg(long, value_name = "N")]
    pub(crate) kills: Option<u64>,
    /// Stop writing after N seconds, or after the last read by a client if that is later.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seconds: Option<u64>,
    /// The number of transactions of this run, over all databases [default: 80000, or 400000 with
    /// --soak, or as many as fit in --seconds].
    #[arg(long, value_name = "N")]
    pub(crate) transactions: Option<u64>,
    /// The seed of all random choices [default: a new one each time, printed].
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// The length at which the leader restarts a log.
    #[arg(long, value_name = "FRAMES", default_value_t = 4000,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) log_frames: u32,
    /// The number of times to kill the leader [default: 4, or 20 with --soak].
    #[arg(long, value_name = "N")]
    pub(crate) leader_kills: Option<u64>,
    /// The store in which the follower keeps its marks.
    #[arg(long, value_name = "KIND", default_value = "files")]
    pub(crate) store: StoreKind,
    /// The number of follower threads that apply the databases.
    #[arg(long, value_name = "N", default_value_t = 2,
        value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) threads: u16,
    /// The number of times clients write on the leader and read that write on the follower.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) reads: u64,
    /// Print one JSON document instead of a progress bar and a table.
    #[arg(long)]
    pub(crate) json: bool,
    /// Copy a database again if the follower cannot continue from its mark.
    #[arg(long)]
    pub(crate) rebase: bool,
    /// For tests: at each kill, discard what was not synced, as a power cut would.
    #[arg(long, hide = true)]
    pub(crate) drop_page_cache: bool,
    /// For tests: break one rule of the protocol.
    #[arg(long, hide = true)]
    pub(crate) mutant: Option<Mutant>,
}

impl RunArgs {
    pub(crate) fn kills(&self) -> u64 {
        self.kills.unwrap_or(if self.soak { 200 } else { 16 })
    }

    pub(crate) fn leader_kills(&self) -> u64 {
        self.leader_kills.unwrap_or(if self.soak { 20 } else { 4 })
    }

    /// The number of transactions if no time is given.
    pub(crate) fn transactions(&self) -> u64 {
        self.transactions.unwrap_or(if self.soak { 400_000 } else { 80_000 })
    }
}

/// A store of `repl-checkpoint`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StoreKind {
    /// One file per generation, renamed into place
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

/// A deliberately wrong leader or follower that a run must detect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mutant {
    /// The follower saves most marks before it syncs the replica.
    MarkBeforeFlush,
    /// The follower applies transactions before their log is durable.
    ApplyBeforeLog,
    /// The follower reads for clients without waiting for their writes.
    SkipWait,
    /// The leader restarts its log without waiting for the retention floor.
    IgnoreFloor,
}

/// A process that the parent starts.
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

#[expect(clippy::struct_excessive_bools, reason = "one per flag of the command line")]
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

    fn counts(words: &[&str]) -> (u64, u64, u64) {
        let run = Cli::try_parse_from([&["sqlite-follower"], words].concat()).unwrap().run;
        (run.kills(), run.leader_kills(), run.transactions())
    }

    #[test]
    fn a_soak_raises_the_defaults_and_explicit_options_win() {
        assert_eq!(counts(&[]), (16, 4, 80_000));
        assert_eq!(counts(&["--soak"]), (200, 20, 400_000));
        assert_eq!(counts(&["--soak", "--kills", "1000"]), (1000, 20, 400_000));
    }
}
