//! Tracks, per shard, the last WAL segment that a follower has applied.
//!
//! Any number of threads read and advance these high-water marks without locks. [`ReplicationState`]
//! holds one mark a shard. [`Shard`] is a handle on one of them: it reads, advances and
//! [waits](Shard::reached). [`ApplyWindow`] lets several threads apply the segments of one shard in
//! any order. [`Snapshot`] holds the marks as values. The crate `repl-checkpoint` saves them behind
//! the data that they describe.
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
//! // Read your writes: wait until what you have written is applied here.
//! std::thread::scope(|s| {
//!     s.spawn(|| assert_eq!(state.reached(ShardId(1), 31).wait(), Ok(31)));
//!     state.advance(ShardId(1), 31);
//! });
//!
//! // A shard may begin again at a lower mark; no mark ever falls.
//! let old = state.shard(ShardId(1)).ok_or("not tracked")?;
//! state.reset_shard(NewShard::new(ShardId(1)).with_mark(5));
//! assert_eq!(old.advance(32), Advance::Removed);
//! assert_eq!(old.applied(), 31);
//! assert_eq!(state.applied_seqno(ShardId(1)), Some(5));
//! # Ok::<(), &str>(())
//! ```
//!
//! # Waiting
//! Every wait is a future that a method returns: [`Shard::reached`], [`Changes::next`],
//! [`AwaitedChanges::next`], [`ApplyWindow::claim`], [`ApplyWindow::room_for`],
//! [`ReplicationState::reached_all`]. Await it under any executor, or block the thread with its
//! `wait`, `wait_timeout` or `wait_deadline`. A method that never waits begins with `try_`.
//!
//! # Consistency
//! - **Forward only.** In one incarnation of a shard its mark never falls.
//! - **Publication.** A reader that observes mark `n` also observes every write made before the
//!   mark reached `n`. An advance that moved nothing publishes nothing.
//! - **Lock-free.** Reading a mark takes no lock. Nor does advancing it, unless it reaches a seqno
//!   that something waits for, or the shard has an [`ApplyWindow`] or something completed above its
//!   mark. Nor does a snapshot, except of such shards. Adding and removing shards take a lock among
//!   themselves only.
//! - **Wakers** run on the thread that moves the mark, outside every lock: usually in `advance` or
//!   `complete`, but also in a snapshot and in [`Shard::applied_set`], which move a mark on where
//!   they find that it can go further. A waker that advances another shard runs that shard's wakers
//!   inside itself: keep chains of this kind short, as each link takes stack.
//! - **No wake-up is lost.** A waiter is woken by the advance that reaches its seqno, and by no
//!   other.
//! - **No completion is lost.** Once every seqno up to `n` is completed, in whatever order and by
//!   whatever threads, the mark is at `n` or above.
//! - **No single instant.** The marks of a snapshot are read one after the other; each is a valid
//!   lower bound.

// In the order of the layers: each file imports from those above it, children aside.
mod sync;

mod ids;
mod seq_range;

mod outcome;
mod range_set;

mod applied_set;
mod mark;
mod park;
mod ring;
mod wakers;

mod window_state;

mod waiters;

mod cell;

mod shard;

mod reached;

mod awaited;
mod changes;
mod window;

mod table;

mod published;
mod snapshot;

mod state;

pub use applied_set::AppliedSet;
pub use awaited::{AwaitedChanges, NextAwaited};
pub use changes::{Changes, NextChange};
pub use ids::{Incarnation, LogId, NewShard, SeqNo, ShardId};
pub use outcome::{
    Advance, AlreadyTracked, ClaimError, CompleteError, Completion, Merged, WaitAllError,
    WaitError, WindowError, WindowFull,
};
pub use reached::Reached;
pub use seq_range::SeqRange;
pub use shard::Shard;
pub use snapshot::{Snapshot, SnapshotEntry, SnapshotIter};
pub use state::{ReachedAll, ReplicationState};
pub use window::{ApplyWindow, Claim, Claiming};

#[cfg(loom)]
#[doc(hidden)]
pub use sync::set_interleaved;
