//! Helpers of the tests.

pub(crate) mod proxy;
pub(crate) mod server;

use std::time::Duration;

use repl_checkpoint::{
    CheckpointError, JsonCodec, OnCorrupt, RecoverErrorKind, RemoteError, RemoteRecovered, Saved,
    StoreId, Witness, recover_remote,
};
use repl_checkpoint_postgres::PostgresStore;
use repl_core::ShardId;
use tokio_postgres::{Client, Config};

pub(crate) const STORE: StoreId = StoreId(0xfeed);
pub(crate) const ONE: ShardId = ShardId(1);

pub(crate) type Follower = RemoteRecovered<PostgresStore>;

pub(crate) async fn start(config: Config, name: &str) -> Follower {
    start_with(config, name, None).await.unwrap()
}

pub(crate) async fn start_with(
    config: Config,
    name: &str,
    at_least: Option<Witness>,
) -> Result<Follower, RecoverErrorKind> {
    let store = PostgresStore::new(config, STORE).named(name);
    recover_remote(store, JsonCodec, &[ONE], OnCorrupt::Fail, at_least).await
}

/// Marks the data as durable up to `mark`, then saves: one round of an engine.
pub(crate) async fn save(
    follower: &mut Follower,
    mark: u64,
) -> Result<Option<Saved>, CheckpointError> {
    follower.state.advance(ONE, mark);
    match follower.checkpointer.begin().await? {
        Some(attempt) => follower.checkpointer.save(attempt).await.map(Some),
        None => Ok(None),
    }
}

pub(crate) fn remote(result: Result<Option<Saved>, CheckpointError>) -> RemoteError {
    match result {
        Err(CheckpointError::Remote(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// The same error for ever, and floors that stand.
pub(crate) async fn assert_frozen(follower: &mut Follower, is_it: fn(&RemoteError) -> bool) {
    let floors = marks(follower);
    for _ in 0..2 {
        let error = remote(save(follower, 1000).await);
        assert!(error.is_final() && is_it(&error), "{error:?}");
    }
    assert_eq!(marks(follower), floors);
}

/// Saves until one succeeds, as an engine does; only errors that are not final may come before.
pub(crate) async fn save_in_the_end(follower: &mut Follower, mark: u64) {
    for _ in 0..200 {
        match save(follower, mark).await {
            Ok(_) => return,
            Err(CheckpointError::Remote(error)) if !error.is_final() => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("no save succeeded");
}

/// The checkpointed mark and the retention floor.
pub(crate) fn marks(follower: &Follower) -> (Option<u64>, Option<u64>) {
    let floors = follower.checkpointer.floors();
    (floors.checkpointed(ONE), floors.retention_floor(ONE))
}

/// The newest generation that the server has, by a look past the store.
pub(crate) async fn stored(client: &Client) -> i64 {
    let sql = "select generation from repl_lease";
    client.query_one(sql, &[]).await.unwrap().get(0)
}
