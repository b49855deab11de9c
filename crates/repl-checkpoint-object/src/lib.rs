//! Keeps the checkpoints of [`repl_checkpoint`] in a bucket: S3 and what speaks its protocol, and any
//! other client of the crate [`object_store`] that writes on a condition.
//!
//! [`BucketStore`] is a [`RemoteStore`](repl_checkpoint::RemoteStore): give it to
//! [`recover_remote`](repl_checkpoint::recover_remote). The process that started last holds the
//! store; an earlier one that still runs is refused.
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use object_store::ObjectStore;
//! use repl_checkpoint::{CheckpointError, JsonCodec, OnCorrupt, StoreId, recover_remote};
//! use repl_checkpoint_object::BucketStore;
//! use repl_core::ShardId;
//!
//! # async fn flush(_: &repl_core::Snapshot) -> std::io::Result<()> { Ok(()) }
//! // For S3: `AmazonS3Builder::from_env()`, the bucket, and a `RetryConfig` with `max_retries: 0`.
//! # async fn run(client: Arc<dyn ObjectStore>) -> Result<(), Box<dyn std::error::Error>> {
//! let store = BucketStore::new(client, "followers/7".into(), StoreId(7))
//!     .named("node 3")
//!     .sends_once();
//! let mut follower =
//!     recover_remote(store, JsonCodec, &[ShardId(1)], OnCorrupt::Fail, None).await?;
//! loop {
//!     let round = async {
//!         if let Some(attempt) = follower.checkpointer.begin().await? {
//!             flush(attempt.marks()).await.map_err(|error| CheckpointError::Flush(error.into()))?;
//!             follower.checkpointer.save(attempt).await?;
//!         }
//!         Ok::<(), CheckpointError>(())
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
//!
//! # The client
//! This crate needs no HTTP, no encryption and no cloud: it uses [`object_store`] without features.
//! Add that crate with the feature of your client, as `aws`, `gcp` or `azure`.
//!
//! Build the client with `max_retries: 0`, and promise it with [`BucketStore::sends_once`]. The
//! [`RemoteCheckpointer`](repl_checkpoint::RemoteCheckpointer) tries again by itself, and a client
//! that does so as well only hides from it what happened. A client that retries is safe too, but more
//! is in doubt, and each doubt costs two requests.
//!
//! # The object
//! A store is one object: a line of text that says who holds it, then the newest checkpoints, two by
//! default. Each write replaces the whole object on the condition that its ETag is still the known
//! one, so the record and its checkpoints never part. Each has a random nonce of its own, so no ETag
//! comes twice.
//!
//! ```text
//! repl-object 1 store=..feed token=5 holder=.. nonce=.. since=1798000000 kept=7:412,6:409 by=a crc=..
//! ```
//!
//! The checkpoints follow in the order of `kept`, which has the generation and the length of each.
//! `since` is in seconds after 1970 by the clock of the holder: a bucket tells no time when it is
//! written to. `crc` is the CRC-32C of the line before it; checkpoints have checksums of their own.
//!
//! | call | requests |
//! | --- | --- |
//! | save | one put, of all checkpoints that are kept |
//! | takeover, renewal | a get and a put |
//! | load | a get |
//! | any of these, after a refusal | one get more |
//!
//! # What a failure means
//! | the client says | it is |
//! | --- | --- |
//! | precondition failed (412), conflict (409) | what the object says when it is read: ours, if it has the nonce of this call; else refused |
//! | the same, and the object cannot be read | in doubt |
//! | not implemented, not supported | unavailable: [`BucketError::NoConditionalPut`] |
//! | connection refused, 401, 403, 404 | unavailable after [`BucketStore::sends_once`], else in doubt |
//! | anything else: a lost or late answer, a server error (5xx) | in doubt |
//! | any failure of a read that comes first | unavailable |
//!
//! An object that is damaged or of another program or store is unavailable as well: a
//! [`BucketError`] says which and why, and it is never overwritten.
//!
//! # Which bucket
//! The server must carry out a put with `If-Match` or `If-None-Match: *` atomically, across all of its
//! gateways, or refuse it. One that ignores the headers, as older ones do, keeps no promise of this
//! crate, and nothing here can notice: try a bucket before you trust it. The tests of this crate run on
//! SeaweedFS with two gateways.
//!
//! Give each store an object of its own, and let nothing else write, expire or delete it. A copy may be
//! put back only while no process uses the store. The followers then find that saves are lost
//! ([`RemoteError::Regressed`](repl_checkpoint::RemoteError::Regressed)).

mod client;
mod error;
mod object;
mod store;

pub use error::BucketError;
pub use store::BucketStore;

/// The example of the README is a test too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
