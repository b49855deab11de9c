//! The promises of a state and its checkpointer, and how a violation is reported.

use std::fmt;
use std::time::Duration;

use repl_core::{Incarnation, SeqNo, ShardId};

/// A promise, as an inequality: the `lesser` side of a [`Violation`] should have been
/// at most the `greater` side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Invariant {
    /// A mark, and the saved mark, never falls within one incarnation of a shard.
    NeverFalls,
    /// A mark belongs to its own shard and incarnation.
    OwnIncarnationOnly,
    /// A mark is at most the highest requested seqno.
    WithinRequested,
    /// The result of `advance` agrees with the mark.
    OutcomeMatchesMark,
    /// After a removal has returned, every advance through an old handle returns `Removed`.
    RemovedStaysRemoved,
    /// An added shard is tracked, and a removed one is not.
    TableMatchesChanges,
    /// Each incarnation of a shard is above the earlier ones, and no look-up finds an incarnation
    /// below one that an earlier look-up found.
    IncarnationsRise,
    /// The retention floor is at most the mark in the generation before the newest.
    FloorWithinPreviousGeneration,
    /// The retention floor is at most the checkpointed mark.
    FloorWithinCheckpointed,
    /// A checkpointed mark, and a mark that a crash would leave on the disk, was flushed before.
    CheckpointedWithinFlushed,
    /// A flushed mark is applied.
    FlushedWithinApplied,
    /// An acknowledged mark is recovered.
    AcknowledgedWithinRecovered,
    /// A recovered mark was attempted.
    RecoveredWithinAttempted,
    /// A completed range in an acknowledged checkpoint is completed after recovery.
    RecordedWithinCompleted,
    /// A completed range after recovery was in an attempted checkpoint.
    CompletedWithinRecorded,
    /// A checkpoint is saved only if no later one has begun.
    OnlyNewestIsSaved,
    /// A shard that is removed and unreferenced is in no later checkpoint unless it is added again.
    UnreferencedStaysGone,
    /// At the end every mark is the maximum of all requested seqnos.
    EndIsMaximum,
    /// A wait that returns a mark returns one at or above its seqno.
    ReachedMarkIsHighEnough,
    /// A wait ends for the reason that it returns: the shard was removed, the state closed, or the
    /// time up.
    WaitEndsForItsReason,
    /// A wait ends soon after its seqno is reached, its shard removed, the state closed or its time
    /// up. [`Violation::hung`] has details.
    WaitEnds,
    /// A thread that observes a mark also observes every write made before the mark was reached.
    WritesAreVisible,
    /// A seqno is claimed by at most one thread at a time.
    ClaimedOnce,
    /// A completed seqno is not claimed again.
    NoClaimAfterCompletion,
    /// A dropped claim frees its seqno.
    DroppedClaimIsFree,
    /// The mark moves over no seqno that is neither completed nor skipped.
    NoGapPassed,
    /// The mark moves over every completed seqno next to it.
    NoCompletionLost,
    /// A window's answer about a seqno agrees with what was done with the seqno.
    WindowMatchesCalls,
}

impl Invariant {
    /// The names of the two sides of the inequality.
    fn sides(self) -> (&'static str, &'static str) {
        match self {
            Invariant::NeverFalls => ("seen before", "now"),
            Invariant::OwnIncarnationOnly => ("its own start", "a mark of another incarnation"),
            Invariant::WithinRequested => ("the mark", "the highest requested seqno"),
            Invariant::OutcomeMatchesMark => ("requested or returned", "the expected result"),
            Invariant::RemovedStaysRemoved => ("requested after the removal", "never moved"),
            Invariant::TableMatchesChanges => ("expected in the table", "found in the table"),
            Invariant::IncarnationsRise => ("an earlier incarnation", "a later one"),
            Invariant::FloorWithinPreviousGeneration => ("floor", "previous generation"),
            Invariant::FloorWithinCheckpointed => ("floor", "checkpointed"),
            Invariant::CheckpointedWithinFlushed => ("checkpointed", "flushed"),
            Invariant::FlushedWithinApplied => ("flushed", "applied"),
            Invariant::AcknowledgedWithinRecovered => ("acknowledged", "recovered"),
            Invariant::RecoveredWithinAttempted => ("recovered", "attempted"),
            Invariant::RecordedWithinCompleted => ("recorded", "completed after the recovery"),
            Invariant::CompletedWithinRecorded => ("completed after the recovery", "recorded"),
            Invariant::OnlyNewestIsSaved => ("the newest attempt", "the attempt that is saved"),
            Invariant::UnreferencedStaysGone => {
                ("the first incarnation that may be saved", "an incarnation in a checkpoint")
            }
            Invariant::EndIsMaximum => ("the highest requested seqno", "the mark at the end"),
            Invariant::ReachedMarkIsHighEnough => ("awaited", "the mark that ended the wait"),
            Invariant::WaitEndsForItsReason => ("awaited", "the expected result"),
            Invariant::WaitEnds => ("awaited", "the mark"),
            Invariant::WritesAreVisible => ("the mark", "the newest visible write"),
            Invariant::ClaimedOnce => ("claimed", "free to be claimed"),
            Invariant::NoClaimAfterCompletion => ("claimed", "not completed"),
            Invariant::DroppedClaimIsFree => ("free", "free to be claimed"),
            Invariant::NoGapPassed => ("the mark", "the end of the completed range next to it"),
            Invariant::NoCompletionLost => ("the end of the completed range", "the mark"),
            Invariant::WindowMatchesCalls => {
                ("the window's answer", "what was done with the seqno")
            }
        }
    }
}

/// A broken promise: `lesser` should have been at most `greater`. `None` means that there is no
/// number: the shard is not tracked, or the mark is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub struct Violation {
    /// The promise.
    pub invariant: Invariant,
    /// The shard.
    pub shard: ShardId,
    /// The incarnation of the shard, if it is known.
    pub incarnation: Option<Incarnation>,
    /// The value that must be at most `greater`.
    pub lesser: Option<SeqNo>,
    /// The value that must be at least `lesser`.
    pub greater: Option<SeqNo>,
    /// The seed of the run.
    pub seed: u64,
    /// The wait that hung, if the invariant is [`Invariant::WaitEnds`].
    pub hung: Option<HungWait>,
}

/// A wait that should have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HungWait {
    /// The operation of the thread.
    pub doing: &'static str,
    /// The reason for which the wait should have ended.
    pub due: Due,
    /// The time since it should have ended.
    pub due_for: Duration,
    /// The number of all waits at that time.
    pub waiting: usize,
}

/// A reason for which a wait should have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Due {
    /// The mark is at the seqno or above.
    Reached,
    /// The shard was removed or reset.
    Removed,
    /// The state was closed.
    Closed,
    /// Its time was up.
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
