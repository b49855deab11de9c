//! The stores on real servers pass the race.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod races_on_postgres;
mod races_on_seaweedfs;
