//! Checkpoints in an object.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, UpdateVersion};
use repl_checkpoint::{
    Acquire, Generation, Held, Kept, Lease, RemoteFailure, RemoteSave, RemoteStore, StoreId,
    Witness,
};

use crate::client::{Client, Unwritten};
use crate::error::BucketError;
use crate::object::{Malformed, Object, Sealed};

/// How often one call writes, if other processes change the object each time.
const ATTEMPTS: u32 = 8;

/// A [`RemoteStore`] in one object of a bucket.
///
/// The bucket must refuse a write whose condition is false, whatever comes at once: the
/// [crate docs](crate#which-bucket) say which do. It needs the runtime of its client around every
/// call: that is tokio, for the clients of [`object_store`].
///
/// Waits are limited by the client alone: put a time limit around the calls of the
/// [`RemoteCheckpointer`](repl_checkpoint::RemoteCheckpointer).
pub struct BucketStore {
    object: Client,
    store: StoreId,
    name: String,
    generations: usize,
    /// What the object was after the last call that succeeded.
    known: Option<Known>,
}

struct Known {
    version: UpdateVersion,
    object: Object,
}

impl BucketStore {
    /// Returns the store `store` in the object `path`. Does not send anything yet.
    pub fn new(client: Arc<dyn ObjectStore>, path: Path, store: StoreId) -> Self {
        let object = Client { bucket: client, path, sends_once: false };
        BucketStore { object, store, name: String::new(), generations: 2, known: None }
    }

    /// Sets the name that a fenced process reads: that of this node, for example.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        BucketStore { name: name.into(), ..self }
    }

    /// Keeps so many generations, at least 2; by default 2. Each save writes all of them.
    #[must_use]
    pub fn keep(self, generations: u32) -> Self {
        let generations = usize::try_from(generations.max(2)).unwrap_or(usize::MAX);
        BucketStore { generations, ..self }
    }

    /// Promises that the client sends each request at most once.
    ///
    /// Its `RetryConfig::max_retries` must be 0. A connection that is refused, or a request that
    /// the server refuses, is then [`RemoteFailure::Unavailable`]. Without the promise it is in
    /// doubt: the client may have sent the request before, and lost the answer.
    ///
    /// Do not promise it for a client that retries. A save could then be in the store though it was
    /// reported as not sent, and this process would take it for that of another, as if fenced.
    #[must_use]
    pub fn sends_once(mut self) -> Self {
        self.object.sends_once = true;
        self
    }

    /// The object as it is now.
    async fn read(&self) -> Result<Option<Known>, BucketError> {
        let Some((bytes, version)) = self.object.read().await? else {
            return Ok(None);
        };
        let path = self.object.path.clone();
        match Object::parse(&bytes, self.store) {
            Ok(object) => Ok(Some(Known { version, object })),
            Err(Malformed::Empty) => Err(BucketError::Empty { path }),
            Err(Malformed::Foreign) => Err(BucketError::Foreign { path }),
            Err(Malformed::Version(version)) => Err(BucketError::Version { path, version }),
            Err(Malformed::OtherStore(found)) => Err(BucketError::OtherStore { path, found }),
            Err(Malformed::Damaged(reason)) => Err(BucketError::Damaged { path, reason }),
        }
    }

    /// Replaces the object by what `next` makes of it, or refuses where `next` returns nothing.
    ///
    /// 1. What the object is: known from the last call, or read.
    /// 2. A write on the condition that it still is.
    /// 3. If that is refused, what it is now. It may be what this call wrote: a client that lost
    ///    the answer, and sent the request again, was refused the second time. Only the nonce
    ///    tells: an object with equal content may be of another process.
    async fn replace(
        &mut self,
        nonce: u128,
        next: impl Fn(Option<&Object>) -> Option<Object> + Send + Sync,
    ) -> Result<Held, RemoteFailure> {
        let known = self.known.take(); // also if this future is dropped
        let mut found = match known {
            Some(known) if next(Some(&known.object)).is_some() => Some(known),
            _ => self.read().await.map_err(unavailable)?,
        };
        for _ in 0..ATTEMPTS {
            let Some(object) = next(found.as_ref().map(|found| &found.object)) else {
                let held = found.as_ref().map(|found| found.object.held());
                self.known = found;
                return Err(RemoteFailure::Refused(held));
            };
            let object = Object { nonce, ..object };
            let replaces = found.as_ref().map(|found| &found.version);
            match self.object.write(replaces, object.payload(self.store)).await {
                Ok(version) => {
                    let held = object.held();
                    self.known = version.map(|version| Known { version, object });
                    return Ok(held);
                }
                Err(Unwritten::Surely(error)) => return Err(unavailable(error)),
                Err(Unwritten::Maybe(error)) => return Err(in_doubt(error)),
                Err(Unwritten::Refused) => {}
            }
            found = self.read().await.map_err(in_doubt)?;
            if let Some(known) = found.take_if(|found| found.object.nonce == nonce) {
                let held = known.object.held();
                self.known = Some(known);
                return Ok(held);
            }
        }
        let path = self.object.path.clone();
        Err(in_doubt(BucketError::Contended { path, times: ATTEMPTS }))
    }

    fn random(&self) -> Result<u128, RemoteFailure> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|source| {
            unavailable(BucketError::Random { path: self.object.path.clone(), source })
        })?;
        Ok(u128::from_le_bytes(bytes))
    }
}

