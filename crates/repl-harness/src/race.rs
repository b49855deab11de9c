//! Races writers in several processes for one record of a remote store, and judges every answer.
//!
//! For authors of a [`RemoteStore`](repl_checkpoint::RemoteStore). A store that works for one writer
//! at a time can still lose updates, let two writers win, or let a fenced one come back. The
//! [suite for one process](crate::suites::remote_store_suite) does not find that; run it first.
//!
//! # From a test
//! The processes are the test binary, started again with the same test. There the test must call
//! [`work`] before anything else:
//! ```no_run
//! use repl_checkpoint_postgres::PostgresStore; // or a store of your own
//! use repl_harness::race;
//! use tokio::runtime::Runtime;
//!
//! # /*
//! #[test]
//! # */
//! fn eight_writers_race() {
//!     if race::is_worker() {
//!         let runtime = Runtime::new().unwrap();
//!         race::work(
//!             |url, record| url.parse().map(|server| PostgresStore::new(server, record)),
//!             |task| runtime.block_on(task),
//!         );
//!     }
//!     let url = "postgres://me@localhost/tests"; // or start a server here
//!     let config = race::Config::default();
//!     let this_test = race::this_test("eight_writers_race");
//!     let report = race::run(&config, url, this_test, |_| {}).unwrap();
//!     assert_eq!(report.rounds, config.rounds, "{report}");
//! }
//! ```
//! A program of its own works as well: `run` takes any command whose program calls [`work`]. Orders
//! and answers are lines on its standard input and output; what else it prints there is ignored. The
//! URL is passed in the same way, so that no list of processes shows a password in it.
//!
//! # What a round does
//! 1. All writers take the record over at once. Each must get a token and a holder of its own.
//! 2. All race under the last lease, as copies of one process would: to save over one generation,
//!    to renew, to take over and save, or all of these. In every sixth round, futures are dropped
//!    before they have ended.
//! 3. All look: each loads the newest generation or the one before it, and tries to save or renew
//!    under a lease that was replaced, in this round or in any earlier one. The refusal must show the
//!    record.
//!
//! After each of these steps, some order of the calls that said `Ok` must explain every answer. A
//! call in doubt, or one whose future was dropped, may be in that order or not. A call that is not
//! available must not. [`Promise`] lists what may be found to be broken.
//!
//! A store that never answers ends the run with [`RaceError::Hung`], and its processes are ended. A
//! store of which more than one call in ten fails ends it with [`RaceError::Failing`]: that proves
//! nothing in either way.

pub(crate) mod classify;
mod config;
mod content;
mod error;
mod explain;
pub(crate) mod judge;
mod message;
pub(crate) mod perform;
mod plan;
mod processes;
mod promise;
mod report;
mod run;
mod state;
pub(crate) mod step;
mod worker;

pub use self::config::Config;
pub use self::error::RaceError;
pub use self::processes::this_test;
pub use self::promise::{Promise, Violation};
pub use self::report::Report;
pub use self::run::run;
pub use self::worker::{Task, is_worker, work};
