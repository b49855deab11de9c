//! What goes into one slot of a new slot file.

use std::path::Path;

use super::found::{WholeSlot, look_at_slot};
use super::rotation::Slot;
use crate::directory::NewFile;
use crate::disk::Disk;
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

    /// Appends a slot of `size` bytes to the new file. A kept checkpoint is copied in pieces.
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
                let append = |piece: &[u8]| new.append(piece);
                let copied = look_at_slot(disk, old, found.slot, *old_size, failed, append)?;
                if copied != Some(*found) {
                    let changed = "a slot changed while it was copied";
                    return Err(failed(std::io::Error::other(changed)));
                }
                found.length
            }
        };
        new.append_zeros((size - length) as u64)
    }
}
