//! Four threads apply the independent records of a log *out of order* to accounts in redb; the
//! process is killed with SIGKILL at random instants and started again; and the effect of each
//! record is there exactly once.
//!
//! ```sh
//! cargo run --locked --release -p parallel-apply
//! ```
//!
//! # Why out of order is right here
//! A record adds an amount to an account. Additions commute: whatever their order, the sums are the
//! same. That, and only that, makes it right to apply record 9 before record 3. The pages of one
//! SQLite database do not commute, for a page replaces the one before it: so the example
//! `sqlite-follower` applies each database in order, and is parallel over databases only. The
//! price: while the log is being applied a reader may see sums that the log never had at any of its
//! records; with nothing completed above the mark he sees those of the log at the mark.
//!
//! An addition is not idempotent. What was applied when the process died must be neither repeated
//! nor left out, so the mark alone is not enough, and a mark that is saved later than the data is
//! too late: mark, completed ranges and data are committed in *one* transaction.
//!
//! # One life of the applier
//! 1. Read the mark and the completed ranges, in one transaction.
//! 2. Restore: a shard at that mark, and a window in which these ranges are completed.
//! 3. Each thread takes the next seqno and claims it. What is completed is passed over; where the
//!    window is full the thread waits for the mark.
//! 4. It does its work and queues the finished record. Who finds nobody writing is the writer,
//!    until the queue is empty: it takes all that is queued as one batch.
//! 5. The writer applies the effects of the batch in a transaction,
//! 6. and records in the same one the mark and the ranges as they *will* be: those of the window,
//!    and the batch.
//! 7. It commits.
//! 8. Only then it completes the claims of the batch in the window.
//! 9. A batch that failed before 7 is dropped, and its claims with it: the seqnos are free, and
//!    the threads go back to the lowest of them. What others have meanwhile is passed over.
//!
//! # Why the transaction records neither more nor less than it holds
//! Claims are completed in step 8 and nowhere else, there is one writer at a time, and it goes from
//! one batch to the next only after 8. So whenever it comes to 6, what the window holds as
//! completed is exactly what is in the database: restored from there in 2, and since then the
//! batches that were committed. Together with the batch that is what this transaction leaves. After
//! 8 the writer compares the window with what it wrote, for the two were computed apart.
//!
//! A commit that returns an error leaves in doubt whether it happened. Then nobody goes back to its
//! seqnos or writes any more, the process ends, and the next life reads in 1 what is true.
//!
//! # The heart of it
//! ```
//! use parallel_apply::{Accounts, Record};
//! use repl_core::{
//!     ApplyWindow, ClaimError, Completed, LogId, NewShard, ReplicationState, SeqRange, ShardId,
//! };
//!
//! let folder = tempfile::tempdir()?;
//! let (path, log) = (folder.path().join("accounts.redb"), LogId(7));
//! Accounts::create(&path, log)?;
//! let start = |found: &Completed| -> Result<_, Box<dyn std::error::Error>> {
//!     let shard = NewShard::new(ShardId::SINGLE).with_mark(found.mark()).with_log(log);
//!     let shard = ReplicationState::new(&[]).add_shard(shard)?;
//!     Ok(ApplyWindow::restore(shard, 256, found.above())?)
//! };
//!
//! let accounts = Accounts::open(&path, log)?;
//! let window = start(&accounts.applied()?)?;
//! let (first, third) = (window.claim(1)?, window.claim(3)?);
//! let record = Record { seqno: 3, account: 5, amount: 40 };
//! let after = window.shard().completed().with([3]);
//! accounts.prepare(&[record], &after)?.commit()?; // 3 finished before 1
//! third.complete();
//! drop((first, window, accounts)); // a crash: the effect of 1 was never committed
//!
//! let accounts = Accounts::open(&path, log)?;
//! let found = accounts.applied()?;
//! assert_eq!(found, AppliedSet::new(0, [SeqRange::new(3, 3)]));
//! let window = start(&found)?;
//! assert_eq!(window.claim(3).err(), Some(ClaimError::AlreadyCompleted));
//! assert!(window.claim(1).is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod accounts;
mod applier;
mod cli;
mod events;
mod folder;
mod log;
mod random;
mod run;
mod verify;

pub use accounts::{Accounts, AccountsError, Prepared};
pub use cli::main;
pub use log::Record;
