//! Counters and durations: with the feature `metrics`, and empty twins without it.

#[cfg(not(feature = "metrics"))]
mod off;
#[cfg(feature = "metrics")]
mod on;

#[cfg(not(feature = "metrics"))]
pub(super) use self::off::{Clock, checkpoint, flushed, recovery, written};
#[cfg(feature = "metrics")]
pub(super) use self::on::{Clock, checkpoint, flushed, recovery, written};
