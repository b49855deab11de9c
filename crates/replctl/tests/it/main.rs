//! Tests of the program as it is run.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod agreement;
#[cfg(target_os = "linux")]
mod figures;
mod locked;
mod messages;
mod notes;
mod reading;
#[cfg(feature = "remote")]
mod servers;
mod sessions;
mod support;
mod watching;
mod writing;
