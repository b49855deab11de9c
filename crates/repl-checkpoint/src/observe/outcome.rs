//! The outcomes that are counted, by name.

/// What became of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Whole,
    Delta,
    Unchanged,
    FlushFailed,
    Dropped,
    Failed,
    InDoubt,
    Poisoned,
    Refused,
    Panicked,
}

/// Where the marks of a recovery come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Fresh,
    Resumed,
    FellBack,
    Failed,
}

impl Outcome {
    #[cfg(feature = "metrics")]
    pub(crate) const ALL: [Outcome; 10] = [
        Outcome::Whole,
        Outcome::Delta,
        Outcome::Unchanged,
        Outcome::FlushFailed,
        Outcome::Dropped,
        Outcome::Failed,
        Outcome::InDoubt,
        Outcome::Poisoned,
        Outcome::Refused,
        Outcome::Panicked,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Outcome::Whole => "whole",
            Outcome::Delta => "delta",
            Outcome::Unchanged => "unchanged",
            Outcome::FlushFailed => "flush_failed",
            Outcome::Dropped => "dropped",
            Outcome::Failed => "failed",
            Outcome::InDoubt => "in_doubt",
            Outcome::Poisoned => "poisoned",
            Outcome::Refused => "refused",
            Outcome::Panicked => "panicked",
        }
    }
}

impl Origin {
    #[cfg(feature = "metrics")]
    pub(crate) const ALL: [Origin; 4] =
        [Origin::Fresh, Origin::Resumed, Origin::FellBack, Origin::Failed];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Origin::Fresh => "fresh",
            Origin::Resumed => "resumed",
            Origin::FellBack => "fell_back",
            Origin::Failed => "failed",
        }
    }
}
