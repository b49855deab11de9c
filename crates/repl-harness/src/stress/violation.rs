//! What the suite holds a subject to, and how it says that a promise was broken.

use std::fmt;

use repl_core::{Incarnation, SeqNo, ShardId};

/// A promise: for every one of them `lesser <= greater` of a [`Violation`] should have held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Invariant {
    /// A mark, and what is saved of it, never falls within one life of a shard.
    NeverFalls,
    /// A mark comes from its own life of its own shard.
    OwnLifeOnly,
    /// A mark is at most what was asked for.
    NothingUnasked,
    /// What `advance` answers agrees with the mark.
    OutcomeIsTrue,
    /// After a removal has returned, every advance through an old handle says `Removed`.
    RemovedStaysRemoved,
    /// What was added is tracked and what was removed is not.
    TableIsTrue,
    /// Each life gets an incarnation above those of the lives before it, and no look-up finds an
    /// earlier life than one before it did.
    IncarnationsRise,
    /// The retention floor is at most the mark in the generation before the newest.
    FloorWithinPreviousGeneration,
    /// The retention floor is at most the checkpointed mark.
    FloorWithinCheckpointed,
    /// What is checkpointed, and what a crash would find on the disk, was flushed before.
    CheckpointedWithinFlushed,
    /// What is flushed is applied.
    FlushedWithinApplied,
    /// What was acknowledged is found again.
    AcknowledgedWithinRecovered,
    /// What is found again was attempted.
    RecoveredWithinAttempted,
    /// When all is done, every mark is the maximum of all that was asked.
    EndIsMaximum,
}

impl Invariant {
    /// What stands on the two sides of the inequality.
    fn sides(self) -> (&'static str, &'static str) {
        match self {
            Invariant::NeverFalls => ("seen before", "now"),
            Invariant::OwnLifeOnly => ("its own start", "a mark of another life"),
            Invariant::NothingUnasked => ("the mark", "the most that was asked for"),
            Invariant::OutcomeIsTrue => ("asked for or answered", "what must follow"),
            Invariant::RemovedStaysRemoved => ("asked for after the removal", "never moved"),
            Invariant::TableIsTrue => ("expected in the table", "found there"),
            Invariant::IncarnationsRise => ("an earlier incarnation", "a later one"),
            Invariant::FloorWithinPreviousGeneration => ("floor", "previous generation"),
            Invariant::FloorWithinCheckpointed => ("floor", "checkpointed"),
            Invariant::CheckpointedWithinFlushed => ("checkpointed", "flushed"),
            Invariant::FlushedWithinApplied => ("flushed", "applied"),
            Invariant::AcknowledgedWithinRecovered => ("acknowledged", "recovered"),
            Invariant::RecoveredWithinAttempted => ("recovered", "attempted"),
            Invariant::EndIsMaximum => ("the maximum asked for", "the end"),
        }
    }
}

/// A broken promise: `lesser` should have been at most `greater`. `None` stands for no number at
/// all: an untracked shard, or a mark that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub struct Violation {
    /// The promise.
    pub invariant: Invariant,
    /// The shard.
    pub shard: ShardId,
    /// Which life of it, where it is known.
    pub incarnation: Option<Incarnation>,
    /// The side that should have been less or equal.
    pub lesser: Option<SeqNo>,
    /// The side that should have been greater or equal.
    pub greater: Option<SeqNo>,
    /// The seed of the run.
    pub seed: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (lesser, greater) = self.invariant.sides();
        write!(f, "{:?} is broken: shard {}", self.invariant, self.shard)?;
        if let Some(incarnation) = self.incarnation {
            write!(f, " (incarnation {incarnation})")?;
        }
        write!(f, ", {lesser}: {}", Number(self.lesser))?;
        write!(f, ", {greater}: {}", Number(self.greater))?;
        write!(f, "; seed {}", self.seed)
    }
}

struct Number(Option<SeqNo>);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(n) => write!(f, "{n:#x}"),
            None => write!(f, "none"),
        }
    }
}
