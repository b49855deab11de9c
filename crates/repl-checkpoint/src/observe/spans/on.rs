//! Spans and events, with the feature `tracing`.

use std::error::Error;
use std::path::Path;

use tracing::field::{Empty, display};
use tracing::span::EnteredSpan;
use tracing::{debug_span, error, info, info_span, warn};

use crate::causes::with_causes;
use crate::ids::{Generation, StoreId};

/// The target of all spans and events.
const TARGET: &str = "repl_checkpoint";

#[derive(Clone)]
pub(crate) struct Span(tracing::Span);

/// A span that the thread is in.
pub(crate) struct Entered {
    _span: EnteredSpan,
}

macro_rules! span {
    ($span:ident, $name:literal, $store:expr) => {
        Span($span!(
            target: TARGET,
            $name,
            store = %$store,
            generation = Empty,
            bytes = Empty,
            outcome = Empty
        ))
    };
}

impl Span {
    pub(crate) fn recover(store: StoreId) -> Self {
        span!(info_span, "recover", store)
    }

    pub(crate) fn flush(store: StoreId) -> Self {
        Span(debug_span!(target: TARGET, "flush", store = %store, outcome = Empty))
    }

    pub(crate) fn save(store: StoreId) -> Self {
        span!(debug_span, "save", store)
    }

    pub(crate) fn enter(&self) -> Entered {
        Entered { _span: self.0.clone().entered() }
    }

    pub(crate) fn wrote(&self, generation: Generation, bytes: u64) {
        self.0.record("generation", generation).record("bytes", bytes);
    }

    pub(crate) fn run<T>(&self, f: impl FnOnce() -> T) -> T {
        self.0.in_scope(f)
    }

    pub(crate) fn ended(&self, outcome: &'static str) {
        self.0.record("outcome", outcome);
    }
}

pub(crate) fn damaged(path: &Path, reason: &dyn Error) {
    let (path, reason) = (path.display(), with_causes(reason));
    warn!(target: TARGET, %path, reason, "a damaged checkpoint was passed over");
}

pub(crate) fn not_recovered(error: &dyn Error) {
    error!(target: TARGET, error = with_causes(error), "recovery failed");
}

pub(crate) fn in_doubt(error: &dyn Error) {
    error!(target: TARGET, error = with_causes(error), "a save is in doubt");
}

pub(crate) fn reopened(store: StoreId, result: Result<Generation, &dyn Error>) {
    let store = display(store);
    match result {
        Ok(generation) => info!(target: TARGET, store, generation, "the store was reopened"),
        Err(error) => {
            error!(target: TARGET, store, error = with_causes(error), "reopening failed");
        }
    }
}
