//! What a recovery finds in the bytes of a slot file, as docs/format.md says.

use std::ops::Range;

use repl_checkpoint::{Generation, OnCorrupt};

use crate::crash::layout::{PAGE, PAYLOAD, SLOTS, STORE_ID, UNUSED};
use crate::crash::records::{
    CLOSING, OF_DELTA, OF_ENVELOPE, checksum, closing, delta_at, envelope_length, kind,
    next_record, number,
};

/// The result of a recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// This generation, beside so many damaged ones.
    Found { generation: Generation, damaged: usize },
    /// An error.
    Refused,
}

/// What a recovery finds in a slot file of this store.
pub(super) fn outcome(file: &[u8], on_corrupt: OnCorrupt) -> Outcome {
    match newest(file) {
        Some((generation, damaged)) if damaged <= 1 || on_corrupt == OnCorrupt::FallBack => {
            Outcome::Found { generation, damaged }
        }
        _ => Outcome::Refused,
    }
}

/// The generation of the newest whole chain, and the number of damaged ones that count as newer.
fn newest(file: &[u8]) -> Option<(Generation, usize)> {
    let (size, is_page_damaged) = layout(file)?;
    let mut damaged = usize::from(is_page_damaged);
    let mut chains = Vec::new();
    for slot in file[PAGE..].chunks_exact(size) {
        let mut chain = Chain::of(slot);
        if chain.is_damaged {
            damaged += 1;
            chain.records.truncate(chain.whole());
        }
        chains.push(chain);
    }
    loop {
        chains.retain(|chain| !chain.records.is_empty());
        // Of equal ones the last slot counts.
        let newest = (0..chains.len()).max_by_key(|i| (chains[*i].generation(), *i))?;
        let chain = &mut chains[newest];
        let whole = chain.whole();
        if whole == chain.records.len() {
            return chain.is_of_this_store().then_some((chain.generation()?, damaged));
        }
        damaged += 1;
        chain.records.truncate(whole);
    }
}

/// The length of a slot, and whether the first page is damaged; `None` if the file is refused.
fn layout(file: &[u8]) -> Option<(usize, bool)> {
    let slots = file.len().checked_sub(PAGE)?;
    let size = slots / SLOTS;
    let is_even = size > 0 && size.is_multiple_of(PAGE) && size * SLOTS == slots;
    let page = &file[..PAGE];
    if !is_right(page) {
        return is_even.then_some((size, true));
    }
    (is_even && page.starts_with(first_line(size).as_bytes())).then_some((size, false))
}

/// The first line of this store's first page, up to its checksum.
fn first_line(size: usize) -> String {
    format!("repl-checkpoint slots v2 store={STORE_ID} slot={size:020} crc32c=")
}

/// Whether this is the first page of a store, whatever its version, store and length.
fn is_right(page: &[u8]) -> bool {
    let line = first_line(0).len();
    let digits = format!("{:08x}\n", crc32c::crc32c(&page[..line]));
    let rest = &page[line..];
    page.starts_with(b"repl-checkpoint slots v")
        && rest.starts_with(digits.as_bytes())
        && rest[digits.len()..].iter().all(|byte| *byte == 0)
}

/// A slot, by the headers and closing checksums of its records.
pub(super) struct Chain<'a> {
    slot: &'a [u8],
    records: Vec<Range<usize>>,
    pub(super) is_damaged: bool,
}

impl<'a> Chain<'a> {
    pub(super) fn of(slot: &'a [u8]) -> Self {
        let is_unused = |bytes: &[u8]| bytes.iter().all(|byte| *byte == UNUSED);
        let mut chain = Chain { slot, records: Vec::new(), is_damaged: true };
        let Some(envelope) = envelope(slot).filter(|record| is_closed(slot, record)) else {
            return chain;
        };
        let mut last = envelope.clone();
        chain.records.push(envelope);
        loop {
            let (end, next) = (last.end + CLOSING, next_record(last.end));
            let is_next = |delta: &Range<usize>| {
                is_unused(&slot[end..next])
                    && is_closed(slot, delta)
                    && builds_on(&slot[last.clone()], &slot[delta.clone()])
            };
            let Some(delta) = delta_at(slot, next).filter(is_next) else {
                chain.is_damaged = !is_unused(&slot[end..]);
                return chain;
            };
            last = delta.clone();
            chain.records.push(delta);
        }
    }

    /// The generation of its last record.
    pub(super) fn generation(&self) -> Option<Generation> {
        generation(&self.slot[self.records.last()?.clone()])
    }

    /// The number of records before the first whose payload is damaged.
    fn whole(&self) -> usize {
        let is_whole = |record: &&Range<usize>| {
            let record = &self.slot[(*record).clone()];
            let (header, fields) = kind(record);
            let crc = format!("{:08x}", crc32c::crc32c(&record[header..]));
            record[fields.payload.clone()] == *crc.as_bytes()
        };
        self.records.iter().take_while(is_whole).count()
    }

    fn is_of_this_store(&self) -> bool {
        let record = self.records.first().map(|record| &self.slot[record.clone()]);
        record.is_some_and(|record| record[OF_ENVELOPE.store] == *STORE_ID.to_string().as_bytes())
    }
}

/// The envelope at the start of a slot, if its header is right.
fn envelope(slot: &[u8]) -> Option<Range<usize>> {
    let header = slot.get(..PAYLOAD).filter(|h| h.starts_with(b"repl-checkpoint v2 codec="))?;
    let digits = format!("{:08x}\n", crc32c::crc32c(&header[..OF_ENVELOPE.checksum.start]));
    let end = envelope_length(slot).filter(|end| end + CLOSING <= slot.len())?;
    header.ends_with(digits.as_bytes()).then_some(0..end)
}

fn is_closed(slot: &[u8], record: &Range<usize>) -> bool {
    slot.get(record.end..record.end + CLOSING) == Some(&closing(&slot[record.clone()]))
}

/// Whether a delta builds on a record.
fn builds_on(record: &[u8], delta: &[u8]) -> bool {
    let (_, fields) = kind(record);
    delta[OF_DELTA.link] == *checksum(record)
        && number(delta, OF_DELTA.base) == generation(record)
        && delta[OF_DELTA.codec] == record[fields.codec.clone()]
        && delta[OF_DELTA.store] == record[fields.store.clone()]
}

fn generation(record: &[u8]) -> Option<Generation> {
    number(record, kind(record).1.generation.clone())
}
