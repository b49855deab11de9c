//! Remote stores keep sealed bytes on a server: the trait, its promises and its errors.

mod error;
mod utc;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use crate::ids::{Generation, StoreId};

pub use self::error::RemoteError;

/// Keeps sealed checkpoints on a server, for one holder at a time.
///
/// A store keeps one record per [`StoreId`], a [`Held`]: its holder, a token, and the newest
/// generation. Every takeover and every renewal raises the token. Every save is conditional on it, so
/// a save of an earlier holder, or one that was sent before a renewal and is late, changes nothing.
/// A store knows nothing of marks, and neither retries nor waits;
/// [`recover_remote`](crate::recover_remote) and [`RemoteCheckpointer`](crate::RemoteCheckpointer) do
/// that. docs/remote.md says why lost answers are settled in this way.
///
/// # Promises
/// 1. [`acquire`](RemoteStore::acquire) and [`save`](RemoteStore::save) are one atomic conditional
///    write each. After `Ok` it survives every crash of the server.
/// 2. [`RemoteFailure::Unavailable`] means that the call has changed nothing and never will.
///    Everything less certain is [`RemoteFailure::InDoubt`].
/// 3. [`RemoteFailure::Refused`] means that the condition was false, and says what the record is
///    instead. A store that cannot tell a refusal from a success of its own that was sent twice
///    returns it for both.
/// 4. A call whose future was dropped is in doubt, and the store can be used again.
/// 5. A save keeps the new generation and at least the one before it.
pub trait RemoteStore: Send {
    /// Returns the id in the header of every checkpoint of this store.
    fn store_id(&self) -> StoreId;

    /// Returns the place of this store, for messages.
    fn place(&self) -> String;

    /// Takes the store over, or renews a lease.
    ///
    /// # Errors
    /// [`RemoteFailure`].
    fn acquire(
        &mut self,
        acquire: Acquire,
    ) -> impl Future<Output = Result<Held, RemoteFailure>> + Send;

    /// Saves one checkpoint, if the record is exactly as [`RemoteSave`] expects it.
    ///
    /// # Errors
    /// [`RemoteFailure`].
    fn save(
        &mut self,
        save: RemoteSave<'_>,
    ) -> impl Future<Output = Result<(), RemoteFailure>> + Send;

    /// Returns the newest checkpoint that is kept, of generation `at_most` or below.
    ///
    /// It need not know deltas: all that it gets to save are whole checkpoints.
    ///
    /// # Errors
    /// [`RemoteFailure`]. Damaged bytes are no error here: they are refused when they are unsealed.
    fn load(
        &mut self,
        at_most: Generation,
    ) -> impl Future<Output = Result<Option<Kept>, RemoteFailure>> + Send;
}

/// How to acquire a remote store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acquire {
    /// Makes a new holder and raises the token by one, also if another process holds the store. Only at a start.
    TakeOver {
        /// With `None`, a store without a record gets one, with generation 0. Otherwise the takeover
        /// is conditional: the record is there, and its token and generation are at least these.
        at_least: Option<Witness>,
    },
    /// Sets the token to `token`, if the holder is that of `lease` and the token is lower.
    Renew {
        /// The lease to renew.
        lease: Lease,
        /// A token above every one that this holder has tried.
        token: u64,
    },
}

/// The right to save to a remote store.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The holder: random, and another one after every takeover.
    pub holder: u128,
    /// The token of its last takeover or renewal.
    pub token: u64,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lease({:032x}, {})", self.holder, self.token)
    }
}

/// The record of a remote store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The holder and the token.
    pub lease: Lease,
    /// The newest generation; 0 if nothing was saved.
    pub generation: Generation,
    /// The name that the holder gave, for messages.
    pub by: String,
    /// When the holder took over, by the clock of the server, or of the holder if the server tells
    /// none.
    pub since: SystemTime,
}

impl Held {
    /// Returns the token and the generation.
    pub fn witness(&self) -> Witness {
        Witness { token: self.lease.token, generation: self.generation }
    }
}

/// A checkpoint to save to a remote store.
#[derive(Debug, Clone, Copy)]
pub struct RemoteSave<'a> {
    /// The record must have exactly this holder and token.
    pub lease: Lease,
    /// The record must have exactly this generation.
    pub previous: Generation,
    /// The generation of this save, above `previous`.
    pub generation: Generation,
    /// The sealed bytes of a whole checkpoint.
    pub bytes: &'a [u8],
}

/// A checkpoint that a remote store keeps, not yet unsealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its generation.
    pub generation: Generation,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What a remote store is known to hold: a later look may find more, and never less.
///
/// [`RemoteCheckpointer::witness`](crate::RemoteCheckpointer::witness) returns it. An engine keeps it
/// with its data, and passes it to [`recover_remote`](crate::recover_remote): a server that has lost
/// acknowledged saves is then found out. An old witness proves less, and is not wrong.
///
/// Its two numbers are all that there is to keep, in any form; its `Display` is for messages.
///
/// ```
/// use repl_checkpoint::Witness;
///
/// let Witness { token, generation } = Witness { token: 5, generation: 412 };
/// let line = format!("{token} {generation}"); // to a file
/// let (token, generation) = line.split_once(' ').ok_or("not a witness")?;
/// let kept = Witness { token: token.parse()?, generation: generation.parse()? };
/// assert_eq!(kept, Witness { token: 5, generation: 412 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Witness {
    /// The token of the lease.
    pub token: u64,
    /// The acknowledged generation.
    pub generation: Generation,
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "generation {} and token {}", self.generation, self.token)
    }
}

/// A call of a [`RemoteStore`] failed.
#[derive(Debug, Clone)]
pub enum RemoteFailure {
    /// Nothing was changed, and never will be by this call.
    Unavailable(Arc<dyn Error + Send + Sync>),
    /// The call may have taken effect, or may yet.
    InDoubt(Arc<dyn Error + Send + Sync>),
    /// The condition was false: the record is this, or there is none.
    Refused(Option<Held>),
}
