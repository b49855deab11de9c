//! What a run did.

use std::fmt;
use std::time::Duration;

use super::Config;

/// What a run has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How long it has been running.
    pub elapsed: Duration,
    /// How long it is to run.
    pub duration: Duration,
    /// How many operations it has done.
    pub operations: u64,
    /// How many checkpoints were acknowledged.
    pub saves: u64,
}

/// How many operations of each kind were done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Operations {
    /// Advances through a handle on the life that the shard had when it was taken.
    pub advances_by_handle: u64,
    /// Advances by the shard's id.
    pub advances_by_id: u64,
    /// Advances through handles whose life had ended.
    pub advances_by_old_handle: u64,
    /// Reads of one mark, by handle or id.
    pub reads: u64,
    /// Snapshots.
    pub snapshots: u64,
    /// Comparisons of floor, checkpointed, flushed and applied marks.
    pub comparisons: u64,
    /// Shards added.
    pub adds: u64,
    /// Shards removed.
    pub removes: u64,
    /// Shards reset.
    pub resets: u64,
    /// Checkpoints, refused ones included.
    pub checkpoints: u64,
}

impl Operations {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.by_name().iter().map(|(_, count)| count).sum()
    }

    /// Each kind with its name, in the order of the fields.
    pub fn by_name(&self) -> [(&'static str, u64); 10] {
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
            ("checkpoints", self.checkpoints),
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
        self.checkpoints += more.checkpoints;
    }
}

/// What a run did that found nothing wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// How many threads ran.
    pub threads: usize,
    /// The seed.
    pub seed: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// What was done.
    pub operations: Operations,
    /// How many checkpoints were acknowledged.
    pub saves: u64,
    /// How many flushes were refused on purpose.
    pub refused: u64,
    /// How often the subject was opened and run.
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
            refused: 0,
            rounds: 0,
        }
    }

    /// Operations a second, all threads together.
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
        writeln!(f, "{:>14} flushes refused on purpose", self.refused)?;
        write!(f, "{:>14} rounds, each recovered by the next", self.rounds)
    }
}
