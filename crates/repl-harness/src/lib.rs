//! Test harness for replication marks and their checkpoints.
//!
//! [`stress`] runs threads that advance, read, wait for, complete out of order, take snapshots of,
//! add, remove, reset and checkpoint shards all at once, and checks every number that comes back:
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
//! left. [`suites`] hold a codec or a store of your own to what those of this workspace keep to.
//!
//! A suite that cannot fail proves nothing: `stress` drives a [`stress::Subject`], and this crate's own
//! tests give it subjects with one planted bug each; `crash` must catch every [`crash::Sabotage`].

pub mod crash;
mod rng;
pub mod stress;
pub mod suites;
