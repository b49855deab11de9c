//! The store on real servers: each failure has the documented outcome.

#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]
#![expect(clippy::print_stdout, reason = "says why a test is skipped")]

mod support;

mod conditions;
mod costs;
mod engine;
mod exactly_once;
mod outcomes;
mod schema;
mod standby;
