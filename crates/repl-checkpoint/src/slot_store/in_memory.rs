//! A slot file that was read into memory, without a store.

use std::path::Path;

use super::SLOTS;
use super::chain::{Chain, look_at};
use super::page::{FirstPage, MAGIC, PAGE};
use super::pool::Pool;
use super::reader::Reader;
use crate::directory::names::{SLOT_FILE, of_slot_file};

/// The whole chains of a file.
#[derive(Debug, PartialEq)]
pub(crate) struct WholeChains<'a> {
    /// The newest first.
    pub(crate) chains: Vec<WholeChain<'a>>,
    /// Whether every slot is whole.
    pub(crate) is_all: bool,
}

#[derive(Debug, PartialEq)]
pub(crate) struct WholeChain<'a> {
    pub(crate) envelope: &'a [u8],
    /// Each is one record.
    pub(crate) deltas: Vec<&'a [u8]>,
}

/// Whether a file is a slot file of any version: by its first bytes, or by the names beside it, as
/// these bytes may be damaged.
pub(crate) fn is_slot_file(path: &Path, bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC.as_bytes()) || has_name_of_slots(path)
}

fn has_name_of_slots(path: &Path) -> bool {
    let Some(name) = path.file_name() else { return false };
    name == SLOT_FILE || path.with_file_name(of_slot_file(name).marker).exists()
}

/// The version of a slot file if it is another one.
pub(crate) fn other_slot_version(bytes: &[u8]) -> Option<String> {
    FirstPage::other_version(bytes.get(..PAGE)?)
}

/// The length that a slot file has by its first page; `None` if that is damaged.
pub(crate) fn slot_file_length(page: &[u8]) -> Option<usize> {
    FirstPage::of(page)?.size.checked_mul(SLOTS)?.checked_add(PAGE)
}

/// The whole chains in the bytes of a slot file, of any store, as a recovery takes them. `None` if the
/// bytes are not exactly one file, as two were read.
pub(crate) fn whole_chains(bytes: &[u8]) -> Option<WholeChains<'_>> {
    let length = slot_file_length(bytes.get(..PAGE)?).filter(|length| *length == bytes.len())?;
    let size = (length - PAGE) / SLOTS;
    let slots: Vec<&[u8]> = bytes.get(PAGE..)?.chunks_exact(size).collect();
    let mut is_all = true;
    let mut whole = [None; SLOTS];
    let mut found = Vec::new();
    for (i, slot) in slots.iter().enumerate() {
        let looked = look_at(i, &mut reader(slot)).ok()?;
        is_all &= looked.damage.is_none();
        let Some(mut chain) = looked.chain else { continue };
        let deltas = chain.whole_deltas(&mut reader(slot));
        is_all &= deltas == Some(chain.deltas.len());
        *whole.get_mut(i)? = deltas;
        if looked.damage.is_some() {
            // As in a recovery.
            let Some(deltas) = deltas else { continue };
            chain.deltas.truncate(deltas);
        }
        found.push(chain);
    }
    let mut pool = Pool::new(found);
    let mut chains = Vec::new();
    while let Some(chain) = pool.take() {
        let deltas = *whole.get(chain.slot)?;
        let Some(Chain { slot, envelope, deltas }) = pool.settle(chain, deltas) else { continue };
        let slot = slots.get(slot)?;
        let deltas = deltas.iter().map(|delta| slot.get(delta.at..delta.closing_at()));
        let deltas = deltas.collect::<Option<_>>()?;
        chains.push(WholeChain { envelope: slot.get(..envelope.length)?, deltas });
    }
    Some(WholeChains { chains, is_all })
}

fn reader(slot: &[u8]) -> Reader<'_> {
    Reader::new(slot.len(), |at, length| {
        let from = slot.get(at..).unwrap_or_default();
        Ok(from[..length.min(from.len())].to_vec())
    })
}
