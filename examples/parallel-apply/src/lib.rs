//! Applies a log out of order into redb, so that each record takes effect exactly once.
//!
//! Four threads apply independent records to accounts in redb. SIGKILL ends the process at random
//! instants, and it is started again. In the end the effect of each record is there exactly once.
//!
//! ```sh
//! cargo run --locked --release -p parallel-apply
//! ```
//!
//! # Why out of order is correct here
//! A record adds an amount to an account. Additions commute: in any order the sums are the same.
//! Only because of that may record 9 be applied before record 3. The pages of an SQLite database do
//! not commute, since a page replaces its older version. The example `sqlite-follower` therefore
//! applies each database in order, and is parallel over databases only.
//!
//! An addition is not idempotent. After a crash the records applied before it must be neither
//! repeated nor left out. So the mark alone is not enough, and a mark saved after the data is too
//! late: mark, completed ranges and data are committed in *one* transaction.
//!
//! # Steps of the applier process
//! 1. Read the mark and the completed ranges, in one transaction.
//! 2. Restore a shard at that mark, and a window in which these ranges are completed.
//! 3. Each thread takes the next seqno and claims it. Completed seqnos are passed over. Where the
//!    window is full, the thread waits for the mark.
//! 4. The thread works on the record, and passes the result to the writer. That thread takes
//!    everything that is finished as one batch.
//! 5. The writer applies the effects of the batch in a transaction.
//! 6. In the same transaction it records the mark and the ranges as they *will* be: those of the
//!    window, and the batch.
//! 7. It commits.
//! 8. Only then does it complete the claims of the batch in the window.
//! 9. A batch that fails before step 7 is dropped together with its claims. The seqnos are free,
//!    and the threads go back to the lowest of them. Those that are claimed or completed by then
//!    are passed over.
//!
//! # Why the transaction records exactly what it holds
//! Claims are completed in step 8 only, and one writer starts the next batch only after step 8. So
//! in step 6 the window holds as completed exactly what the database holds. Together with the
//! current batch, that is what this transaction leaves. After step 8 the writer compares the two.
//!
//! A commit that returns an error leaves in doubt whether it took effect. Then nothing is written
//! any more. The process ends, and the next one reads the outcome in step 1.
//!
//! # The core
//! ```
//! use parallel_apply::{Accounts, Record};
//! use repl_core::{
//!     AppliedSet, ApplyWindow, ClaimError, LogId, ReplicationState, ShardId, Snapshot,
//!     SnapshotEntry,
//! };
//!
//! let folder = tempfile::tempdir()?;
//! let (path, log) = (folder.path().join("accounts.redb"), LogId(7));
//! Accounts::create(&path, log)?;
//! let start = |found: &AppliedSet| -> Result<_, example_support::Error> {
//!     let entry = SnapshotEntry::new(ShardId::SINGLE, found.clone()).with_log(log);
//!     let state = ReplicationState::restore(&Snapshot::from_iter([entry]));
//!     Ok(ApplyWindow::new(state.shard(ShardId::SINGLE).ok_or("not tracked")?, 256)?)
//! };
//!
//! let accounts = Accounts::open(&path, log)?;
//! let window = start(&accounts.applied()?)?;
//! let (first, third) = (window.try_claim(1)?, window.try_claim(3)?);
//! let record = Record { seqno: 3, account: 5, amount: 40 };
//! let mut after = window.shard().applied_set();
//! after.insert(3);
//! accounts.prepare(&[record], &after)?.commit()?; // 3 finished before 1
//! third.complete()?;
//! drop((first, window, accounts)); // a crash: the effect of 1 was never committed
//!
//! let accounts = Accounts::open(&path, log)?;
//! let found = accounts.applied()?;
//! assert_eq!(found, AppliedSet::new(0, [3]));
//! let window = start(&found)?;
//! assert_eq!(window.try_claim(3).err(), Some(ClaimError::AlreadyCompleted));
//! assert!(window.try_claim(1).is_ok());
//! # Ok::<(), example_support::Error>(())
//! ```

#![expect(clippy::missing_errors_doc, reason = "every `Error` says what failed and why")]

mod accounts;
mod applier;
mod log;
mod run;
mod verify;

pub use accounts::Accounts;
pub use log::Record;
pub use run::main;
