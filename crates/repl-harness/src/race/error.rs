//! Why a run ended early.

use std::io;
use std::time::Duration;

use super::promise::Violation;

/// A run found a violation, or could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RaceError {
    /// The store breaks a promise: it cannot be trusted.
    #[error("{0}")]
    Violation(Box<Violation>),
    /// There is a record already: it may be that of a follower, and was not touched.
    #[error("{place} has a record already: give the suite one of its own")]
    NotNew {
        /// The place of the store.
        place: String,
    },
    /// A call did not return in time. The processes were ended.
    #[error("round {round}, writer {writer}, {place}: no answer in {after:?} to {call}")]
    Hung {
        /// The round, from 1; 0 is the look at the start.
        round: u64,
        /// The number of the writer, from 1.
        writer: usize,
        /// The place of the store.
        place: String,
        /// The call.
        call: String,
        /// How long the suite has waited.
        after: Duration,
    },
    /// A writer could not open its store.
    #[error("writer {writer} failed to open the store: {reason}")]
    Open {
        /// The number of the writer, from 1.
        writer: usize,
        /// Why.
        reason: String,
    },
    /// More than one call in ten failed, so there is too little to judge.
    #[error("{place}: {failed} of {calls} calls failed, the last one: {reason}")]
    Failing {
        /// The place of the store.
        place: String,
        /// The number of calls that failed.
        failed: u64,
        /// The number of calls.
        calls: u64,
        /// Why the last one failed.
        reason: String,
    },
    /// A process could not be started.
    #[error("failed to start a process of the race")]
    Start(#[source] io::Error),
    /// A process ended too early, or said what is not expected.
    #[error(
        "process {process} ended before the race did: does its program call race::work if \
         race::is_worker() is true? It printed: {printed}"
    )]
    Ended {
        /// The number of the process, from 1.
        process: usize,
        /// The last of what it printed on its standard output.
        printed: String,
    },
    /// This process was started by a race, and its program has not called
    /// [`work`](super::work).
    #[error("this process was started by a race: call race::work if race::is_worker() is true")]
    IsWorker,
}
