//! Stores keep sealed bytes: the trait, its promises and its errors.

mod error;
pub(crate) mod hint;
mod slot_file_error;

use std::io;
use std::path::PathBuf;

use crate::ids::{Generation, StoreId};

pub use self::error::{LoadError, OpenStoreError, SaveError};
pub use self::slot_file_error::SlotFileError;

/// Keeps sealed checkpoints: bytes with a generation number.
///
/// A store knows nothing of marks. It promises:
/// - After `Ok` from [`save`](CheckpointStore::save) these bytes survive every later crash, and a
///   store that opens later finds them.
/// - After [`SaveError::NotSaved`] no later load finds these bytes. What was saved before is
///   untouched, and the next save may succeed.
/// - After [`SaveError::InDoubt`] a crash leaves these bytes or the older ones, whole either way.
///   The store refuses to save until it is opened again.
/// - One store at a time owns its place. If another one may have opened there without finding these
///   bytes, [`save`](CheckpointStore::save) fails with [`SaveError::Replaced`] and takes back nothing
///   that the other one acknowledged. The store refuses to save until it is opened again.
/// - A save removes only what is older than its `confirmed` generation, or older than the
///   generation before the last candidate that was taken from [`load`](CheckpointStore::load). What
///   it removes before it returns `Ok` is older than the newest generation that is durable. A store
///   in which all that is kept is durable after each save may keep just the new generation and the
///   two newest others.
/// - A place that has lost all that was acknowledged there is not taken for a new one:
///   [`load`](CheckpointStore::load) fails, as with [`LoadError::Vanished`].
///
/// What [`load`](CheckpointStore::load) returns is provisional: the process that saved it may have
/// died before its sync. Delete no segment because of it before this process has saved.
///
/// # Deltas
/// A delta is a save of only what has changed since an earlier generation, its base. A store need
/// not know deltas: as long as it does not implement [`delta_base`](CheckpointStore::delta_base),
/// all that it gets are whole checkpoints, [`Save::base`] is always `None`, and
/// [`Candidate::deltas`] stays empty. A store that wraps another and does not pass on its
/// `delta_base` gets whole checkpoints alone, too; it returns the candidates as they are.
///
/// A store that offers a base promises further:
/// - It offers a generation that it has acknowledged since it was opened, and not the newest one: a
///   torn delta must damage neither the newest checkpoint nor what that builds on.
/// - It refuses a delta on any other base with [`SaveError::NotSaved`], and writes nothing.
/// - It keeps what a delta builds on for as long as the delta, and returns all of it as one
///   [`Candidate`].
pub trait CheckpointStore: Send {
    /// Returns the id in the header of every checkpoint of this store.
    fn store_id(&self) -> StoreId;

    /// Returns everything that is kept, the newest generation first; nothing if nothing was saved.
    ///
    /// The iterator reads a candidate when it returns it, so that one at a time is in memory.
    /// Recovery stops at the first one that is whole, and may load again after an error. Loading
    /// changes nothing.
    ///
    /// # Errors
    /// [`LoadError`] if the store cannot say what it keeps. Damaged bytes are no error here; they
    /// are refused when they are unsealed. Neither is a candidate that cannot be read: its
    /// [`bytes`](Candidate::bytes) are the error.
    fn load(&mut self) -> Result<Candidates<'_>, LoadError>;

    /// Saves one checkpoint.
    ///
    /// Its generation is above those of all earlier calls, and of all candidates that were taken
    /// from [`load`](CheckpointStore::load). A process may use a generation that an earlier process
    /// has attempted, if no load returned it.
    ///
    /// # Errors
    /// [`SaveError`] says what a crash may leave.
    fn save(&mut self, save: Save<'_>) -> Result<(), SaveError>;

    /// The number of damaged checkpoints that a torn write may leave above the newest whole one.
    ///
    /// Recovery passes over that many and reports them, even with [`OnCorrupt::Fail`]. It is 1 at
    /// most: the retention floor is the mark in the acknowledged generation before the newest, so
    /// one generation can be lost without the need for a deleted segment. A store that wraps
    /// another returns the number of the inner one.
    ///
    /// [`OnCorrupt::Fail`]: crate::OnCorrupt::Fail
    fn max_torn(&self) -> usize {
        0
    }

    /// Returns what a delta that is saved now builds on, or `None` if the next save is to be whole.
    ///
    /// With the default, `None`, every save is whole. The next save may be whole where a base is
    /// offered, too: a [`Checkpointer`](crate::Checkpointer) saves a delta only on the generation
    /// before the newest, if little has changed. A store that wraps another may return what the
    /// inner one does, if it passes on [`Save::base`] and [`Candidate::deltas`] unchanged.
    fn delta_base(&self) -> Option<DeltaBase> {
        None
    }
}

impl<T: CheckpointStore + ?Sized> CheckpointStore for Box<T> {
    fn store_id(&self) -> StoreId {
        (**self).store_id()
    }

    fn load(&mut self) -> Result<Candidates<'_>, LoadError> {
        (**self).load()
    }

    fn save(&mut self, save: Save<'_>) -> Result<(), SaveError> {
        (**self).save(save)
    }

    fn max_torn(&self) -> usize {
        (**self).max_torn()
    }

    fn delta_base(&self) -> Option<DeltaBase> {
        (**self).delta_base()
    }
}

/// An iterator over what a store keeps, the newest first: see [`CheckpointStore::load`].
pub type Candidates<'a> = Box<dyn Iterator<Item = Candidate> + 'a>;

/// A checkpoint as a store keeps it, not yet unsealed.
#[derive(Debug)]
pub struct Candidate {
    /// Its path, for messages.
    pub path: PathBuf,
    /// The generation that its file name or place says, if it says one: that of the last delta, if
    /// there are any.
    pub generation: Option<Generation>,
    /// The bytes of a whole checkpoint, or why they could not be read.
    ///
    /// An [`UnsealError`](crate::UnsealError) as the inner error says that it is damaged, and was
    /// not read for that reason.
    pub bytes: io::Result<Vec<u8>>,
    /// The deltas that build on these bytes, each as it was saved, in the order of their
    /// generations; empty if there are none.
    pub deltas: Vec<Vec<u8>>,
}

/// A checkpoint to save.
#[derive(Debug, Clone, Copy)]
pub struct Save<'a> {
    /// The number of this save, above every earlier one.
    pub generation: Generation,
    /// The newest generation that the caller knows to be durable; 0 for none.
    ///
    /// It, or a newer durable one, must survive even if this save fails.
    pub confirmed: Generation,
    /// The sealed bytes: a whole checkpoint, or one delta.
    pub bytes: &'a [u8],
    /// The generation that the bytes build on, if they are a delta; `None` for a whole checkpoint.
    ///
    /// It is the one that the store offers with [`delta_base`](CheckpointStore::delta_base), so a
    /// store that offers none need not look at it.
    pub base: Option<Generation>,
}

/// What a delta that is saved now builds on: see [`CheckpointStore::delta_base`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeltaBase {
    /// The generation that it builds on, which this store has acknowledged.
    pub generation: Generation,
    /// The checksum of the header of that generation: the eight hexadecimal digits at the end of
    /// its first line.
    pub link: u32,
    /// The length of the longest delta that there is room for, in bytes.
    pub room: usize,
}
