//! Tracks, per shard, the last WAL segment that a follower has applied.
//!
//! Any number of threads read and advance these high-water marks without locks.
//! - [`ReplicationState`] holds the marks of all shards.
//! - [`Shard`] is a handle on one shard: it reads the mark, advances it and
//!   [waits](Shard::reached) for it.
//! - [`ApplyWindow`] lets several threads apply the segments of one shard in any order.
//! - [`Snapshot`] holds marks as plain values.
//! - [`reconcile`] says at start whether a follower may go on from its mark. [`Epochs`] show where
//!   its log and the leader's part.
//! - [`LagClock`] tells for how long a log has been ahead of a mark.
//! - [`Bookmark`] names a write, to [wait](ReplicationState::reached_bookmark) for it from leader to
//!   leader.
//!
//! The crate `repl-checkpoint` saves the marks once the data that they cover is durable.
//!
//! ```
//! use repl_core::{Advance, NewShard, ReplicationState, ShardId};
//!
//! let state = ReplicationState::new(&[ShardId(1)]);
//! std::thread::scope(|s| {
//!     for last in [10, 30, 20] {
//!         let state = &state;
//!         s.spawn(move || (1..=last).for_each(|seqno| drop(state.advance(ShardId(1), seqno))));
//!     }
//! });
//! assert_eq!(state.applied_seqno(ShardId(1)), Some(30));
//!
//! // Read your writes: wait until your write is applied here.
//! std::thread::scope(|s| {
//!     s.spawn(|| assert_eq!(state.reached(ShardId(1), 31).wait(), Ok(31)));
//!     state.advance(ShardId(1), 31);
//! });
//!
//! // A shard may begin again at a lower mark, in a new incarnation; no mark ever falls.
//! let old = state.shard(ShardId(1)).ok_or("not tracked")?;
//! state.reset_shard(NewShard::new(ShardId(1)).with_mark(5));
//! assert_eq!(old.advance(32), Advance::Removed);
//! assert_eq!(old.applied(), 31);
//! assert_eq!(state.applied_seqno(ShardId(1)), Some(5));
//! # Ok::<(), &str>(())
//! ```
//!
//! # Waiting
//! A method that waits returns a future: [`Shard::reached`], [`ReplicationState::reached_all`],
//! [`ReplicationState::reached_bookmark`], [`Changes::next`], [`AwaitedChanges::next`],
//! [`ApplyWindow::room_for`], [`ApplyWindow::claim`].
//! Await it under any executor, or block the thread with its `wait`, `wait_timeout` or
//! `wait_deadline`. A future that is dropped leaves nothing behind.
//!
//! Never block a thread of an async runtime: await the future, with the runtime's own timeout.
//!
//! # Consistency
//! - **Forward only.** In one incarnation of a shard its mark never falls.
//! - **Publication.** A reader that observes mark `n` also observes every write made before the
//!   mark reached `n`. An advance that moved nothing need not publish anything.
//! - **Lock-free.** Reading a mark through a handle takes no lock. A look-up by id takes none below
//!   131,072 shards, and from there on one of its own thread. An advance takes a short lock of its
//!   shard only if it reaches a seqno that something waits for, or if the shard has an
//!   [`ApplyWindow`] or something completed above its mark. A snapshot takes the locks of shards
//!   with a window or something completed above the mark, and no others. Adding and removing shards
//!   take a lock that neither reading nor advancing takes; a snapshot waits for it.
//! - **Wakers** must not block: a blocked one holds up the thread that runs it, and what that thread
//!   would do next. They run outside every lock, on the thread that moves the mark. Usually that is
//!   in `advance` or `complete`. A snapshot and [`Shard::applied_set`] may move a mark on too, and
//!   then run wakers. What follows [`Shard::awaited`] is also woken where a wait begins or is
//!   dropped. A waker that advances another shard runs that shard's wakers inside itself. Keep
//!   chains of this kind short, as each link takes stack.
//! - **No wake-up is lost.** A waiter is woken by the advance that reaches its seqno, and by no
//!   other.
//! - **No completion is lost.** Once the calls that complete every seqno up to `n` have returned, in
//!   any order and on any threads, the mark is at `n` or above.
//! - **No single instant.** A snapshot reads the marks one after the other. Each is a lower bound of
//!   its shard's mark from then on.

#![cfg_attr(docsrs, feature(doc_cfg))] // docs.rs shows which feature an item needs

// In the order of the layers: each file imports from those above it, children aside.
mod sync;

mod ids;
mod seq_range;

mod outcome;
mod range_set;

mod applied_set;
mod chunks;
mod epochs;
mod lag_clock;
mod mark;
mod new_shard;
mod park;
mod wakers;

mod bell;
mod window_state;

mod waiters;

mod cell;

mod slabs;

mod shard;

mod reached;

mod awaited;
mod changes;
mod window;

mod index;

mod keys;
mod order;
mod root;

mod published;

mod table;

mod snapshot;

mod reconcile;

mod state;

pub use applied_set::AppliedSet;
pub use awaited::{AwaitedChanges, NextAwaited};
pub use changes::{Changes, NextChange};
pub use epochs::{EpochEnd, Epochs};
pub use ids::{Bookmark, EpochStart, Incarnation, LogId, SeqNo, ShardId};
pub use lag_clock::LagClock;
pub use new_shard::NewShard;
pub use outcome::{
    Advance, AlreadyTracked, BeginEpochError, BookmarkError, ClaimError, CompleteError, Completion,
    EpochOrder, Merged, StaleEpoch, WaitAllError, WaitError, WindowError, WindowFull,
};
pub use reached::Reached;
pub use reconcile::{LogBounds, Progress, Verdict, reconcile};
pub use seq_range::SeqRange;
pub use shard::Shard;
pub use snapshot::{
    Snapshot, SnapshotBuilder, SnapshotChange, SnapshotChanges, SnapshotEntries, SnapshotEntry,
    SnapshotIter,
};
pub use state::{AnyChange, EpochBegun, ReachedAll, ReachedBookmark, ReplicationState};
pub use window::{ApplyWindow, Claim, Claiming};

#[cfg(loom_models)]
#[doc(hidden)]
pub use sync::set_interleaved;

/// The README's example runs with the examples of this crate.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
