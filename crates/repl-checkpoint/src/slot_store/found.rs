//! A slot file whose headers were read: what is in each slot, and what is damaged.
//!
//! The payloads are not read: whether a chain is whole shows when it is taken.

use std::io;
use std::path::Path;

use super::chain::{Chain, Looked, look_at};
use super::page::{FirstPage, PAGE};
use super::reader::Reader;
use super::{SLOTS, offset};
use crate::disk::Disk;
use crate::envelope::{HEADER_LENGTH, WholeLine};
use crate::ids::StoreId;
use crate::store::{LoadError, SlotFileError};

/// A slot file whose headers were read.
pub(super) struct SlotFile {
    /// The first bytes of the first page, if that is damaged.
    pub(super) damaged_page: Option<Vec<u8>>,
    /// The length of one slot.
    pub(super) size: usize,
    /// Of each damaged slot its number, and its first bytes or what is wrong behind its chain.
    pub(super) damaged: Vec<(usize, io::Result<Vec<u8>>)>,
    /// The chain in each slot; in a damaged one, the part before the damage that is whole.
    pub(super) chains: Vec<Chain>,
}

impl SlotFile {
    /// Reads the file: its first page, and the headers in each slot.
    pub(super) fn read(disk: &impl Disk, path: &Path, store: StoreId) -> Result<Self, LoadError> {
        let failed = |source| LoadError::Io { act: "read", path: path.to_owned(), source };
        let slots = |reason| LoadError::Slots { path: path.to_owned(), reason };
        let length = disk.length(path).map_err(failed)?;
        let page = disk.read_at(path, 0, PAGE).map_err(failed)?;
        let (size, damaged_page) = layout(length, page, store).map_err(slots)?;
        let mut file = SlotFile { damaged_page, size, damaged: Vec::new(), chains: Vec::new() };
        for slot in 0..SLOTS {
            let mut reader = reader(disk, path, slot, size);
            let Looked { chain, damage } = look_at(slot, &mut reader).map_err(failed)?;
            // A torn slot counts once, so only what is whole of it goes on.
            let chain = match damage {
                None => chain,
                Some(_) => chain.and_then(|chain| chain.whole_part(&mut reader)),
            };
            file.chains.extend(chain);
            file.damaged.extend(damage.map(|damage| (slot, damage)));
        }
        if file.damaged_page.is_some() && file.chains.is_empty() {
            return Err(slots(SlotFileError::NothingWhole));
        }
        Ok(file)
    }
}

/// The store that a slot file says that it is of, first in its first page and then in its slots;
/// `None` if none of them is right.
pub(crate) fn store_of(disk: &impl Disk, path: &Path) -> io::Result<Option<StoreId>> {
    let page = disk.read_at(path, 0, PAGE)?;
    if let Some(page) = FirstPage::of(&page) {
        return Ok(Some(page.store));
    }
    let Ok((size, _)) = layout(disk.length(path)?, page, StoreId::UNNAMED) else {
        return Ok(None);
    };
    for slot in 0..SLOTS {
        let head = disk.read_at(path, offset(slot, size) as u64, HEADER_LENGTH)?;
        if let Some((line, _)) = WholeLine::of(&head) {
            return Ok(Some(line.header.store));
        }
    }
    Ok(None)
}

/// A reader of one slot of a file.
pub(super) fn reader<'a>(
    disk: &'a impl Disk,
    path: &'a Path,
    slot: usize,
    size: usize,
) -> Reader<'a> {
    let start = offset(slot, size);
    Reader::new(size, move |at, length| disk.read_at(path, (start + at) as u64, length))
}

/// The length of one slot, where the length of the file alone says it.
fn size_by_length(length: u64) -> Option<usize> {
    let of_slots = length.saturating_sub(PAGE as u64);
    let size = of_slots / SLOTS as u64;
    let fits = size > 0 && size.is_multiple_of(PAGE as u64) && size * SLOTS as u64 == of_slots;
    usize::try_from(size).ok().filter(|_| fits)
}

/// The length of one slot, and the beginning of the first page if it is damaged.
fn layout(
    length: u64,
    mut page: Vec<u8>,
    store: StoreId,
) -> Result<(usize, Option<Vec<u8>>), SlotFileError> {
    let Some(found) = FirstPage::of(&page) else {
        if let Some(version) = FirstPage::other_version(&page) {
            return Err(SlotFileError::Version { version });
        }
        // Too short for a header, so it is refused as damage whatever its bytes are.
        page.truncate(PAGE / 64);
        return Ok((size_by_length(length).ok_or(SlotFileError::NothingWhole)?, Some(page)));
    };
    if found.store != store {
        return Err(SlotFileError::OtherStore { expected: store, found: found.store });
    }
    let expected = (found.size as u64).checked_mul(SLOTS as u64);
    let expected = expected.and_then(|slots| slots.checked_add(PAGE as u64)).unwrap_or(u64::MAX);
    if expected != length {
        return Err(SlotFileError::Length { expected, found: length });
    }
    Ok((found.size, None))
}
