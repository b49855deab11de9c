//! Counts of a run.

use std::fmt;
use std::time::Duration;

/// What a run has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Report {
    /// The number of rounds in which every promise held.
    pub rounds: u64,
    /// The number of further rounds, which could not be judged: too many calls were in doubt.
    pub unclear: u64,
    /// The number of rounds with a violation of a skipped promise.
    pub skipped: u64,
    /// The number of calls.
    pub calls: u64,
    /// The number of takeovers that succeeded.
    pub takeovers: u64,
    /// The number of renewals that succeeded.
    pub renewals: u64,
    /// The number of saves that succeeded.
    pub saves: u64,
    /// The number of calls that were refused.
    pub refused: u64,
    /// The number of calls whose futures were dropped.
    pub dropped: u64,
    /// The number of calls that failed otherwise: not available, or in doubt.
    pub failed: u64,
    /// The duration of the run.
    pub elapsed: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} rounds in {:.1} s: {} calls, {} takeovers, {} renewals, {} saves, {} refused, {} \
             dropped, {} failed",
            self.rounds,
            self.elapsed.as_secs_f64(),
            self.calls,
            self.takeovers,
            self.renewals,
            self.saves,
            self.refused,
            self.dropped,
            self.failed
        )?;
        if self.unclear > 0 {
            write!(f, "; {} more rounds were not judged, as too much was in doubt", self.unclear)?;
        }
        if self.skipped > 0 {
            write!(f, "; {} more rounds broke a promise that is not checked", self.skipped)?;
        }
        Ok(())
    }
}
