//! Test harness for replication marks and their checkpoints.
//!
//! [`stress`] runs threads that advance, read, wait for, complete out of order, take snapshots of,
//! add, remove, reset and checkpoint shards at the same time, and checks every result:
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
//! [`crash`] ends a process at every call, cuts the power, and recovers from every disk that may be
//! left. [`suites`] test a codec or a store of your own against the promises of its trait.
//!
//! A suite that cannot fail proves nothing. `stress` runs on a [`stress::Subject`], and the tests of
//! this crate run it on subjects with one planted bug each; `crash` must catch every
//! [`crash::Mutant`].

pub mod crash;
mod locked;
mod panics;
mod seed;
pub mod stress;
pub mod suites;
