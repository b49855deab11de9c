//! Keeps the checkpoints of [`repl_checkpoint`] in PostgreSQL.
//!
//! [`PostgresStore`] is a [`RemoteStore`](repl_checkpoint::RemoteStore): give it to
//! [`recover_remote`](repl_checkpoint::recover_remote). The process that started last holds the
//! store; an earlier one that still runs is refused.
//!
//! ```no_run
//! use std::error::Error;
//! use std::time::Duration;
//!
//! use repl_checkpoint::{CheckpointError, JsonCodec, OnCorrupt, StoreId, recover_remote};
//! use repl_checkpoint_postgres::PostgresStore;
//! use repl_core::ShardId;
//! use tokio::time::{sleep, timeout};
//! use tokio_postgres::Config;
//!
//! # async fn flush(_: &repl_core::Snapshot) -> std::io::Result<()> { Ok(()) }
//! const LIMIT: Duration = Duration::from_secs(30);
//!
//! # async fn run() -> Result<(), Box<dyn Error>> {
//! let mut config = Config::new();
//! config.host("db.example").user("follower").password("secret").dbname("engine");
//! config.connect_timeout(Duration::from_secs(5)).tcp_user_timeout(Duration::from_secs(10));
//! let store = PostgresStore::new(config, StoreId(7)).named("node 3");
//! let start = recover_remote(store, JsonCodec, &[ShardId(1)], OnCorrupt::Fail, None);
//! let mut follower = timeout(LIMIT, start).await??; // try again, with a new store, if it is late
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
//! # Time limits
//! Three limits are needed, as each covers what the others do not:
//! - `connect_timeout` ends a TCP connection that is not made. It ends before PostgreSQL has said a
//!   word, so a server that takes the connection and never answers is not covered.
//! - `tcp_user_timeout`, on Linux, ends a connection whose bytes are not acknowledged, as after a
//!   cable was pulled. A server that hangs still acknowledges them.
//! - A limit of your own, as `tokio::time::timeout`, around
//!   [`recover_remote`](repl_checkpoint::recover_remote) and around each round. Any future may be
//!   dropped: a save that is cut off is in doubt, and the next `begin` settles it.
//!
//! # Encryption
//! [`PostgresStore::new`] never encrypts. [`PostgresStore::with_tls`] takes the connector of a
//! crate beside `tokio-postgres`: `postgres-native-tls`, `postgres-openssl` or
//! `tokio-postgres-rustls`. Without `SslMode::Require`, a server that offers no encryption gets a
//! plain connection.
//!
//! ```
//! use repl_checkpoint::StoreId;
//! use repl_checkpoint_postgres::{PostgresStore, Tls};
//! use tokio_postgres::Config;
//! use tokio_postgres::config::SslMode;
//!
//! // `MakeTlsConnector` of postgres-native-tls, for example.
//! fn encrypted<T: Tls>(mut config: Config, connector: T) -> PostgresStore<T> {
//!     config.ssl_mode(SslMode::Require);
//!     PostgresStore::with_tls(config, connector, StoreId(7))
//! }
//! # encrypted(Config::new(), tokio_postgres::NoTls);
//! ```
//!
//! # Tables
//! The first use makes four tables. [`PostgresStore`] has their names, what becomes of a store
//! whose tables are lost, and the grants that a role needs which may not create tables.

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

/// The example of the README is a test too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
