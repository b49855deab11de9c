//! What every image is held to, and how a broken promise is told.

use std::fmt;

/// A promise of the store and the checkpointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// Nothing panics, whatever the disk holds.
    NoPanic,
    /// What is recovered was written, byte for byte.
    NothingUnwritten,
    /// What was acknowledged is found again, or something newer.
    AcknowledgedSurvives,
    /// What was said not to be saved is not found.
    NotSavedLeavesOld,
    /// A crash alone is no damage: recovery answers.
    RecoveryAnswers,
    /// A crash damages no more than the one checkpoint whose save it cut off.
    OneUnfinished,
    /// Where no call fails, a save succeeds.
    NextSaveWorks,
    /// No temporary file is there after an open.
    NoTempOutlivesOpen,
    /// A temporary file that a process finds is removed, and nothing else is done with it.
    FoundTempsUnread,
    /// No floor or checkpointed mark once given out is above what a later recovery returns.
    FloorsHold,
    /// One store at a time holds a directory.
    OneOwner,
    /// No generation is used twice within one open.
    GenerationsRise,
    /// At every instant `floor <= checkpointed <= applied`.
    WithinApplied,
    /// A damaged file is never passed over in silence.
    DamageIsReported,
    /// Damage to one file, or to one slot, leaves a whole one to fall back to, from the second save
    /// on.
    OneDamageSurvived,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Invariant::NoPanic => "nothing panics",
            Invariant::NothingUnwritten => "what is recovered was written",
            Invariant::AcknowledgedSurvives => "what was acknowledged is found again",
            Invariant::NotSavedLeavesOld => "what was said not to be saved is not found",
            Invariant::RecoveryAnswers => "after a crash alone recovery answers",
            Invariant::OneUnfinished => "a crash damages one unfinished save at most",
            Invariant::NextSaveWorks => "the next save works",
            Invariant::NoTempOutlivesOpen => "no temporary file outlives an open",
            Invariant::FoundTempsUnread => "a temporary file that is found is not used",
            Invariant::FloorsHold => "no floor is above a later recovery",
            Invariant::OneOwner => "one store at a time holds a directory",
            Invariant::GenerationsRise => "no generation is used twice",
            Invariant::WithinApplied => "floor <= checkpointed <= applied",
            Invariant::DamageIsReported => "damage is never passed over in silence",
            Invariant::OneDamageSurvived => "damage to one checkpoint leaves another",
        })
    }
}

/// A broken promise, and the shortest way to it that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The promise.
    pub invariant: Invariant,
    /// What was seen instead.
    pub what: String,
    /// The calls that lead there, one a line, with the crashes between them.
    pub script: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken: {}: {}", self.invariant, self.what)?;
        self.script.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}

/// The same within one life of a process.
#[derive(Debug, Clone)]
pub(crate) struct Broken {
    pub(crate) invariant: Invariant,
    pub(crate) what: String,
}

impl Broken {
    pub(crate) fn new(invariant: Invariant, what: impl Into<String>) -> Self {
        Broken { invariant, what: what.into() }
    }
}
