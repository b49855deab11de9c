//! Three slots in one preallocated file, written in turn: one write and one data sync a save.
//!
//! # Opening
//! Steps 1 to 4 of a [`FileStore`](crate::FileStore). A directory that holds its files is refused.
//!
//! Opening reads and writes no checkpoint. It does not create the slot file: the first save does,
//! and fills every slot. So a slot of zeros is always damage.
//!
//! # Saving
//! In place, from the second save of a process on:
//! 1. Write the envelope over the slot after the newest one, and zeros over the rest of a longer
//!    older one.
//! 2. Sync the data of the file.
//! 3. Check that the lock file, the directory and the slot file are still at their paths.
//!
//! From step 1 on a failure is [`SaveError::InDoubt`]: a failed write may still have reached the
//! cache whole, and [`SaveError::NotSaved`] promises that no later recovery finds it. If step 3
//! fails, another store may have opened; the first save of that one goes into a new file, which
//! this store does not write to.
//!
//! Into a new file, by steps 1 to 8 of a `FileStore`'s save and with the same failures: the two
//! newest whole checkpoints and the new one. A save takes this way if it is the first of its
//! process, if it does not fit a slot, or if the next slot holds what must be kept.
//!
//! What a process finds may be in the cache alone, and no sync proves the opposite. In place, one
//! power cut could lose both the newest checkpoint that it found and the one that it writes; into a
//! new file, everything kept is written and synced again. From then on every slot except the one
//! being written holds what this process has synced, so a crash damages one slot at most.

mod found;
mod opening;
mod page;
mod part;
mod rotation;

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::directory::{Directory, all_written};
use crate::disk::{Disk, FileKind, OsDisk};
use crate::envelope::{header_of, length_at};
use crate::ids::StoreId;
use crate::store::{Candidates, CheckpointStore, LoadError, Save, SaveError};

use self::found::{SlotFile, WholeSlot};
use self::page::{FirstPage, PAGE, first_page};
use self::part::Part;
use self::rotation::{Slot, Slots};

const SLOTS: usize = 3;

/// Keeps checkpoints in three slots of one preallocated file, `marks.slots`.
///
/// A save is one write and one data sync, several times faster than a save of a
/// [`FileStore`](crate::FileStore): take this store for many saves a second, and that one for files
/// that people copy, read and archive. Both make the same promises, and one store at a time holds a
/// directory, across all processes.
///
/// The first save of a process costs as much as a save of a `FileStore`: it replaces the file by an
/// atomic rename. So does a save that no longer fits its slot. The file is about five times as long
/// as the checkpoint that its slots were laid out for.
///
/// A save overwrites neither the newest checkpoint nor the confirmed one. After a crash
/// [`recover`](crate::recover()) passes over one torn slot, even with
/// [`OnCorrupt::Fail`](crate::OnCorrupt::Fail), and reports
/// [`Source::FellBack`](crate::Source::FellBack). A torn slot looks like damage to the newest
/// checkpoint, but the retention floor never passed the one before it. Damage to more than one slot
/// is an error, as in a `FileStore`.
///
/// The file stays open from the first save of a process on. If it is removed or replaced under a
/// running store, the next save fails ([`SaveError::Replaced`]): stop the follower before you
/// restore a file.
///
/// ```
/// use repl_checkpoint::{JsonCodec, OnCorrupt, SlotStore, StoreId, recover};
/// use repl_core::ShardId;
///
/// let dir = tempfile::tempdir()?;
/// let open = || SlotStore::open(dir.path().join("marks"), StoreId::UNNAMED);
/// let mut follower = recover(open()?, JsonCodec, &[ShardId(1)], OnCorrupt::Fail)?;
/// for mark in 1..=100 {
///     follower.state.advance(ShardId(1), mark);
///     follower.checkpointer.checkpoint(|_| Ok(()))?;
/// }
/// drop(follower);
/// assert_eq!(std::fs::metadata(dir.path().join("marks/marks.slots"))?.len(), 4 * 4096);
/// let follower = recover(open()?, JsonCodec, &[ShardId(1)], OnCorrupt::Fail)?;
/// assert_eq!(follower.state.applied_seqno(ShardId(1)), Some(100));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SlotStore<D: Disk = OsDisk> {
    directory: Directory<D>,
    /// The name of the slot file.
    file: OsString,
    store_id: StoreId,
    /// The slot file that this process made in its first save.
    open: Option<Slots<D::File>>,
    /// The bytes of a save and the zeros after them.
    buffer: Vec<u8>,
    poisoned: bool,
}

