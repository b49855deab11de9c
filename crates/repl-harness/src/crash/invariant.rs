//! The promises that every recovery is checked against, and how a violation is reported.

use std::fmt;

/// A promise of the store and the checkpointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// Nothing panics, whatever the disk holds.
    NoPanic,
    /// Recovery returns only what was written, byte for byte.
    RecoveredWasWritten,
    /// Recovery returns the last acknowledged save or a newer one.
    AcknowledgedSurvives,
    /// A save that was reported as not saved is not found.
    NotSavedIsAbsent,
    /// Recovery succeeds after a crash: a crash alone is no damage.
    RecoverySucceeds,
    /// A crash damages at most the checkpoint whose save it interrupted.
    AtMostOneTorn,
    /// A save succeeds if no call fails.
    NextSaveSucceeds,
    /// No temporary file exists after an open.
    OpenRemovesTemps,
    /// A process does nothing with the temporary files that it finds except remove them.
    TempsOnlyRemoved,
    /// No floor or checkpointed mark that was returned is above what a later recovery returns.
    FloorsHold,
    /// At most one store at a time owns a directory.
    OneOwner,
    /// A directory with an acknowledged save has its marker.
    MarkerStays,
    /// No process uses a generation twice, also after it has opened its store again.
    GenerationsRise,
    /// Only the newest attempt is saved, and only after its flush.
    OnlyFlushedIsSaved,
    /// A store in doubt is opened again if no call fails.
    ReopenSucceeds,
    /// A store that is opened again goes on only from the acknowledged save or the one in doubt.
    ReopenFindsOwn,
    /// After a reopen, checkpointed marks wait for a save, and floors for two.
    FloorsWaitAfterReopen,
    /// At every instant `floor <= checkpointed <= applied`.
    WithinApplied,
    /// Damage to a file is reported.
    DamageIsReported,
    /// Recovery finds in a slot file exactly what docs/format.md says, damage included.
    FormatHolds,
    /// Damage to one file or one slot leaves an older checkpoint, from the second save on.
    OneDamageSurvived,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Invariant::NoPanic => "nothing panics",
            Invariant::RecoveredWasWritten => "recovery returns only what was written",
            Invariant::AcknowledgedSurvives => "an acknowledged save is found again",
            Invariant::NotSavedIsAbsent => "a save reported as not saved is not found",
            Invariant::RecoverySucceeds => "recovery succeeds after a crash",
            Invariant::AtMostOneTorn => "a crash damages at most one checkpoint",
            Invariant::NextSaveSucceeds => "the next save succeeds",
            Invariant::OpenRemovesTemps => "no temporary file exists after an open",
            Invariant::TempsOnlyRemoved => "a temporary file that is found is only removed",
            Invariant::FloorsHold => "no floor is above a later recovery",
            Invariant::OneOwner => "at most one store owns a directory",
            Invariant::MarkerStays => "a directory with an acknowledged save has its marker",
            Invariant::GenerationsRise => "no generation is used twice",
            Invariant::OnlyFlushedIsSaved => "only the newest attempt is saved, after its flush",
            Invariant::ReopenSucceeds => "a store in doubt is opened again",
            Invariant::ReopenFindsOwn => "a reopen goes on only from a save of this process",
            Invariant::FloorsWaitAfterReopen => "after a reopen floors wait for two saves",
            Invariant::WithinApplied => "floor <= checkpointed <= applied",
            Invariant::DamageIsReported => "damage is reported",
            Invariant::FormatHolds => "recovery finds what the format says",
            Invariant::OneDamageSurvived => "damage to one checkpoint leaves an older one",
        })
    }
}

/// A broken promise, with the shortest sequence of calls found that breaks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The promise.
    pub invariant: Invariant,
    /// What was observed instead.
    pub what: String,
    /// The calls that lead to it, one per line, with the crashes between them. Empty as long as
    /// they are not known.
    pub script: Vec<String>,
}

impl Violation {
    /// Creates a violation without the calls that lead to it.
    pub fn new(invariant: Invariant, what: impl Into<String>) -> Self {
        Violation { invariant, what: what.into(), script: Vec::new() }
    }

    /// Adds the calls that lead to it.
    #[must_use]
    pub fn after(self, script: Vec<String>) -> Self {
        Violation { script, ..self }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "broken: {}: {}", self.invariant, self.what)?;
        self.script.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}
