//! What is in a slot, according to docs/format.md.

use crate::chains::{Link, is_whole};
use crate::format::{ALIGN, CLOSING, DELTA_HEADER, HEADER, PAGE, closing, header_in};

pub(crate) const UNUSED: u8 = 0xff;

/// What is in a slot.
#[derive(Default)]
pub(crate) struct Slot {
    /// The first bytes of a slot without a right header, or nothing if something else is damaged;
    /// `None` if nothing is.
    pub(crate) damaged: Option<Vec<u8>>,
    /// The envelope, and the deltas of its chain.
    pub(crate) records: Vec<Vec<u8>>,
    /// The generation of each.
    pub(crate) generations: Vec<u64>,
}

impl Slot {
    pub(crate) fn of(slot: &[u8]) -> Self {
        let mut found = Slot::default();
        let Some(mut link) = Link::of(slot) else {
            let is_empty = slot[..PAGE].iter().all(|byte| *byte == 0);
            found.damaged = Some(if is_empty { Vec::new() } else { slot[..PAGE].to_vec() });
            return found;
        };
        let payload = header_in(slot).map_or(0, |header| header.length);
        let Some(mut length) = closed_length(slot, HEADER, payload, link.crc) else {
            found.damaged = Some(Vec::new());
            return found;
        };
        let mut start = 0;
        let end = loop {
            found.records.push(slot[start..start + length].to_vec());
            found.generations.push(link.generation);
            let end = start + length + CLOSING;
            let next = end.next_multiple_of(ALIGN);
            let rest = &slot[next..];
            let delta = link.then(rest).filter(|_| is_unused(&slot[end..next]));
            let Some((delta, payload, _)) = delta else { break end };
            let Some(more) = closed_length(rest, DELTA_HEADER, payload, delta.crc) else {
                break end;
            };
            (link, start, length) = (delta, next, more);
        };
        found.damaged = (!is_unused(&slot[end..])).then(Vec::new);
        found
    }

    /// The number of deltas.
    pub(crate) fn all(&self) -> Option<usize> {
        self.records.len().checked_sub(1)
    }

    /// The number of deltas before the first damaged one; `None` if the envelope is damaged.
    pub(crate) fn whole(&self) -> Option<usize> {
        self.records.iter().take_while(|record| is_whole(record)).count().checked_sub(1)
    }
}

fn is_unused(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == UNUSED)
}

/// The length of the record at the beginning of `bytes`, if its closing checksum is behind it.
fn closed_length(bytes: &[u8], header: usize, payload: u64, crc: u32) -> Option<usize> {
    let length = usize::try_from(payload).ok()?.checked_add(header)?;
    let found = bytes.get(length..length.checked_add(CLOSING)?)?;
    (found == closing(crc)).then_some(length)
}
