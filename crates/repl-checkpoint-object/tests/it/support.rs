//! Helpers of the tests.

pub(crate) mod client;
#[cfg(unix)]
pub(crate) mod proxy;
#[cfg(unix)]
pub(crate) mod server;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig};
use repl_checkpoint::{
    CheckpointError, JsonCodec, OnCorrupt, RecoverErrorKind, RemoteError, RemoteRecovered, Saved,
    StoreId, Witness, recover_remote,
};
use repl_checkpoint_object::{BucketError, BucketStore};
use repl_core::ShardId;

pub(crate) const STORE: StoreId = StoreId(0xfeed);
pub(crate) const ONE: ShardId = ShardId(1);

pub(crate) type Follower = RemoteRecovered<BucketStore>;
pub(crate) type Any = Arc<dyn ObjectStore>;

/// A client of a gateway that sends each request at most `retries` times again.
pub(crate) fn s3(port: u16, bucket: &str, retries: usize) -> AmazonS3Builder {
    // A client needs it although it does not encrypt. An error says: it is there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let backoff = BackoffConfig {
        init_backoff: Duration::from_millis(10),
        max_backoff: Duration::from_millis(100),
        base: 2.0,
    };
    let retry = RetryConfig { backoff, max_retries: retries, ..RetryConfig::default() };
    AmazonS3Builder::new()
        .with_endpoint(format!("http://127.0.0.1:{port}"))
        .with_bucket_name(bucket)
        .with_region("us-east-1")
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_skip_signature(true)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(retry)
}

/// The store of a client that sends once.
pub(crate) fn store(client: &Any, path: &str) -> BucketStore {
    BucketStore::new(Arc::clone(client), Path::from(path), STORE).sends_once()
}

pub(crate) async fn start(store: BucketStore) -> Follower {
    start_with(store, None).await.unwrap()
}

pub(crate) async fn start_with(
    store: BucketStore,
    at_least: Option<Witness>,
) -> Result<Follower, RecoverErrorKind> {
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

pub(crate) fn refused_start(result: Result<Follower, RecoverErrorKind>) -> RemoteError {
    match result {
        Err(RecoverErrorKind::Remote(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// The error of this crate in an error of the driver.
pub(crate) fn bucket_error(error: &RemoteError) -> &BucketError {
    error.source().and_then(|source| source.downcast_ref()).unwrap_or_else(|| panic!("{error:?}"))
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
    for _ in 0..400 {
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

/// The bytes of an object, by a look past the store.
pub(crate) async fn raw(client: &Any, path: &str) -> Vec<u8> {
    client.get(&Path::from(path)).await.unwrap().bytes().await.unwrap().to_vec()
}

/// Overwrites an object past the store, as an operator would.
pub(crate) async fn overwrite(client: &Any, path: &str, bytes: Vec<u8>) {
    client.put(&Path::from(path), bytes.into()).await.unwrap();
}

/// The field of the line of an object.
pub(crate) fn field(object: &[u8], name: &str) -> String {
    let line = object.split(|byte| *byte == b'\n').next().unwrap();
    let line = std::str::from_utf8(line).unwrap();
    let prefix = format!("{name}=");
    line.split(' ').find_map(|word| word.strip_prefix(&prefix)).unwrap().to_owned()
}

/// The generations that an object keeps.
pub(crate) fn generations(object: &[u8]) -> Vec<u64> {
    let kept = field(object, "kept");
    kept.split(',').map(|kept| kept.split(':').next().unwrap().parse().unwrap()).collect()
}
