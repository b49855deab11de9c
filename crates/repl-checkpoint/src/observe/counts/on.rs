//! Counts and measures, with the feature `metrics`.

use std::time::{Duration, Instant};

use metrics::{counter, histogram};

use crate::observe::names;
use crate::observe::outcome::{Origin, Outcome};

/// Measures the phases of a save.
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Clock(Instant::now())
    }

    pub(crate) fn encoded(&mut self) {
        self.lap("encode");
    }

    pub(crate) fn stored(&mut self) {
        self.lap("store");
    }

    fn lap(&mut self, phase: &'static str) {
        let now = Instant::now();
        lasted(phase, now.duration_since(self.0));
        self.0 = now;
    }
}

pub(crate) fn flushed(time: Duration) {
    lasted("flush", time);
}

fn lasted(phase: &'static str, time: Duration) {
    histogram!(names::DURATION.name, "phase" => phase).record(time);
}

pub(crate) fn checkpoint(outcome: Outcome) {
    counter!(names::CHECKPOINTS.name, "outcome" => outcome.name()).increment(1);
}

pub(crate) fn written(outcome: Outcome, bytes: u64) {
    counter!(names::BYTES.name, "outcome" => outcome.name()).increment(bytes);
}

pub(crate) fn recovery(origin: Origin) {
    counter!(names::RECOVERIES.name, "origin" => origin.name()).increment(1);
}
