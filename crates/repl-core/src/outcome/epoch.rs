//! What comes of beginning an epoch.

use std::error::Error;
use std::fmt;

use crate::ids::EpochStart;

/// An epoch or its first segment is not above those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EpochOrder {
    /// The first epoch that is out of order.
    pub start: EpochStart,
}

/// An epoch cannot begin: it is not above the latest one. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StaleEpoch {
    /// The epoch that was to begin.
    pub epoch: u64,
    /// The latest epoch, which it would have to be above.
    pub latest: u64,
}

impl fmt::Display for EpochOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is out of place: epochs and their first segments must ascend", self.start)
    }
}

impl fmt::Display for StaleEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StaleEpoch { epoch, latest } = self;
        write!(f, "epoch {epoch} cannot begin: epoch {latest} is the latest, and not below it")
    }
}

impl Error for EpochOrder {}
impl Error for StaleEpoch {}
