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
//! A suite that cannot fail proves nothing: it drives a [`stress::Subject`], and this crate's own
//! tests give it subjects with one planted bug each.

mod rng;
pub mod stress;
