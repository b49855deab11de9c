//! How far replication has come: per-shard high-water marks that any number of threads read and
//! move forward without locks.
//!
//! A follower of a replicated log must know, for every shard, the last WAL segment that it has
//! fully applied. [`ReplicationState`] holds one mark a shard; [`Shard`] is a handle on one of
//! them, to read, advance and [wait on](Shard::wait_for); [`ApplyWindow`] lets several threads
//! apply the segments of one shard in any order; [`Snapshot`] holds the marks as values. Saving
//! them behind the data that they speak of is the task of `repl-checkpoint`.
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
//!     s.spawn(|| assert_eq!(state.wait_for(ShardId(1), 31), Ok(31)));
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
//! # Consistency
//! - **Forward only.** In one life of a shard its mark never falls, whoever advances it.
//! - **Publication.** Whoever reads a mark of `n` or more sees all that the threads which advanced
//!   it there wrote before. An advance that moved nothing publishes nothing.
//! - **Lock-free.** Reading a mark takes no lock; nor does advancing it, unless it reaches a seqno
//!   that somebody waits for, or the shard has an [`ApplyWindow`] or something completed above its
//!   mark; nor does a snapshot, but for such shards. Adding and removing shards take one among
//!   themselves only.
//! - **Wakers** run on the thread that moves the mark, outside every lock: usually in `advance` or
//!   `complete`, but also in a snapshot, which helps a mark on where it finds that it can go
//!   further.
//! - **No wake-up is lost.** Whoever waits for a seqno is woken by the advance that reaches it, and
//!   nobody whose seqno is not reached.
//! - **No completion is lost.** Once every seqno up to `n` is completed, in whatever order and by
//!   whatever threads, the mark is at `n` or above.
//! - **No single instant.** The marks of a snapshot are read one after the other; each is a valid
//!   lower bound.

mod cell;
mod changes;
mod completed;
mod ids;
mod mark;
mod published;
mod ranges;
mod reached;
mod shard;
mod snapshot;
mod state;
mod sync;
mod table;
mod waiters;
mod wakers;
mod window;

pub use changes::Changes;
pub use completed::AppliedSet;
pub use ids::{Incarnation, LogId, NewShard, SeqNo, ShardId};
pub use ranges::SeqRange;
pub use reached::{Reached, WaitError};
pub use shard::{Advance, Shard};
pub use snapshot::{Snapshot, SnapshotEntry, SnapshotIter};
pub use state::{AlreadyTracked, Merged, ReplicationState};
pub use window::{ApplyWindow, Claim, ClaimError, Completion, WindowError, WindowFull};
