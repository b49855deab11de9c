//! A slot file that was read into memory, without a store.

use super::SLOTS;
use super::chain::{Chain, look_at};
use super::page::{FirstPage, MAGIC, PAGE};
use super::pool::Pool;
use super::reader::Reader;

/// The newest whole chain of a file.
#[derive(Debug, PartialEq)]
pub(crate) struct NewestChain<'a> {
    pub(crate) envelope: &'a [u8],
    /// Each is one record.
    pub(crate) deltas: Vec<&'a [u8]>,
    /// Whether every slot is whole.
    pub(crate) all_whole: bool,
}

/// Whether a file begins as a slot file of any version does.
pub(crate) fn is_slot_file(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC.as_bytes())
}

/// The version of a slot file if it is another one.
pub(crate) fn other_slot_version(bytes: &[u8]) -> Option<String> {
    FirstPage::other_version(bytes.get(..PAGE)?)
}

/// The length that a slot file has by its first page; `None` if that is damaged.
pub(crate) fn slot_file_length(page: &[u8]) -> Option<usize> {
    FirstPage::of(page)?.size.checked_mul(SLOTS)?.checked_add(PAGE)
}

/// The newest whole chain in the bytes of a slot file, of any store. `None` also if the bytes are
/// not exactly one file, as two were read.
pub(crate) fn newest_chain(bytes: &[u8]) -> Option<NewestChain<'_>> {
    let length = slot_file_length(bytes.get(..PAGE)?).filter(|length| *length == bytes.len())?;
    let size = (length - PAGE) / SLOTS;
    let slots: Vec<&[u8]> = bytes.get(PAGE..)?.chunks_exact(size).collect();
    let mut all_whole = true;
    let mut chains = Vec::new();
    for (i, slot) in slots.iter().enumerate() {
        let looked = look_at(i, &mut reader(slot)).ok()?;
        all_whole &= looked.damage.is_none();
        let Some(mut chain) = looked.chain else { continue };
        let whole = chain.whole_deltas(&mut reader(slot));
        all_whole &= whole == Some(chain.deltas.len());
        if let Some(deltas) = whole {
            chain.deltas.truncate(deltas);
            chains.push(chain);
        }
    }
    let Chain { slot, envelope, deltas } = Pool::new(chains).take()?;
    let slot = slots.get(slot)?;
    let deltas = deltas.iter().map(|delta| slot.get(delta.at..delta.closing_at()));
    Some(NewestChain {
        envelope: slot.get(..envelope.length)?,
        deltas: deltas.collect::<Option<_>>()?,
        all_whole,
    })
}

fn reader(slot: &[u8]) -> Reader<'_> {
    Reader::new(slot.len(), |at, length| {
        let from = slot.get(at..).unwrap_or_default();
        Ok(from[..length.min(from.len())].to_vec())
    })
}
