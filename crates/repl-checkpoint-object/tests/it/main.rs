//! The store in memory and on real servers: each failure has the documented outcome.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]
#![expect(clippy::print_stdout, reason = "says why a test is skipped")]

mod support;

mod classes;
#[cfg(unix)]
mod lost;
mod objects;
#[cfg(unix)]
mod outcomes;
#[cfg(unix)]
mod races;
mod refusals;