impl<D: Disk> SlotStore<D> {
    /// Returns the directory of the store.
    pub fn dir(&self) -> &Path {
        &self.directory.path
    }

    /// Returns the path of the slot file, which the first save creates.
    pub fn path(&self) -> PathBuf {
        self.directory.path.join(&self.file)
    }

    /// Reads the slot file, or returns `None` if there is none.
    fn read(&self) -> Result<Option<(SlotFile, Vec<WholeSlot>)>, LoadError> {
        let path = self.path();
        let found = match self.directory.disk.kind(&path) {
            Ok(FileKind::File) => {
                return SlotFile::read(&self.directory.disk, &path, self.store_id).map(Some);
            }
            Ok(FileKind::Dir) => "a directory",
            Ok(FileKind::Symlink) => "a symbolic link",
            Ok(FileKind::Other) => "neither a file nor a directory",
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(LoadError::Io { act: "look at", path, source }),
        };
        Err(LoadError::NotAFile { path, found })
    }

    /// Saves in place: save steps 1 to 3.
    fn overwrite(&mut self, save: &Save<'_>, target: usize) -> Result<(), SaveError> {
        let path = self.path();
        let Some(slots) = &mut self.open else {
            return self.move_to_new_file(save);
        };
        let slot = &mut slots.all[target];
        let length = save.bytes.len().max(slot.len).next_multiple_of(PAGE);
        self.buffer.clear();
        self.buffer.extend_from_slice(save.bytes);
        self.buffer.resize(length, 0);
        let (disk, file) = (&self.directory.disk, &slots.file);
        let start = offset(target, slots.size);
        all_written(&self.buffer, |rest, taken| disk.write_at(file, (start + taken) as u64, rest)) // 1
            .map_err(|err| ("write a slot of", err))
            .and_then(|()| disk.sync_data(file).map_err(|err| ("sync", err))) // 2
            .map_err(|(act, source)| SaveError::InDoubt { act, path: path.clone(), source })?;
        self.directory.check_saved(file, &path)?; // 3
        *slot = Slot { generation: save.generation, len: save.bytes.len() };
        slots.newest = target;
        Ok(())
    }

    /// Saves into a new file, with the two newest whole checkpoints of the old one.
    fn move_to_new_file(&mut self, save: &Save<'_>) -> Result<(), SaveError> {
        let path = self.path();
        let refused = |reason| {
            let (path, source) = (path.clone(), io::Error::other(reason));
            SaveError::NotSaved { act: "replace", path, source }
        };
        let old = self.read().map_err(|error| not_saved(error, &path))?;
        let (size, mut kept) = old.map(|(file, whole)| (file.size, whole)).unwrap_or_default();
        if size > 0 && kept.is_empty() {
            return Err(refused("none of its slots is whole: open the store again to recover"));
        }
        // Without it in the new file its damage would never be found, and a floor could rest on a
        // checkpoint that is gone.
        let newest = kept.first().map(|found| found.generation);
        if self.open.as_ref().is_some_and(|slots| newest != Some(slots.newest_generation())) {
            let reason =
                "its newest checkpoint is gone or damaged: open the store again to recover";
            return Err(refused(reason));
        }
        // It would be found in place of this save.
        if newest > Some(save.generation) {
            let reason = "it holds a newer checkpoint, which another store has written: open the \
                          store again to recover";
            return Err(refused(reason));
        }
        kept.truncate(SLOTS - 1);
        kept.reverse();
        let longest = kept.iter().map(|found| found.length).chain([save.bytes.len()]).max();
        let longest = longest.unwrap_or(0);
        let new_size =
            if size >= longest { size } else { (longest + longest / 2).next_multiple_of(PAGE) };
        let mut parts: Vec<Part<'_>> = kept.iter().map(|found| Part::Kept(*found, size)).collect();
        parts.push(Part::New(save));
        // Spare slots repeat another, so that zeros are always damage.
        while parts.len() < SLOTS {
            parts.insert(0, parts[0]);
        }
        let all = std::array::from_fn(|slot| parts[slot].slot());
        let page = first_page(self.store_id, new_size);
        let (temp, file) = self.directory.write_temp(&self.file, |disk, new| {
            new.append(&page)?;
            parts.iter().try_for_each(|part| part.append_to(new, disk, &path, new_size))
        })?; // 1 to 4
        self.directory.publish(&temp, &file, &path)?; // 5 to 8
        self.open = Some(Slots { file, size: new_size, all, newest: SLOTS - 1 });
        Ok(())
    }
}

