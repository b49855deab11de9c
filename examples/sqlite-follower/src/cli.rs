//! The command line.

use std::path::PathBuf;

use clap::builder::ArgPredicate::IsPresent;
use clap::{Arg, Parser, ValueEnum};
use example_support::RunArgs;
use serde::{Deserialize, Serialize};

/// Follows live SQLite databases through their write-ahead logs, and survives being killed.
///
/// Without arguments: a leader process writes four databases in a temporary folder, a follower
/// process keeps a replica of each, and both are killed again and again. Clients write on the
/// leader, wait for their writes on the follower, and read them there. Exits with 1 unless every
/// client read what it had written and every replica equals its database in the end.
///
/// In a --dir that holds an earlier run, a run continues where that one stopped.
#[derive(Debug, Clone, Parser, Serialize, Deserialize)]
#[command(version, about, mut_arg("kills", kills_of_the_follower))]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) run: RunArgs<16>,
    /// Run the SQL of this file on one database, each statement as a transaction of its own.
    #[arg(long, value_name = "FILE.sql", conflicts_with = "transactions")]
    pub(crate) load: Option<PathBuf>,
    /// Kill the follower 200 times and the leader 20 times, over 400000 transactions.
    #[arg(long)]
    soak: bool,
    /// Stop writing after N seconds, or after the last read by a client if that is later.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seconds: Option<u64>,
    /// The number of transactions of this run, over all databases [default: 80000, or 400000 with
    /// --soak, or as many as fit in --seconds].
    #[arg(
        long,
        value_name = "N",
        default_value_t = 80_000,
        hide_default_value = true,
        default_value_if("seconds", IsPresent, NO_LIMIT),
        default_value_if("soak", "true", "400000")
    )]
    pub(crate) transactions: u64,
    /// The length at which the leader restarts a log.
    #[arg(long, value_name = "FRAMES", default_value_t = 4000,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) log_frames: u32,
    /// The number of times to kill the leader [default: 4, or 20 with --soak].
    #[arg(
        long,
        value_name = "N",
        default_value_t = 4,
        hide_default_value = true,
        default_value_if("soak", "true", "20")
    )]
    pub(crate) leader_kills: u64,
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

/// The largest `u64`.
const NO_LIMIT: &str = "18446744073709551615";

fn kills_of_the_follower(kills: Arg) -> Arg {
    let help = "The number of times to kill the follower [default: 16, or 200 with --soak]";
    kills.help(help).hide_default_value(true).default_value_if("soak", "true", "200")
}

/// A store of `repl-checkpoint`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StoreKind {
    /// One file per generation, renamed into place
    #[default]
    Files,
    /// Slots of one file, written in place
    Slots,
}

/// A deliberately wrong leader or follower that a run must detect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
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

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(words: &str) -> (u64, u64, u64) {
        let args = Args::try_parse_from(format!("program {words}").split_whitespace()).unwrap();
        (args.run.kills, args.leader_kills, args.transactions)
    }

    #[test]
    fn a_soak_raises_the_defaults_and_explicit_options_win() {
        assert_eq!(counts(""), (16, 4, 80_000));
        assert_eq!(counts("--soak"), (200, 20, 400_000));
        assert_eq!(counts("--soak --kills 1000"), (1000, 20, 400_000));
        assert_eq!(counts("--soak --seconds 9"), (200, 20, u64::MAX));
    }
}