impl RemoteStore for BucketStore {
    fn store_id(&self) -> StoreId {
        self.store
    }

    /// Shows the id of the store, the path of the object, and the client as its `Display` does: that
    /// of S3 shows the bucket, and no keys.
    fn place(&self) -> String {
        format!("store {} in the object {} of {}", self.store, self.object.path, self.object.bucket)
    }

    async fn acquire(&mut self, acquire: Acquire) -> Result<Held, RemoteFailure> {
        let nonce = self.random()?;
        match acquire {
            Acquire::TakeOver { at_least } => {
                let (holder, since, by) = (self.random()?, whole_second(), self.name.clone());
                let next = |object: Option<&Object>| {
                    is_enough(object, at_least).then(|| {
                        let token = object.map_or(0, |object| object.lease.token).saturating_add(1);
                        let kept = object.map(|object| object.kept.clone()).unwrap_or_default();
                        let lease = Lease { holder, token };
                        Object { lease, nonce, since, by: by.clone(), kept }
                    })
                };
                self.replace(nonce, next).await
            }
            Acquire::Renew { lease, token } => {
                let next = |object: Option<&Object>| {
                    let is_ours = |object: &&Object| {
                        object.lease.holder == lease.holder && object.lease.token < token
                    };
                    let object = object.filter(is_ours)?.clone();
                    Some(Object { lease: Lease { token, ..object.lease }, ..object })
                };
                self.replace(nonce, next).await
            }
        }
    }

    async fn save(&mut self, save: RemoteSave<'_>) -> Result<(), RemoteFailure> {
        let RemoteSave { lease, previous, generation, bytes } = save;
        let nonce = self.random()?;
        let newest = Sealed { generation, bytes: Bytes::copy_from_slice(bytes) };
        let older = self.generations - 1;
        let next = |object: Option<&Object>| {
            let is_expected =
                |object: &&Object| object.lease == lease && object.generation() == previous;
            let object = object.filter(is_expected)?;
            let older = object.kept.iter().filter(|kept| kept.generation < generation).take(older);
            let kept = std::iter::once(&newest).chain(older).cloned().collect();
            Some(Object { kept, ..object.clone() })
        };
        self.replace(nonce, next).await.map(drop)
    }

    async fn load(&mut self, at_most: Generation) -> Result<Option<Kept>, RemoteFailure> {
        self.known = None;
        self.known = self.read().await.map_err(unavailable)?;
        let kept = self.known.iter().flat_map(|known| &known.object.kept);
        let newest = kept.filter(|kept| kept.generation <= at_most).max_by_key(|k| k.generation);
        Ok(newest
            .map(|newest| Kept { generation: newest.generation, bytes: newest.bytes.to_vec() }))
    }
}

/// The time as an object has it.
fn whole_second() -> SystemTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

/// Whether a takeover may follow an object.
fn is_enough(object: Option<&Object>, at_least: Option<Witness>) -> bool {
    match (object, at_least) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(object), Some(least)) => {
            object.lease.token >= least.token && object.generation() >= least.generation
        }
    }
}

fn unavailable(error: BucketError) -> RemoteFailure {
    RemoteFailure::Unavailable(Arc::new(error))
}

fn in_doubt(error: BucketError) -> RemoteFailure {
    RemoteFailure::InDoubt(Arc::new(error))
}

impl fmt::Debug for BucketStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BucketStore")
            .field("object", &self.object)
            .field("store", &self.store)
            .field("name", &self.name)
            .field("generations", &self.generations)
            .finish_non_exhaustive()
    }
}
