//! The calls that a writer makes, and what became of them.

use std::fmt;

use repl_checkpoint::{Acquire, Generation, Held, Lease, RemoteSave, Witness};

/// A call to a store, or the order to make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    TakeOver(Option<Witness>),
    Renew {
        lease: Lease,
        token: u64,
    },
    Save {
        lease: Lease,
        previous: Generation,
        generation: Generation,
        content: u64,
    },
    /// An order: save under the lease that this writer has got by the order before.
    SaveMine {
        content: u64,
    },
    Load {
        at_most: Generation,
    },
}

/// An order to a writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) step: Step,
    /// Drop the future after it was polled so often.
    pub(crate) polls: Option<u32>,
}

impl From<Step> for Order {
    fn from(step: Step) -> Self {
        Order { step, polls: None }
    }
}

/// A record, as an answer tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) lease: Lease,
    pub(crate) generation: Generation,
}

impl From<&Held> for Seen {
    fn from(held: &Held) -> Self {
        Seen { lease: held.lease, generation: held.generation }
    }
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Acquired(Seen),
    Saved,
    /// Content `None`: bytes that were never saved, or not for this generation.
    Loaded(Option<(Generation, Option<u64>)>),
    Refused(Option<Seen>),
    Unavailable(String),
    InDoubt(String),
    Dropped,
    Panicked(String),
}

/// A call that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// From 0.
    pub(crate) writer: usize,
    pub(crate) step: Step,
    pub(crate) outcome: Outcome,
}

impl Call {
    /// What the record is after the call, if it said `Ok` and has changed it.
    pub(crate) fn made(&self) -> Option<Seen> {
        match (&self.outcome, self.step) {
            (Outcome::Acquired(seen), _) => Some(*seen),
            (Outcome::Saved, Step::Save { lease, generation, .. }) => {
                Some(Seen { lease, generation })
            }
            _ => None,
        }
    }

    /// Whether it may or may not have changed the record, and whether it may do so later.
    pub(crate) fn is_doubtful(&self) -> bool {
        matches!(self.outcome, Outcome::InDoubt(_) | Outcome::Dropped)
    }

    /// Whether it was refused by a record that is just what it makes: it may have been sent twice.
    pub(crate) fn may_be_its_own(&self) -> bool {
        match (self.step, &self.outcome) {
            (Step::Save { lease, generation, .. }, Outcome::Refused(Some(seen))) => {
                *seen == Seen { lease, generation }
            }
            (Step::Renew { lease, token }, Outcome::Refused(Some(seen))) => {
                seen.lease == Lease { token, ..lease }
            }
            _ => false,
        }
    }
}

impl Step {
    pub(crate) fn acquire(&self) -> Option<Acquire> {
        match *self {
            Step::TakeOver(at_least) => Some(Acquire::TakeOver { at_least }),
            Step::Renew { lease, token } => Some(Acquire::Renew { lease, token }),
            _ => None,
        }
    }

    pub(crate) fn save<'a>(&self, bytes: &'a [u8]) -> Option<RemoteSave<'a>> {
        match *self {
            Step::Save { lease, previous, generation, .. } => {
                Some(RemoteSave { lease, previous, generation, bytes })
            }
            _ => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::TakeOver(None) => f.write_str("a takeover"),
            Step::TakeOver(Some(least)) => write!(f, "a takeover from at least {least}"),
            Step::Renew { lease, token } => write!(f, "a renewal of {lease:?} to token {token}"),
            Step::Save { lease, previous, generation, .. } => {
                write!(f, "a save of generation {generation} over {previous} under {lease:?}")
            }
            Step::SaveMine { .. } => f.write_str("a save under the lease just taken"),
            Step::Load { at_most: u64::MAX } => f.write_str("a load of the newest generation"),
            Step::Load { at_most } => write!(f, "a load of generation {at_most} or below"),
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at generation {}", self.lease, self.generation)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "writer {}: {}: ", self.writer + 1, self.step)?;
        match &self.outcome {
            Outcome::Acquired(seen) => write!(f, "Ok, {seen}"),
            Outcome::Saved => f.write_str("Ok"),
            Outcome::Loaded(None) => f.write_str("Ok, nothing is there"),
            Outcome::Loaded(Some((generation, Some(content)))) => {
                write!(f, "Ok, generation {generation} with content {content:x}")
            }
            Outcome::Loaded(Some((generation, None))) => {
                write!(f, "Ok, generation {generation} with bytes that were not saved")
            }
            Outcome::Refused(None) => f.write_str("refused, no record is there"),
            Outcome::Refused(Some(seen)) => write!(f, "refused, {seen} is there"),
            Outcome::Unavailable(reason) => write!(f, "not available: {reason}"),
            Outcome::InDoubt(reason) => write!(f, "in doubt: {reason}"),
            Outcome::Dropped => f.write_str("dropped"),
            Outcome::Panicked(message) => write!(f, "panicked: {message}"),
        }
    }
}
