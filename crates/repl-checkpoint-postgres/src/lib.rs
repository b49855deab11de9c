//! Keeps the checkpoints of [`repl_checkpoint`] in PostgreSQL.
//!
//! [`PostgresStore`] is a [`RemoteStore`](repl_checkpoint::RemoteStore): give it to
//! [`recover_remote`](repl_checkpoint::recover_remote). The process that started last holds the
//! store; an earlier one that still runs is refused.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use repl_checkpoint::{JsonCodec, OnCorrupt, StoreId, recover_remote};
//! use repl_checkpoint_postgres::PostgresStore;
//! use repl_core::ShardId;
//!
//! # async fn flush(_: &repl_core::Snapshot) -> std::io::Result<()> { Ok(()) }
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let config = "host=db.example user=follower dbname=engine".parse()?;
//! let store = PostgresStore::new(config, StoreId(7)).named("node 3");
//! let mut follower =
//!     recover_remote(store, JsonCodec, &[ShardId(1)], OnCorrupt::Fail, None).await?;
//! loop {
//!     let round = async {
//!         if let Some(attempt) = follower.checkpointer.begin().await? {
//!             flush(attempt.marks()).await.map_err(|e| repl_checkpoint::CheckpointError::Flush(e.into()))?;
//!             follower.checkpointer.save(attempt).await?;
//!         }
//!         Ok::<(), repl_checkpoint::CheckpointError>(())
//!     };
//!     match tokio::time::timeout(Duration::from_secs(10), round).await {
//!         Ok(Err(error)) if error.is_poisoning() => return Err(error.into()), // stop applying
//!         Ok(Err(_)) | Err(_) => {} // tried again, and a doubt is settled first
//!         Ok(Ok(())) => {}
//!     }
//!     let wait = follower.checkpointer.retry_after().max(Duration::from_secs(1));
//!     tokio::time::sleep(wait).await;
//! }
//! # }
//! ```

mod connection;
mod failure;
mod marks;
mod schema;
mod statements;
mod store;

pub use connection::{Tls, is_unreplicated};
pub use marks::{MarksError, PostgresMarks};
pub use store::PostgresStore;

/// Rustdoc also compiles the examples of the page about progress on a server.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/remote.md")]
mod remote_page {}
