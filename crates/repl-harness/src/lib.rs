//! Test harness for replication marks and their checkpoints.
//!
//! [`stress`] runs threads on one state and checks every result. At the same time they advance and
//! read marks, wait, complete out of order, take snapshots and checkpoints, and add, remove and reset
//! shards:
//! ```
//! use std::time::Duration;
//! use repl_harness::stress::{self, Config};
//!
//! let config = Config {
//!     duration: Duration::from_millis(50),
//!     ..Config::default()
//! };
//! let report = stress::run(&config, |_| ())?;
//! assert!(report.operations.total() > 0);
//! assert_eq!(report.seed, config.seed);
//! # Ok::<(), stress::StressError>(())
//! ```
//!
//! [`crash`] ends a process at every call, with or without a power cut, and recovers from every disk
//! that may be left. [`suites`] tests a codec or a store of your own against the promises of its
//! trait. [`race`] lets writers in several processes race for one record of a remote store.
//!
//! A suite that cannot fail proves nothing. So the tests of this crate run `stress` with one
//! planted fault each ([`stress::Faults`]), and `crash` must catch every [`crash::Mutant`]. Each
//! planted fault of a remote store fails the race, and passes without the checks that are meant to
//! find it ([`race::Config::skip`]).

pub mod crash;
mod locked;
mod panics;
pub mod race;
mod seed;
pub mod stress;
pub mod suites;

/// The README's example runs with the examples of this crate.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
