//! What the features `metrics` and `tracing` report. Without them all of this is empty.

mod counts;
#[cfg(feature = "metrics")]
pub(crate) mod names;
mod outcome;
mod spans;

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use crate::ids::{Generation, StoreId};

use self::counts::Clock;
use self::spans::{Entered, Span};

#[cfg(feature = "metrics")]
pub use self::names::describe_metrics;
pub(crate) use self::outcome::{Origin, Outcome};

/// A recovery, from its beginning to the end of this value.
pub(crate) struct Recovery {
    span: Span,
}

impl Recovery {
    pub(crate) fn begin(store: StoreId) -> Self {
        Recovery { span: Span::recover(store) }
    }

    /// Enters the span on this thread. Not across an await.
    pub(crate) fn enter(&self) -> Entered {
        self.span.enter()
    }

    /// `bytes` is the length of the whole checkpoint, without deltas.
    pub(crate) fn succeeded(self, origin: Origin, generation: Generation, bytes: usize) {
        self.span.wrote(generation, bytes as u64);
        self.ended(origin);
    }

    pub(crate) fn failed(self, error: &dyn Error) {
        self.span.run(|| spans::not_recovered(error));
        self.ended(Origin::Failed);
    }

    fn ended(self, origin: Origin) {
        self.span.ended(origin.name());
        counts::recovery(origin);
    }
}

/// A damaged checkpoint that recovery passes over.
pub(crate) fn damaged(path: &Path, reason: &dyn Error) {
    spans::damaged(path, reason);
}

/// A flush, from the beginning of an attempt to its save.
pub(crate) struct Flush {
    span: Span,
    /// What became of the attempt, unless it goes on.
    outcome: Option<Outcome>,
}

impl Flush {
    pub(crate) fn begin(store: StoreId) -> Self {
        Flush { span: Span::flush(store), outcome: Some(Outcome::Dropped) }
    }

    /// The span, to run the flush in.
    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    pub(crate) fn succeeded(mut self, time: Duration) {
        self.outcome = None;
        self.span.ended("flushed");
        counts::flushed(time);
    }

    pub(crate) fn failed(mut self) {
        self.outcome = Some(Outcome::FlushFailed);
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        if let Some(outcome) = self.outcome {
            self.span.ended(outcome.name());
            counts::checkpoint(outcome);
        }
    }
}

/// A save, from its beginning to the end of this value.
pub(crate) struct Save {
    span: Span,
    clock: Clock,
    outcome: Outcome,
}

impl Save {
    pub(crate) fn begin(store: StoreId) -> Self {
        Save { span: Span::save(store), clock: Clock::start(), outcome: Outcome::Panicked }
    }

    /// Enters the span on this thread. Not across an await.
    pub(crate) fn enter(&self) -> Entered {
        self.span.enter()
    }

    /// The bytes are ready for the store.
    pub(crate) fn encoded(&mut self) {
        self.clock.encoded();
    }

    /// A remote store gets the bytes: from now on a save that is not awaited is in doubt.
    pub(crate) fn sending(&mut self) {
        self.outcome = Outcome::InDoubt;
    }

    pub(crate) fn written(mut self, generation: Generation, bytes: u64, outcome: Outcome) {
        self.outcome = outcome;
        self.span.wrote(generation, bytes);
        self.clock.stored();
        counts::written(outcome, bytes);
    }

    pub(crate) fn unchanged(mut self) {
        self.outcome = Outcome::Unchanged;
    }

    pub(crate) fn failed(mut self, outcome: Outcome, error: &dyn Error) {
        self.outcome = outcome;
        if outcome == Outcome::InDoubt {
            self.span.run(|| spans::in_doubt(error));
        }
    }
}

impl Drop for Save {
    fn drop(&mut self) {
        self.span.ended(self.outcome.name());
        counts::checkpoint(self.outcome);
    }
}

/// A checkpoint that ended before it had an attempt.
pub(crate) fn not_begun(outcome: Outcome) {
    counts::checkpoint(outcome);
}

/// The end of `reopen`: the generation to go on from, or why there is none.
pub(crate) fn reopened(store: StoreId, result: Result<Generation, &dyn Error>) {
    spans::reopened(store, result);
}
