//! Crash-safe checkpoints of the marks of a [`ReplicationState`].
//!
//! - [`recover`] loads the newest checkpoint of a [`CheckpointStore`], a [`FileStore`] or a
//!   [`SlotStore`], and returns the state and its [`Checkpointer`].
//! - [`Checkpointer::checkpoint`] flushes the engine, then saves the marks.
//!   [`Checkpointer::spawn`] does so on a thread of its own. An async engine calls
//!   [`Checkpointer::begin`], awaits its flush, and calls [`Checkpointer::save`].
//! - A save writes all marks, or, into a [`SlotStore`], only what has changed since an earlier one
//!   if that is little: a *delta* ([`SaveReport::is_delta`]).
//! - [`recover_remote`] does the same with a [`RemoteStore`], on a server that another process may
//!   take over: docs/remote.md.
//! - [`Floors`] says which segments of the log may be deleted. Its [`Health`] shows whether saves
//!   succeed.
//! - [`CheckpointBytes`] makes bytes of the marks, for an engine that commits them with its data.
//!   Such an engine needs no store and no checkpointer.
//! - [`peek`] reads the newest checkpoint beside a running store, and [`survey`] checks every one.
//!   [`open_timeout`] waits for the lock of a store.
//!
//! ```
//! use repl_checkpoint::{FileStore, JsonCodec, OnCorrupt, Source, StoreId, recover};
//! use repl_core::ShardId;
//!
//! let dir = tempfile::tempdir()?;
//! let shards = [ShardId(1)];
//!
//! let store = FileStore::open(dir.path(), StoreId::UNNAMED)?;
//! let mut follower = recover(store, JsonCodec, &shards, OnCorrupt::Fail)?;
//! follower.state.advance(ShardId(1), 42);
//! follower.checkpointer.checkpoint(|attempt| {
//!     // make the engine's data durable up to `attempt.marks()` here
//!     Ok(())
//! })?;
//! drop(follower);
//!
//! let store = FileStore::open(dir.path(), StoreId::UNNAMED)?;
//! let follower = recover(store, JsonCodec, &shards, OnCorrupt::Fail)?;
//! assert!(matches!(follower.report.source, Source::Resumed { generation: 1 }));
//! assert_eq!(follower.state.applied_seqno(ShardId(1)), Some(42));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! docs/adopting.md has four ways to embed this, each with a whole program.
//!
//! # Guarantees
//! For every shard, at every instant: `floor <= checkpointed <= durable <= applied`, if the engine's
//! flush makes durable what it says.
//!
//! - **Nothing is lost.** After a crash, recovery finds the newest acknowledged checkpoint or a
//!   newer attempted one.
//! - **Damage is detected.** Every prefix, bit flip and extension of a checkpoint is refused; an
//!   empty file is damage, not an empty state.
//! - **Recovery never falls back silently.** The caller chooses what it does about damage
//!   ([`OnCorrupt`]), and the [`RecoveryReport`] says what it did.
//!
//! Segments applied after the last checkpoint are replayed, so apply must be idempotent. For
//! exactly once, commit the marks in the engine's own transaction, with [`CheckpointBytes`], or with
//! [`Checkpoint::seal`] and [`Checkpoint::unseal`].
//!
//! # Blocking
//! [`recover`], [`Checkpointer::checkpoint`], [`Checkpointer::save`] and [`Checkpointer::reopen`]
//! block the thread, and so does every `wait` of a future. Do not call them on a thread of an async
//! runtime. Everything else may be called there: closing and dropping a [`BackgroundCheckpointer`]
//! do not block.
//!
//! # Features
//! - `json` (default): [`JsonCodec`] and [`CheckpointBytes`].
//! - `bincode`: `BincodeCodec`. The crate behind it is no longer maintained; see docs/format.md.
//! - `metrics`: counts and times checkpoints and recoveries through the facade crate `metrics`.
//!   `StateMetrics` adds marks, lag and health. docs/observability.md lists names and alerts.
//! - `serde`: checkpoints are serializable, for a codec of your own. `bincode` includes it.
//! - `tracing`: spans of recoveries, flushes and saves, and events of damage and of saves in doubt.
//!
//! [`ReplicationState`]: repl_core::ReplicationState

#![cfg_attr(docsrs, feature(doc_cfg))] // docs.rs shows which feature an item needs

mod attempt;
mod background;
mod blocking;
#[cfg(feature = "json")]
mod bytes;
mod causes;
mod chain;
mod changes;
mod checkpoint;
mod checkpointer;
mod codec;
mod content;
mod directory;
mod disk;
mod envelope;
mod file_store;
mod floors;
mod health;
mod ids;
mod io_error;
mod observe;
mod opening;
mod peek;
mod reading;
mod recovery;
mod remote;
mod remote_store;
mod shared;
mod slot_store;
#[cfg(feature = "metrics")]
mod state_metrics;
mod store;
mod survey;
mod unshared;

pub use attempt::Attempt;
pub use background::{
    BackgroundCheckpointer, Close, CloseError, SaveAndWait, SaveAndWaitError, Schedule, SpawnError,
};
#[cfg(feature = "json")]
pub use bytes::CheckpointBytes;
pub use checkpoint::{Checkpoint, InvalidCheckpoint, Rows, ShardCheckpoint, Track};
pub use checkpointer::{CheckpointError, Checkpointer, SaveReport, Saved};
#[cfg(feature = "bincode")]
pub use codec::BincodeCodec;
#[cfg(feature = "json")]
pub use codec::JsonCodec;
pub use codec::{Codec, CodecError};
pub use disk::{Disk, FileKind, NoSync, OsDir, OsDisk, OsFile, OsLock};
pub use envelope::{DeltaError, DeltaHeader, Header, SealError, UnsealError};
pub use file_store::FileStore;
pub use floors::{Floors, UntilSaved};
pub use health::{Health, Status};
pub use ids::{Generation, StoreId};
#[cfg(feature = "metrics")]
pub use observe::describe_metrics;
pub use opening::{Opening, open_timeout};
pub use peek::{PeekError, Peeked, peek};
pub use recovery::{
    CorruptCheckpoint, CorruptReason, OnCorrupt, RecoverError, RecoverErrorKind, Recovered,
    RecoveryReport, ReopenError, Source, recover,
};
pub use remote::{RemoteCheckpointer, RemoteRecovered, recover_remote};
pub use remote_store::{
    Acquire, Held, Kept, Lease, RemoteError, RemoteFailure, RemoteSave, RemoteStore, Witness,
};
pub use slot_store::SlotStore;
#[cfg(feature = "metrics")]
pub use state_metrics::StateMetrics;
pub use store::{
    Candidate, Candidates, CheckpointStore, DeltaBase, LoadError, OpenStoreError, Save, SaveError,
    SlotFileError,
};
pub use survey::{CheckpointCounts, Survey, Surveyed, survey};

/// The README's example runs with the examples of this crate.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod readme {}

/// So do those of the recipes.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/recipes.md")]
mod recipes {}

/// And those of the page about adopting these crates.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/adopting.md")]
mod adopting {}

/// And those of the page about backups.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/backup.md")]
mod backup {}

/// And those of the questions.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/faq.md")]
mod faq {}

/// And that of the README of this crate.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod crate_readme {}
