//! Saves the marks of a [`ReplicationState`] so that a crash at any instant loses nothing: behind
//! the data that they speak of, checksummed, and by atomic rename.
//!
//! [`recover`] opens a [`CheckpointStore`] and gives the state and its [`Checkpointer`];
//! [`Checkpointer::checkpoint`] flushes the engine, then saves; [`Floors`] says which segments may
//! be deleted.
//!
//! ```
//! use std::convert::Infallible;
//! use repl_checkpoint::{FileStore, JsonCodec, OnCorrupt, Source, StoreId, recover};
//! use repl_core::ShardId;
//!
//! let dir = tempfile::tempdir()?;
//! let shards = [ShardId(1)];
//!
//! let store = FileStore::open(dir.path(), StoreId::UNNAMED)?;
//! let mut follower = recover(store, JsonCodec, &shards, OnCorrupt::Fail)?;
//! follower.state.advance(ShardId(1), 42);
//! follower.checkpointer.checkpoint(|_marks| {
//!     // make the engine's data durable up to these marks here
//!     Ok::<(), Infallible>(())
//! })?;
//! drop(follower);
//!
//! let store = FileStore::open(dir.path(), StoreId::UNNAMED)?;
//! let follower = recover(store, JsonCodec, &shards, OnCorrupt::Fail)?;
//! assert!(matches!(follower.found.origin, Source::Resumed { generation: 1 }));
//! assert_eq!(follower.state.applied_seqno(ShardId(1)), Some(42));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Guarantees
//! For every shard, at every instant: `floor <= checkpointed <= durable <= applied`.
//!
//! - **Nothing is lost.** After a crash the recovered checkpoint is at least the newest
//!   acknowledged one, and at most the newest attempted one.
//! - **Nothing is taken for what it is not.** Every prefix, bit flip and extension of a checkpoint
//!   is refused; an empty file is damage, not an empty state.
//! - **Nothing falls back in silence.** What to do about damage is the caller's choice.
//! - **Apply must be idempotent**, as what was applied after the last checkpoint is offered again;
//!   or put the marks into the engine's own transaction ([`CheckpointBytes`], [`seal()`],
//!   [`open()`]), and then it is exactly once.
//!
//! # Features
//! - `json` (default): [`JsonCodec`] and [`CheckpointBytes`].
//! - `bincode`: `BincodeCodec`. The crate behind it is no longer maintained; see docs/format.md.
//!
//! [`ReplicationState`]: repl_core::ReplicationState

mod background;
#[cfg(feature = "json")]
mod bytes;
mod checkpoint;
mod checkpointer;
mod codec;
mod content;
mod directory;
mod disk;
mod envelope;
mod file_store;
mod floors;
mod recovery;
mod slot_store;
mod store;

pub use background::{BackgroundCheckpointer, CloseError, Schedule, SpawnError};
#[cfg(feature = "json")]
pub use bytes::CheckpointBytes;
pub use checkpoint::{Checkpoint, EpochStart, InvalidCheckpoint, ShardCheckpoint};
pub use checkpointer::{CheckpointError, Checkpointer, Saved};
#[cfg(feature = "bincode")]
pub use codec::BincodeCodec;
#[cfg(feature = "json")]
pub use codec::JsonCodec;
pub use codec::{Codec, CodecError};
pub use directory::OpenStoreError;
pub use disk::{Disk, FileKind, OsDir, OsDisk, OsLock};
pub use envelope::{Generation, Header, SealError, StoreId, UnsealError, open, seal};
pub use file_store::FileStore;
pub use floors::{Floors, Health};
pub use recovery::{
    CorruptCheckpoint, CorruptReason, OnCorrupt, RecoverError, Recovered, RecoveryReport, Source,
    recover,
};
pub use slot_store::{SlotFileError, SlotStore};
pub use store::{Candidate, CheckpointStore, LoadError, Save, SaveError};

/// The README's example runs with the examples of this crate.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod readme {}
