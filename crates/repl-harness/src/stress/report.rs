//! The progress and the result of a run.

use std::fmt;
use std::time::Duration;

use super::config::Config;

/// The progress of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The time since the run began.
    pub elapsed: Duration,
    /// The configured duration of the run.
    pub duration: Duration,
    /// The number of operations so far.
    pub operations: u64,
    /// The number of acknowledged checkpoints so far.
    pub saves: u64,
}

/// The number of operations of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Operations {
    /// Advances through a handle.
    pub advances_by_handle: u64,
    /// Advances by the shard's id.
    pub advances_by_id: u64,
    /// Advances through handles whose shard had been removed or reset.
    pub advances_by_old_handle: u64,
    /// Reads of one mark, by handle or by id.
    pub reads: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// Comparisons of the floor with the checkpointed, flushed and applied mark.
    pub comparisons: u64,
    /// Shards added.
    pub adds: u64,
    /// Shards removed.
    pub removes: u64,
    /// Shards reset.
    pub resets: u64,
    /// Checkpoints begun.
    pub attempts: u64,
    /// Flushes refused on purpose.
    pub refused: u64,
    /// Checkpoints dropped before they were saved.
    pub attempts_dropped: u64,
    /// Checkpoints offered to be saved after a later one had begun.
    pub attempts_superseded: u64,
    /// Questions whether a removed shard is unreferenced.
    pub questions: u64,
    /// Removed shards that are unreferenced.
    pub unreferenced: u64,
    /// Waits, blocking or not, that ended because the seqno was reached.
    pub waits_reached: u64,
    /// Waits that ended because their time was up.
    pub waits_timed_out: u64,
    /// Waits that ended because the shard was removed or reset.
    pub waits_removed: u64,
    /// Waits that ended because the state was closed.
    pub waits_closed: u64,
    /// Futures that were dropped while they waited.
    pub waits_cancelled: u64,
    /// Polls of futures.
    pub polls: u64,
    /// Advances of the mark that two threads move in turn.
    pub hand_overs: u64,
    /// Seqnos claimed.
    pub claims: u64,
    /// Claims refused because the seqno is completed, claimed or too far above the mark.
    pub claims_refused: u64,
    /// Claims dropped.
    pub claims_dropped: u64,
    /// Seqnos completed, with a claim or without.
    pub completions: u64,
    /// Ranges skipped.
    pub skips: u64,
    /// Reads of a window: whether a seqno is completed, and the completed ranges.
    pub window_reads: u64,
    /// Windows opened.
    pub windows: u64,
}

impl Operations {
    /// The sum of all operations.
    pub fn total(&self) -> u64 {
        self.by_name().iter().map(|(_, count)| count).sum()
    }

    /// The name and count of each kind, in the order of the fields.
    pub fn by_name(&self) -> [(&'static str, u64); 29] {
        [
            ("advances by handle", self.advances_by_handle),
            ("advances by id", self.advances_by_id),
            ("advances by old handle", self.advances_by_old_handle),
            ("reads", self.reads),
            ("snapshots", self.snapshots),
            ("comparisons", self.comparisons),
            ("adds", self.adds),
            ("removes", self.removes),
            ("resets", self.resets),
            ("checkpoints begun", self.attempts),
            ("flushes refused on purpose", self.refused),
            ("checkpoints dropped", self.attempts_dropped),
            ("checkpoints superseded", self.attempts_superseded),
            ("questions whether a shard is unreferenced", self.questions),
            ("shards unreferenced", self.unreferenced),
            ("waits that reached their seqno", self.waits_reached),
            ("waits timed out", self.waits_timed_out),
            ("waits ended by a removal", self.waits_removed),
            ("waits ended by the close", self.waits_closed),
            ("waits cancelled", self.waits_cancelled),
            ("polls of futures", self.polls),
            ("marks handed over", self.hand_overs),
            ("claims", self.claims),
            ("claims refused", self.claims_refused),
            ("claims dropped", self.claims_dropped),
            ("completions", self.completions),
            ("skips", self.skips),
            ("reads of windows", self.window_reads),
            ("windows opened", self.windows),
        ]
    }

    pub(crate) fn add(&mut self, more: &Operations) {
        self.advances_by_handle += more.advances_by_handle;
        self.advances_by_id += more.advances_by_id;
        self.advances_by_old_handle += more.advances_by_old_handle;
        self.reads += more.reads;
        self.snapshots += more.snapshots;
        self.comparisons += more.comparisons;
        self.adds += more.adds;
        self.removes += more.removes;
        self.resets += more.resets;
        self.attempts += more.attempts;
        self.refused += more.refused;
        self.attempts_dropped += more.attempts_dropped;
        self.attempts_superseded += more.attempts_superseded;
        self.questions += more.questions;
        self.unreferenced += more.unreferenced;
        self.waits_reached += more.waits_reached;
        self.waits_timed_out += more.waits_timed_out;
        self.waits_removed += more.waits_removed;
        self.waits_closed += more.waits_closed;
        self.waits_cancelled += more.waits_cancelled;
        self.polls += more.polls;
        self.hand_overs += more.hand_overs;
        self.claims += more.claims;
        self.claims_refused += more.claims_refused;
        self.claims_dropped += more.claims_dropped;
        self.completions += more.completions;
        self.skips += more.skips;
        self.window_reads += more.window_reads;
        self.windows += more.windows;
    }
}

/// The result of a run without a violation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// The number of threads, without those that only wait.
    pub threads: usize,
    /// The seed.
    pub seed: u64,
    /// The duration of the run.
    pub elapsed: Duration,
    /// The operations.
    pub operations: Operations,
    /// The number of acknowledged checkpoints.
    pub saves: u64,
    /// The number of rounds, each of which recovers what the one before saved.
    pub rounds: u64,
}

impl Report {
    pub(crate) fn new(config: &Config) -> Self {
        Report {
            threads: config.threads.max(1),
            seed: config.seed,
            elapsed: Duration::ZERO,
            operations: Operations::default(),
            saves: 0,
            rounds: 0,
        }
    }

    /// The operations per second of all threads together.
    #[expect(clippy::cast_precision_loss, reason = "a rate to look at")]
    pub fn operations_per_second(&self) -> f64 {
        self.operations.total() as f64 / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        writeln!(f, "seed {}, {} threads, {seconds:.1} s", self.seed, self.threads)?;
        writeln!(f, "{:>14.0} operations per second", self.operations_per_second())?;
        for (name, count) in self.operations.by_name() {
            writeln!(f, "{count:>14} {name}")?;
        }
        writeln!(f, "{:>14} saves acknowledged", self.saves)?;
        write!(f, "{:>14} rounds, each recovered by the next", self.rounds)
    }
}
