//! The records in a slot, found by their bytes alone: docs/format.md.

use std::ops::Range;

use repl_checkpoint::{Candidate, Generation, Header};

use super::layout::{PAYLOAD, STORE_ID, UNUSED, slot_file};
use super::padded::PLAIN;

/// A delta record begins at a multiple of this.
pub(crate) const ALIGN: usize = 512;
/// The bytes of the header of a delta.
pub(crate) const DELTA: usize = 272;
/// The bytes of the closing checksum behind a record: a line feed, 8 digits, a line feed.
pub(crate) const CLOSING: usize = 10;
/// What a delta begins with.
const MAGIC: &[u8] = b"repl-checkpoint delta v2 ";
/// Fields in the header of an envelope.
pub(crate) const OF_ENVELOPE: Fields = Fields {
    codec: 25..33,
    store: 40..72,
    generation: 84..104,
    base: 0..0,
    link: 0..0,
    removed: 0..0,
    length: 143..163,
    payload: 172..180,
    checksum: 188..196,
};
/// Fields in the header of a delta.
pub(crate) const OF_DELTA: Fields = Fields {
    codec: 31..39,
    store: 46..78,
    generation: 90..110,
    base: 147..167,
    link: 173..181,
    removed: 190..210,
    length: 218..238,
    payload: 247..255,
    checksum: 263..271,
};

/// Where the values of a header are; those that it lacks are empty.
pub(crate) struct Fields {
    pub(crate) codec: Range<usize>,
    pub(crate) store: Range<usize>,
    pub(crate) generation: Range<usize>,
    pub(crate) base: Range<usize>,
    pub(crate) link: Range<usize>,
    pub(crate) removed: Range<usize>,
    pub(crate) length: Range<usize>,
    pub(crate) payload: Range<usize>,
    pub(crate) checksum: Range<usize>,
}

pub(crate) fn is_delta(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// The number in a field.
pub(crate) fn number(record: &[u8], field: Range<usize>) -> Option<u64> {
    std::str::from_utf8(record.get(field)?).ok()?.parse().ok()
}

/// The length of the envelope at the start of a slot, by its header.
pub(crate) fn envelope_length(slot: &[u8]) -> Option<usize> {
    usize::try_from(number(slot, OF_ENVELOPE.length)?).ok()?.checked_add(PAYLOAD)
}

/// The digits of the checksum in the header of an envelope or a delta.
pub(crate) fn checksum(record: &[u8]) -> &[u8] {
    record.get(kind(record).1.checksum.clone()).unwrap_or_default()
}

/// The length of a record's header, and its fields.
pub(crate) fn kind(record: &[u8]) -> (usize, &'static Fields) {
    if is_delta(record) { (DELTA, &OF_DELTA) } else { (PAYLOAD, &OF_ENVELOPE) }
}

/// The delta whose header is at an offset and right.
pub(crate) fn delta_at(slot: &[u8], at: usize) -> Option<Range<usize>> {
    let header = slot.get(at..at.checked_add(DELTA)?).filter(|header| is_delta(header))?;
    let checked = &header[..OF_DELTA.checksum.start];
    let digits = format!("{:08x}", crc32c::crc32c(checked));
    let length = usize::try_from(number(header, OF_DELTA.length)?).ok()?.checked_add(DELTA)?;
    let end = at.checked_add(length).filter(|end| end + CLOSING <= slot.len())?;
    header.ends_with(format!("{digits}\n").as_bytes()).then_some(at..end)
}

/// The closing checksum of a record.
pub(crate) fn closing(record: &[u8]) -> Vec<u8> {
    [b"\n", checksum(record), b"\n"].concat()
}

/// Where the next record begins after one that ends here, its closing checksum not counted.
pub(crate) fn next_record(end: usize) -> usize {
    (end + CLOSING).next_multiple_of(ALIGN)
}

/// A record with its closing checksum.
pub(crate) fn closed(record: &Range<usize>) -> Range<usize> {
    record.start..record.end + CLOSING
}

/// The envelope and the deltas behind it, whether or not they are linked.
pub(crate) fn records(slot: &[u8]) -> Vec<Range<usize>> {
    let Some(end) = envelope_length(slot).filter(|end| end + CLOSING <= slot.len()) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    all.push(0..end);
    let mut at = next_record(end);
    while let Some(delta) = delta_at(slot, at) {
        at = next_record(delta.end);
        all.push(delta);
    }
    all
}

/// Seals the header of a delta again, after a change to its fields: its checksum, and the closing
/// one if that is there.
pub(crate) fn put_checksum(delta: &mut [u8]) {
    let crc = crc32c::crc32c(&delta[..OF_DELTA.checksum.start]);
    let digits = format!("{crc:08x}");
    delta[OF_DELTA.checksum].copy_from_slice(digits.as_bytes());
    let length = number(delta, OF_DELTA.length).and_then(|length| usize::try_from(length).ok());
    let end = length.and_then(|length| length.checked_add(DELTA)).unwrap_or(delta.len());
    if let Some(closing) = delta.get_mut(end + 1..).and_then(|rest| rest.get_mut(..digits.len())) {
        closing.copy_from_slice(digits.as_bytes());
    }
}

/// The header of the newest record in a slot, if all of them are whole.
pub(crate) fn header_of(slot: &[u8]) -> Option<Header> {
    let mut records = records(slot).into_iter().map(|record| slot[record].to_vec());
    let bytes = Ok(records.next()?);
    let candidate =
        Candidate { path: slot_file(), generation: None, bytes, deltas: records.collect() };
    candidate.unseal(&PLAIN, STORE_ID).ok().map(|(header, _)| header)
}

/// The same delta as a record of another store.
pub(crate) fn in_store(delta: &[u8], store: u128) -> Vec<u8> {
    let mut other = delta.to_vec();
    other[OF_DELTA.store].copy_from_slice(format!("{store:032x}").as_bytes());
    put_checksum(&mut other);
    other
}

/// The newest generation in a slot, if all of its records are whole and all other bytes unused.
pub(crate) fn generation_of(slot: &[u8]) -> Option<Generation> {
    let mut end = 0;
    for record in records(slot) {
        if slot[end..record.start].iter().any(|byte| *byte != UNUSED) {
            return None;
        }
        end = record.end + CLOSING;
        if *slot.get(record.end..end)? != closing(&slot[record]) {
            return None;
        }
    }
    if slot[end..].iter().any(|byte| *byte != UNUSED) {
        return None;
    }
    header_of(slot).map(|header| header.generation)
}
