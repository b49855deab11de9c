//! Keeps the checkpoints of [`repl_checkpoint`] in a bucket.
//!
//! A bucket is S3, or what speaks its protocol, or whatever else a client of the crate
//! [`object_store`] writes to on a condition.
//!
//! [`BucketStore`] is a [`RemoteStore`](repl_checkpoint::RemoteStore): give it to
//! [`recover_remote`](repl_checkpoint::recover_remote). The process that started last holds the
//! store; an earlier one that still runs is refused.
//!
//! ```no_run
//! use std::error::Error;
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use object_store::aws::AmazonS3Builder;
//! use object_store::RetryConfig;
//! use repl_checkpoint::{CheckpointError, JsonCodec, OnCorrupt, StoreId, recover_remote};
//! use repl_checkpoint_object::BucketStore;
//! use repl_core::ShardId;
//! use tokio::time::{sleep, timeout};
//!
//! # async fn flush(_: &repl_core::Snapshot) -> std::io::Result<()> { Ok(()) }
//! const LIMIT: Duration = Duration::from_secs(30);
//!
//! fn store() -> Result<BucketStore, object_store::Error> {
//!     // Chooses what the client encrypts with: if nothing is, it panics. An error says that
//!     // it was chosen before.
//!     let _ = rustls::crypto::ring::default_provider().install_default();
//!     let client = AmazonS3Builder::from_env() // keys, region and endpoint: the variables AWS_*
//!         .with_bucket_name("followers")
//!         .with_allow_http(true) // only for http://, as of a server on this machine
//!         .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
//!         .build()?;
//!     let store = BucketStore::new(Arc::new(client), "marks/7".into(), StoreId(7));
//!     Ok(store.named("node 3").sends_once()) // true, as the client tries nothing again
//! }
//!
//! # async fn run() -> Result<(), Box<dyn Error>> {
//! let start = recover_remote(store()?, JsonCodec, &[ShardId(1)], OnCorrupt::Fail, None);
//! let mut follower = timeout(LIMIT, start).await??; // try again if it is late
//! loop {
//!     let round = async {
//!         if let Some(attempt) = follower.checkpointer.begin().await? {
//!             flush(attempt.marks()).await.map_err(|error| CheckpointError::Flush(error.into()))?;
//!             follower.checkpointer.save(attempt).await?;
//!         }
//!         Ok::<(), CheckpointError>(())
//!     };
//!     match timeout(LIMIT, round).await {
//!         Ok(Err(error)) if error.is_poisoning() => return Err(error.into()), // stop applying
//!         Ok(Err(error)) => eprintln!("{error:?}"), // tried again, and a doubt is settled first
//!         Err(late) => eprintln!("{late}"),         // the same
//!         Ok(Ok(())) => {}
//!     }
//!     sleep(follower.checkpointer.retry_after().max(Duration::from_secs(1))).await;
//! }
//! # }
//! ```
//!
//! docs/remote.md has the whole program: a start that is tried again, a witness, and a last save.
//!
//! # The client
//! This crate needs no HTTP, no encryption and no cloud: it uses [`object_store`] without features.
//! Add that crate with the features of your client. For S3 these build the least C:
//!
//! ```toml
//! object_store = { version = "0.14", default-features = false, features = [
//!     "aws-base", "reqwest", "ring",
//! ] }
//! reqwest = { version = "0.13", default-features = false, features = ["rustls-no-provider"] }
//! rustls = { version = "0.23", default-features = false, features = ["ring", "std", "tls12"] }
//! ```
//!
//! `rustls-no-provider` builds no encryption by default, so the program has to choose: without
//! `install_default`, building a client panics with "No rustls crypto provider is configured". It
//! is needed for `http://` too. With the one feature `aws` (or `gcp`, `azure`) in place of the
//! three lines, nothing has to be chosen, but aws-lc is built: much more C, and on some systems
//! with `cmake`.
//!
//! `from_env` reads `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION` and, for a server
//! that is not AWS, `AWS_ENDPOINT`. For an endpoint with `http://`, as of a server on the same
//! machine, it needs `AWS_ALLOW_HTTP=true`, or `with_allow_http(true)` as above. Elsewhere leave
//! that line out.
//!
//! Build the client with `max_retries: 0`, and promise it with [`BucketStore::sends_once`]. The
//! [`RemoteCheckpointer`](repl_checkpoint::RemoteCheckpointer) tries again by itself, and a client
//! that does so as well hides what happened. A client that retries is safe too. But more of its
//! failures are in doubt, and settling a doubt takes two or three requests.
//!
//! A client of S3 limits a connection to 5 seconds and a request to 30, unless
//! `ClientOptions` say otherwise. Put a limit of your own around
//! [`recover_remote`](repl_checkpoint::recover_remote) and each round: they take several requests.
//!
//! # The object
//! A store is one object: a line of text that names its holder, then the newest checkpoints, two
//! by default. Each write replaces the whole object, on the condition that its ETag is still the
//! known one. So the record and its checkpoints never part. Each write has a random nonce, so no
//! ETag comes twice.
//!
//! ```text
//! repl-object 1 store=.. token=5 holder=.. nonce=.. since=1798.. kept=7:412,6:409 by=a%20b crc=..
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
//! | 412 or 409, and the object has the nonce of this call | a success: it was sent twice |
//! | the same, and the condition is false | refused, with the record that was read |
//! | the same, and the condition is true | written again, up to 8 times; then in doubt |
//! | the same, and the object cannot be read | in doubt |
//! | not implemented, not supported | unavailable: [`BucketError::NoConditionalPut`] |
//! | 401, 403, 404 (no bucket), no connection | unavailable if it [sends once], else in doubt |
//! | anything else: a lost or late answer, a server error (5xx) | in doubt |
//! | any failure of a read that comes first | unavailable |
//!
//! What the client says is not always what the server meant:
//! - Some servers answer a put into a missing bucket with 404 or 403, and others with 500: there it
//!   is in doubt.
//! - A server that gives no ETag in its answer to a put, or that answers 501 to a conditional one,
//!   is a general error to the client of S3. So each such write is in doubt, and so is each renewal
//!   that would settle it. The source of the error says why.
//!
//! [sends once]: BucketStore::sends_once
//!
//! An object that is damaged or of another program or store is unavailable as well: a
//! [`BucketError`] says which and why, and it is never overwritten.
//!
//! # Which bucket
//! The server must carry out a put with `If-Match` or `If-None-Match: *` atomically, across all of
//! its gateways, or refuse it. On one that ignores these headers no promise holds, and nothing here
//! can notice: try a bucket before you trust it. The tests of this crate run on SeaweedFS with two
//! gateways.
//!
//! Give each store an object of its own, and let nothing else write, expire or delete it. Put a
//! copy back only while no process uses the store. A process that starts with a witness then
//! reports [`RemoteError::Regressed`](repl_checkpoint::RemoteError::Regressed): start it without.

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
