//! The same without the feature `metrics`: nothing is counted.

use std::time::Duration;

use crate::observe::outcome::{Origin, Outcome};

pub(crate) struct Clock;

#[expect(clippy::unused_self, reason = "the twin measures")]
impl Clock {
    pub(crate) fn start() -> Self {
        Clock
    }

    pub(crate) fn encoded(&mut self) {}

    pub(crate) fn stored(&mut self) {}
}

pub(crate) fn flushed(_: Duration) {}

pub(crate) fn checkpoint(_: Outcome) {}

pub(crate) fn written(_: Outcome, _: u64) {}

pub(crate) fn recovery(_: Origin) {}
