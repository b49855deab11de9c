//! What the suite holds a subject to, and how it says that a promise was broken.

use std::fmt;
use std::time::Duration;

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
    /// What an acknowledged checkpoint recorded as completed above a mark is completed after the
    /// recovery.
    RecordedWithinCompleted,
    /// What is completed above a mark after the recovery was recorded by an attempted checkpoint.
    CompletedWithinRecorded,
    /// When all is done, every mark is the maximum of all that was asked.
    EndIsMaximum,
    /// A wait that says that its seqno was reached is right.
    ReachedIsReached,
    /// A wait ends for the reason that it gives: its life was ended, the state closed, or the time
    /// up.
    WaitIsTrue,
    /// A wait ends soon after its seqno is reached, its life ended, the state closed or the time
    /// up. The violation says more in [`Violation::hung`].
    WaitEnds,
    /// Who learns of a mark sees what was written before the mark was moved there.
    WrittenIsSeen,
    /// A seqno is claimed by one thread at a time.
    ClaimedOnce,
    /// A seqno is not claimed any more once it is completed.
    NoClaimAfterCompletion,
    /// A claim that is let go frees its seqno.
    FreedIsFree,
    /// The mark passes no seqno that is neither completed nor skipped.
    NoGapPassed,
    /// The mark does not stay below what is completed next to it.
    NoCompletionLost,
    /// What a window says of a seqno agrees with what was done with it.
    WindowIsTrue,
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
            Invariant::RecordedWithinCompleted => ("recorded", "completed after the recovery"),
            Invariant::CompletedWithinRecorded => ("completed after the recovery", "recorded"),
            Invariant::EndIsMaximum => ("the maximum asked for", "the end"),
            Invariant::ReachedIsReached => ("awaited", "the mark that ended the wait"),
            Invariant::WaitIsTrue => ("awaited", "what must follow"),
            Invariant::WaitEnds => ("awaited", "the mark"),
            Invariant::WrittenIsSeen => ("the mark", "written before it and seen"),
            Invariant::ClaimedOnce => ("claimed", "free to be claimed"),
            Invariant::NoClaimAfterCompletion => ("claimed", "not completed"),
            Invariant::FreedIsFree => ("free", "free to be claimed"),
            Invariant::NoGapPassed => ("the mark", "the end of what was completed next to it"),
            Invariant::NoCompletionLost => ("the end of what is completed", "the mark"),
            Invariant::WindowIsTrue => ("said of the seqno", "done with it"),
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
    /// With [`Invariant::WaitEnds`]: more about the wait.
    pub hung: Option<HungWait>,
}

/// A wait that should have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HungWait {
    /// What the thread did.
    pub doing: &'static str,
    /// Why the wait should have ended.
    pub due: Due,
    /// For how long it should have ended when it was found out.
    pub due_for: Duration,
    /// How many waits there were in all at that time.
    pub waiting: usize,
}

/// Why a wait should have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Due {
    /// The mark is at the seqno or above.
    Reached,
    /// The life was ended.
    Removed,
    /// The state was closed.
    Closed,
    /// The time was up.
    TimedOut,
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
        if let Some(HungWait { doing, due, due_for, waiting }) = self.hung {
            let due = format!("{due:?}").to_lowercase();
            let seconds = due_for.as_secs_f64();
            write!(f, ", {due} {seconds:.1} s ago in {doing}, one of {waiting} waits")?;
        }
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
