//! The two ways to save: in place, and into a new file.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use super::chain::{ALIGN, CLOSING, Chain, closing};
use super::found::{SlotFile, reader};
use super::page::{PAGE, first_page};
use super::part::Part;
use super::pool::Pool;
use super::reader::UNUSED;
use super::rotation::{Slot, Slots};
use super::{SLOTS, SlotStore, offset};
use crate::directory::{Directory, all_written};
use crate::disk::Disk;
use crate::store::{LoadError, Save, SaveError};

/// The most room for deltas that is longer than half of the checkpoint.
const MOST_EXTRA: usize = 128 * 1024;

/// What is written into a slot.
struct InPlace<'a> {
    slot: usize,
    /// The offset in the slot.
    at: usize,
    bytes: &'a [u8],
    /// With the unused bytes that follow.
    length: usize,
    /// The slot after it.
    after: Slot,
}

impl<D: Disk> SlotStore<D> {
    /// Saves a whole checkpoint in place: over T, and over what is longer there.
    pub(super) fn overwrite(&mut self, save: &Save<'_>, slot: usize) -> Result<(), SaveError> {
        let Some(slots) = &mut self.open else { return self.move_to_new_file(save) };
        let after = Slot::saved(save);
        let length = after.end.max(slots.all[slot].end).next_multiple_of(PAGE);
        let write = InPlace { slot, at: 0, bytes: save.bytes, length, after };
        write.run(&self.directory, slots, &mut self.buffer, &self.file)
    }

    /// Saves a delta: appends it to P.
    pub(super) fn append(
        &mut self,
        save: &Save<'_>,
        slot: usize,
        after: Slot,
    ) -> Result<(), SaveError> {
        let Some(slots) = &mut self.open else {
            return Err(SaveError::other_base(self.path(), save.base.unwrap_or_default()));
        };
        let at = slots.all[slot].next_delta();
        let length = (save.bytes.len() + CLOSING).next_multiple_of(ALIGN);
        let write = InPlace { slot, at, bytes: save.bytes, length, after };
        write.run(&self.directory, slots, &mut self.buffer, &self.file)
    }

    /// Saves into a new file, with the two newest whole chains of the old one.
    pub(super) fn move_to_new_file(&mut self, save: &Save<'_>) -> Result<(), SaveError> {
        let path = self.path();
        let refused = |reason| {
            let (path, source) = (path.clone(), io::Error::other(reason));
            SaveError::NotSaved { act: "replace", path, source }
        };
        let old = self.read().map_err(|error| not_saved(error, &path))?;
        let size = old.as_ref().map_or(0, |file| file.size);
        let kept = self.newest_whole(old, &path)?;
        if size > 0 && kept.is_empty() {
            return Err(refused("none of its slots is whole: open the store again to recover"));
        }
        // Without it in the new file its damage would never be found, and a floor could rest on a
        // checkpoint that is gone.
        let newest = kept.first().map(Chain::generation);
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
        let length = save.bytes.len() + CLOSING;
        // A kept chain fits the old size.
        let new_size = if size >= length { size } else { slot_size(length) };
        let mut parts: Vec<Part<'_>> =
            kept.iter().rev().map(|chain| Part::Kept(chain, size)).collect();
        parts.push(Part::New(save));
        // Spare slots repeat another, so that a slot without a checkpoint is always damage.
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
        self.open = Some(Slots { file, size: new_size, all });
        Ok(())
    }

    /// The two highest chains that are whole, the newest first. Reads their payloads.
    fn newest_whole(&self, file: Option<SlotFile>, path: &Path) -> Result<Vec<Chain>, SaveError> {
        let Some(file) = file else { return Ok(Vec::new()) };
        let failed = |source| SaveError::NotSaved { act: "read", path: path.to_owned(), source };
        let mut chains = Pool::new(file.chains);
        let mut whole = Vec::new();
        while whole.len() < SLOTS - 1
            && let Some(chain) = chains.take()
        {
            let mut reader = reader(&self.directory.disk, path, chain.slot, file.size);
            let deltas = chain.check(&mut reader, failed, |_| Ok(()))?;
            whole.extend(chains.settle(chain, deltas));
        }
        Ok(whole)
    }
}

/// The length of a slot for a record of `length` bytes, with room to grow and for deltas.
///
/// A few pages get room for some hundred deltas, as each time that there is none left a whole
/// checkpoint is written, which takes several times as long as a delta.
fn slot_size(length: usize) -> usize {
    let pages = length.saturating_sub(PAGE).saturating_mul(4).min(MOST_EXTRA);
    (length + pages.max(length / 2)).next_multiple_of(PAGE)
}

impl InPlace<'_> {
    /// Save steps 1 to 4.
    fn run<D: Disk>(
        self,
        directory: &Directory<D>,
        slots: &mut Slots<D::File>,
        buffer: &mut Vec<u8>,
        file_name: &OsStr,
    ) -> Result<(), SaveError> {
        buffer.clear();
        buffer.extend_from_slice(self.bytes);
        buffer.extend_from_slice(&closing(self.after.crc()));
        buffer.resize(self.length, UNUSED);
        let (disk, file) = (&directory.disk, &slots.file);
        let start = offset(self.slot, slots.size) + self.at;
        let in_doubt = |act, source| {
            let path = directory.path.join(file_name);
            SaveError::InDoubt { act, path, source }
        };
        all_written(buffer, |rest, taken| disk.write_at(file, (start + taken) as u64, rest)) // 1
            .map_err(|source| in_doubt("write a slot of", source))?;
        disk.begin_sync(file, start as u64, buffer.len());
        directory.check_owned()?; // 2
        disk.sync_data(file).map_err(|source| in_doubt("sync", source))?; // 3
        directory.check_file(file, file_name)?; // 4
        slots.all[self.slot] = self.after;
        Ok(())
    }
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
