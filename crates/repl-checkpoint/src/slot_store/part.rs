//! What goes into one slot of a new slot file.

use std::path::Path;

use super::found::{WholeSlot, read_slot};
use super::rotation::Slot;
use crate::directory::NewFile;
use crate::disk::Disk;
use crate::envelope::header_of;
use crate::store::{Save, SaveError};

#[derive(Clone, Copy)]
pub(super) enum Part<'a> {
    /// A checkpoint of the old file, and the length of a slot there.
    Kept(WholeSlot, usize),
    New(&'a Save<'a>),
}

impl Part<'_> {
    pub(super) fn slot(&self) -> Slot {
        match self {
            Part::Kept(found, _) => Slot { generation: found.generation, len: found.length },
            Part::New(save) => Slot { generation: save.generation, len: save.bytes.len() },
        }
    }

    /// Appends a slot of `size` bytes to the new file. One checkpoint at a time is in memory.
    pub(super) fn append_to<D: Disk>(
        &self,
        new: &mut NewFile<'_, D>,
        disk: &D,
        old: &Path,
        size: usize,
    ) -> Result<(), SaveError> {
        let length = match self {
            Part::New(save) => new.append(save.bytes).map(|()| save.bytes.len())?,
            Part::Kept(found, old_size) => {
                let failed =
                    |source| SaveError::NotSaved { act: "read", path: old.to_owned(), source };
                let bytes = read_slot(disk, old, found.slot, *old_size).map_err(failed)?;
                let generation = header_of(&bytes).map(|header| header.generation);
                if generation != Some(found.generation) {
                    let changed = "a slot changed while it was copied";
                    return Err(failed(std::io::Error::other(changed)));
                }
                new.append(&bytes).map(|()| bytes.len())?
            }
        };
        new.append_zeros((size - length) as u64)
    }
}
