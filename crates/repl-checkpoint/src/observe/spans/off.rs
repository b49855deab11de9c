//! The same without the feature `tracing`: there are none.

use std::error::Error;
use std::path::Path;

use crate::ids::{Generation, StoreId};

#[derive(Clone)]
pub(crate) struct Span;

pub(crate) struct Entered;

#[expect(clippy::unused_self, reason = "the twin has a span")]
impl Span {
    pub(crate) fn recover(_: StoreId) -> Self {
        Span
    }

    pub(crate) fn flush(_: StoreId) -> Self {
        Span
    }

    pub(crate) fn save(_: StoreId) -> Self {
        Span
    }

    pub(crate) fn enter(&self) -> Entered {
        Entered
    }

    pub(crate) fn wrote(&self, _: Generation, _: u64) {}

    pub(crate) fn run<T>(&self, f: impl FnOnce() -> T) -> T {
        f()
    }

    pub(crate) fn ended(&self, _: &'static str) {}
}

pub(crate) fn damaged(_: &Path, _: &dyn Error) {}

pub(crate) fn not_recovered(_: &dyn Error) {}

pub(crate) fn in_doubt(_: &dyn Error) {}

pub(crate) fn reopened(_: StoreId, _: Result<Generation, &dyn Error>) {}
