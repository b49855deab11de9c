//! Counters and durations: with the feature `metrics`, and empty twins without it.

#[cfg(feature = "metrics")]
mod on {
    use std::time::{Duration, Instant};

    use metrics::{counter, histogram};

    use super::super::names;
    use super::super::outcome::{Origin, Outcome};

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
}

#[cfg(not(feature = "metrics"))]
mod on {
    use std::time::Duration;

    use super::super::outcome::{Origin, Outcome};

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
}

pub(super) use self::on::{Clock, checkpoint, flushed, recovery, written};
