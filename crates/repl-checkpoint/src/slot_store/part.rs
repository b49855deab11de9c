//! What goes into one slot of a new slot file.

use std::io;
use std::path::Path;

use super::chain::{Chain, closing};
use super::found::reader;
use super::rotation::Slot;
use crate::directory::NewFile;
use crate::disk::Disk;
use crate::store::{Save, SaveError};

#[derive(Clone, Copy)]
pub(super) enum Part<'a> {
    /// A chain of the old file, and the length of a slot there.
    Kept(&'a Chain, usize),
    New(&'a Save<'a>),
}

impl Part<'_> {
    pub(super) fn slot(&self) -> Slot {
        match self {
            Part::Kept(chain, _) => Slot::found(chain.generation(), chain.last().end()),
            Part::New(save) => Slot::saved(save),
        }
    }

    /// Appends a slot of `size` bytes to the new file. A kept chain is copied in pieces.
    pub(super) fn append_to<D: Disk>(
        &self,
        new: &mut NewFile<'_, D>,
        disk: &D,
        old: &Path,
        size: usize,
    ) -> Result<(), SaveError> {
        let length = match self {
            Part::New(save) => {
                let slot = Slot::saved(save);
                new.append(save.bytes)?;
                new.append(&closing(slot.crc()))?;
                slot.end
            }
            Part::Kept(chain, old_size) => {
                let failed =
                    |source| SaveError::NotSaved { act: "read", path: old.to_owned(), source };
                let mut reader = reader(disk, old, chain.slot, *old_size);
                let copied = chain.check(&mut reader, failed, |piece| new.append(piece))?;
                if copied != Some(chain.deltas.len()) {
                    return Err(failed(io::Error::other("a slot changed while it was copied")));
                }
                chain.last().end()
            }
        };
        new.append_unused((size - length) as u64)
    }
}
