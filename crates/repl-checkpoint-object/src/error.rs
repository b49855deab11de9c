//! What is wrong with an object, or with the client that reaches it.

use object_store::path::Path;
use repl_checkpoint::StoreId;

/// Why a call of a [`BucketStore`](crate::BucketStore) failed: the source of its error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BucketError {
    /// The client failed, or the server refused the request.
    #[error("failed to {act} the object {path}")]
    Client {
        /// What was tried: "read" or "write".
        act: &'static str,
        /// The object.
        path: Path,
        /// Why.
        source: object_store::Error,
    },
    /// The object has changed in other ways than by a save.
    #[error("the object {path} is damaged, {reason}: put an intact copy in its place")]
    Damaged {
        /// The object.
        path: Path,
        /// What is wrong.
        reason: &'static str,
    },
    /// The object was written by another program, or was overwritten by one. Nothing overwrites it
    /// here.
    #[error(
        "the object {path} was not written by this store: if a store was saved here, put a copy of \
         the object back; otherwise choose another path"
    )]
    Foreign {
        /// The object.
        path: Path,
    },
    /// The object has no bytes: another program wrote it, or emptied it. Nothing overwrites it here.
    #[error(
        "the object {path} is empty: if a store was saved here, put a copy of the object back; \
         otherwise choose another path, or delete the object"
    )]
    Empty {
        /// The object.
        path: Path,
    },
    /// The object is of another version of the format.
    #[error(
        "the object {path} has version {version} of the format: read it with the later release"
    )]
    Version {
        /// The object.
        path: Path,
        /// Its version.
        version: String,
    },
    /// The object belongs to another store. Nothing overwrites it.
    #[error("the object {path} belongs to the store {found}: give each store a path of its own")]
    OtherStore {
        /// The object.
        path: Path,
        /// The store that it belongs to.
        found: StoreId,
    },
    /// The client cannot make a write conditional.
    #[error("the client cannot write the object {path} on a condition: enable conditional puts")]
    NoConditionalPut {
        /// The object.
        path: Path,
        /// What the client said.
        source: object_store::Error,
    },
    /// The client or the server gives no ETag, so that no later write could be conditional.
    ///
    /// It is found when the object is read. A server that gives none in its answer to a put is
    /// reported by some clients, that of S3 among them, as a general error: then it is a
    /// [`Client`](BucketError::Client) error, and in doubt.
    #[error("the object {path} has no ETag: no save can be conditional on what is there")]
    NoETag {
        /// The object.
        path: Path,
    },
    /// Other processes wrote the object each time before this one could, or the server refused a
    /// condition that was true.
    #[error("the condition of a write of the object {path} failed {times} times: try again later")]
    Contended {
        /// The object.
        path: Path,
        /// How often this process tried.
        times: u32,
    },
    /// The checkpoints that the object would keep are too large for one request.
    #[error("the object {path} has {bytes} bytes: at most 1 GiB is read or written")]
    TooLarge {
        /// The object.
        path: Path,
        /// Its length.
        bytes: u64,
    },
    /// The operating system gives no random numbers.
    #[error("no random numbers to write the object {path} with")]
    Random {
        /// The object.
        path: Path,
        /// Why.
        source: getrandom::Error,
    },
}
