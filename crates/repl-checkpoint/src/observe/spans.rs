//! Spans and events: with the feature `tracing`, and empty twins without it.

#[cfg(not(feature = "tracing"))]
mod off;
#[cfg(feature = "tracing")]
mod on;

#[cfg(not(feature = "tracing"))]
pub(super) use self::off::{Entered, Span, damaged, in_doubt, not_recovered, reopened};
#[cfg(feature = "tracing")]
pub(super) use self::on::{Entered, Span, damaged, in_doubt, not_recovered, reopened};
