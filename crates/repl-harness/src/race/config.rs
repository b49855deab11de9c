//! How many race, and for how long.

use std::time::Duration;

use repl_checkpoint::StoreId;

use super::promise::Promise;

/// The configuration of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The number of processes; 0 counts as 1.
    pub processes: usize,
    /// The number of writers in all processes together, each with a store of its own; at least 2.
    pub writers: usize,
    /// The number of rounds that are judged. Where too many calls are in doubt, another round is run.
    pub rounds: u64,
    /// The seed of every choice. How the calls interleave depends on the machine.
    pub seed: u64,
    /// The time without an answer after which a call counts as hung.
    pub hung_after: Duration,
    /// The record that the writers race for. There must be none yet, and it is left there.
    pub record: StoreId,
    /// Promises that are not checked, to show that a check is what finds a fault.
    pub skip: Vec<Promise>,
}

impl Default for Config {
    /// Eight writers in three processes, 200 rounds, on a new random record. A call hangs after 30
    /// seconds.
    fn default() -> Self {
        Config {
            processes: 3,
            writers: 8,
            rounds: 200,
            seed: 1,
            hung_after: Duration::from_secs(30),
            record: StoreId(fastrand::u128(1..)),
            skip: Vec::new(),
        }
    }
}