impl<D: Disk> CheckpointStore for SlotStore<D> {
    fn store_id(&self) -> StoreId {
        self.store_id
    }

    fn load(&mut self) -> Result<Candidates<'_>, LoadError> {
        let Some((file, whole)) = self.read()? else {
            self.directory.check_fresh()?;
            return Ok(Box::new(std::iter::empty()));
        };
        Ok(Box::new(file.candidates(&whole, &self.directory.disk, self.path())))
    }

    fn save(&mut self, save: Save<'_>) -> Result<(), SaveError> {
        if self.poisoned {
            return Err(SaveError::Poisoned { path: self.directory.path.clone() });
        }
        self.directory.check_process()?;
        if let Some(base) = save.base {
            return Err(SaveError::other_base(self.path(), base));
        }
        // Until the opposite is known.
        self.poisoned = true;
        let saved = match self.open.as_ref().and_then(|slots| slots.target(&save)) {
            Some(target) => self.overwrite(&save, target),
            None => self.move_to_new_file(&save),
        };
        self.poisoned = saved.as_ref().is_err_and(SaveError::is_poisoning);
        saved
    }

    fn max_torn(&self) -> usize {
        1
    }
}

impl<D: Disk> fmt::Debug for SlotStore<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotStore")
            .field("dir", &self.directory.path)
            .field("store_id", &self.store_id)
            .field("poisoned", &self.poisoned)
            .finish_non_exhaustive()
    }
}

/// The offset of a slot.
fn offset(slot: usize, size: usize) -> usize {
    PAGE + slot * size
}

/// A slot file that cannot be read is never replaced.
fn not_saved(error: LoadError, slot_file: &Path) -> SaveError {
    match error {
        LoadError::Io { act, path, source } => SaveError::NotSaved { act, path, source },
        error => {
            let path = slot_file.to_owned();
            SaveError::NotSaved { act: "replace", path, source: error.into() }
        }
    }
}

/// Whether a file begins as a slot file of any version does.
pub(crate) fn is_slot_file(bytes: &[u8]) -> bool {
    bytes.starts_with(page::MAGIC.as_bytes())
}

/// The length that a slot file has by its first page; `None` if that is damaged.
pub(crate) fn slot_file_length(page: &[u8]) -> Option<usize> {
    FirstPage::of(page)?.size.checked_mul(SLOTS)?.checked_add(PAGE)
}

/// The newest whole envelope in the bytes of a slot file, of any store, and whether every slot is
/// whole. `None` also if the bytes are not exactly one file, as two were read.
pub(crate) fn newest_slot(bytes: &[u8]) -> Option<(&[u8], bool)> {
    let length = slot_file_length(bytes.get(..PAGE)?).filter(|length| *length == bytes.len())?;
    let slots = bytes.get(PAGE..)?.chunks_exact((length - PAGE) / SLOTS);
    let whole = slots.filter_map(|slot| {
        let (envelope, rest) = slot.split_at_checked(length_at(slot)?)?;
        let generation = header_of(envelope)?.generation;
        rest.iter().all(|byte| *byte == 0).then_some((generation, envelope))
    });
    let whole: Vec<_> = whole.collect();
    let (_, newest) = whole.iter().max_by_key(|(generation, _)| *generation)?;
    Some((newest, whole.len() == SLOTS))
}
