//! The chain of records in a slot: an envelope, then deltas, as their headers say.
//!
//! Behind each record its checksum is once more, the *closing checksum*. Headers are read without
//! payloads. A disk that has lost the beginning of a write shows the header of the record that was
//! there before, and the closing checksum shows that the rest is not of that record.

use std::io;

use super::page::PAGE;
use super::reader::{CHUNK, Reader, UNUSED};
use crate::envelope::{
    DELTA_HEADER, DeltaLine, HEADER_LENGTH, Link, UnsealError, WholeLine, digits_of,
};
use crate::ids::Generation;

/// A record begins at a multiple of this.
pub(super) const ALIGN: usize = 512;

/// The length of a closing checksum: a line of its own.
pub(super) const CLOSING: usize = 10;

/// The closing checksum of a record whose header has this checksum.
pub(super) fn closing(crc: u32) -> [u8; CLOSING] {
    let mut line = [b'\n'; CLOSING];
    line[1..CLOSING - 1].copy_from_slice(&digits_of(crc));
    line
}

/// A record whose header and closing checksum are right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) generation: Generation,
    /// Its offset in the slot, and its length.
    pub(super) at: usize,
    pub(super) length: usize,
    header_length: usize,
    /// The checksums of its header and of its payload.
    crc: u32,
    payload: u32,
}

impl Record {
    /// Where its closing checksum ends.
    pub(super) fn end(&self) -> usize {
        self.closing_at() + CLOSING
    }

    /// Where its closing checksum begins.
    pub(super) fn closing_at(&self) -> usize {
        self.at + self.length
    }

    /// Reads it in pieces, and gives each to `each`, its closing checksum too. Returns whether it
    /// is whole, and still the one whose header was read.
    pub(super) fn check<E>(
        &self,
        reader: &mut Reader<'_>,
        failed: impl Fn(io::Error) -> E,
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<bool, E> {
        let mut payload = 0;
        let mut at = self.at;
        while at < self.closing_at() {
            let piece = reader.bytes(at, CHUNK.min(self.closing_at() - at)).map_err(&failed)?;
            if piece.is_empty() {
                return Ok(false);
            }
            let rest = if at > self.at {
                piece
            } else {
                match piece.split_at_checked(self.header_length) {
                    Some((header, rest)) if self.is_header(header) => rest,
                    _ => return Ok(false),
                }
            };
            payload = crc32c::crc32c_append(payload, rest);
            each(piece)?;
            at += piece.len();
        }
        let closing = reader.bytes(at, CLOSING).map_err(&failed)?;
        each(closing)?;
        Ok(payload == self.payload && closing == self::closing(self.crc))
    }

    /// Whether its closing checksum is where it ends.
    fn is_closed(&self, reader: &mut Reader<'_>) -> io::Result<bool> {
        Ok(reader.bytes(self.closing_at(), CLOSING)? == closing(self.crc))
    }

    fn is_header(&self, header: &[u8]) -> bool {
        let checked = header.strip_suffix(b"\n").and_then(|h| h.strip_suffix(&digits_of(self.crc)));
        checked.is_some_and(|checked| crc32c::crc32c(checked) == self.crc)
    }
}

/// An envelope and the deltas that build on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) slot: usize,
    pub(super) envelope: Record,
    pub(super) deltas: Vec<Record>,
}

impl Chain {
    pub(super) fn last(&self) -> &Record {
        self.deltas.last().unwrap_or(&self.envelope)
    }

    /// Its last generation.
    pub(super) fn generation(&self) -> Generation {
        self.last().generation
    }

    /// Reads all of it, and gives the pieces to `each`, padding included. Returns how many deltas
    /// are whole up to the first that is not; `None` if the envelope is not.
    pub(super) fn check<E>(
        &self,
        reader: &mut Reader<'_>,
        failed: impl Fn(io::Error) -> E,
        mut each: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Option<usize>, E> {
        if !self.envelope.check(reader, &failed, &mut each)? {
            return Ok(None);
        }
        let mut end = self.envelope.end();
        for (i, delta) in self.deltas.iter().enumerate() {
            each(&[UNUSED; ALIGN][..delta.at - end])?;
            if !delta.check(reader, &failed, &mut each)? {
                return Ok(Some(i));
            }
            end = delta.end();
        }
        Ok(Some(self.deltas.len()))
    }

    /// The same, where bytes that cannot be read count as damaged.
    pub(super) fn whole_deltas(&self, reader: &mut Reader<'_>) -> Option<usize> {
        if !self.envelope.check(reader, |_| (), |_| Ok(())).unwrap_or(false) {
            return None;
        }
        let whole = |delta: &&Record| delta.check(reader, |_| (), |_| Ok(())).unwrap_or(false);
        Some(self.deltas.iter().take_while(whole).count())
    }

    /// The chain up to the first record that is not whole.
    pub(super) fn whole_part(mut self, reader: &mut Reader<'_>) -> Option<Self> {
        let deltas = self.whole_deltas(reader)?;
        self.deltas.truncate(deltas);
        Some(self)
    }
}

/// A slot whose headers were read.
pub(super) struct Looked {
    /// The records up to the first that is not right.
    pub(super) chain: Option<Chain>,
    /// If the slot is damaged, its first bytes, or what is wrong behind its chain.
    pub(super) damage: Option<io::Result<Vec<u8>>>,
}

/// Reads the headers of a slot, and whether all bytes between and after its records are unused.
pub(super) fn look_at(slot: usize, reader: &mut Reader<'_>) -> io::Result<Looked> {
    let size = reader.size;
    let head = reader.bytes(0, PAGE)?;
    let Some((whole, crc)) = WholeLine::of(head) else {
        // A slot of zeros is empty.
        let is_empty = head.iter().all(|byte| *byte == 0);
        let head = if is_empty { Vec::new() } else { head.to_vec() };
        return Ok(Looked { chain: None, damage: Some(Ok(head)) });
    };
    // Its first bytes may be all of an envelope, so what is wrong is said here.
    let damaged = |reason: UnsealError| {
        let reason = io::Error::new(io::ErrorKind::InvalidData, reason);
        Ok(Looked { chain: None, damage: Some(Err(reason)) })
    };
    let Some(length) = record_length(HEADER_LENGTH, whole.length, size) else {
        let found = size.saturating_sub(HEADER_LENGTH + CLOSING) as u64;
        return damaged(UnsealError::Length { expected: whole.length, found });
    };
    let mut link = Link::of(&whole, crc);
    let (generation, payload) = (link.generation, whole.payload);
    let header_length = HEADER_LENGTH;
    let envelope = Record { generation, at: 0, length, header_length, crc, payload };
    if !envelope.is_closed(reader)? {
        return damaged(UnsealError::Mixed);
    }
    let mut chain = Chain { slot, envelope, deltas: Vec::new() };
    let used = loop {
        let end = chain.last().end();
        let at = end.next_multiple_of(ALIGN);
        if let Some(used) = reader.first_used(end, at)? {
            break Some(used);
        }
        match delta_at(reader, at, &mut link)? {
            Some(delta) => chain.deltas.push(delta),
            None => break reader.first_used(at, size)?,
        }
    };
    let rest = |at| io::Error::new(io::ErrorKind::InvalidData, UnsealError::Rest { at });
    let damage = used.map(|at| Err(rest(at as u64)));
    Ok(Looked { chain: Some(chain), damage })
}

/// The delta at an offset, if its header is right and it builds on the `newest` record.
fn delta_at(reader: &mut Reader<'_>, at: usize, newest: &mut Link) -> io::Result<Option<Record>> {
    let size = reader.size;
    let Some((line, crc)) = DeltaLine::of(reader.bytes(at, DELTA_HEADER)?) else {
        return Ok(None);
    };
    let length = record_length(DELTA_HEADER, line.length, size - at);
    let Some(length) = length.filter(|_| newest.is_base_of(&line)) else {
        return Ok(None);
    };
    let mut next = newest.clone();
    next.follow(&line, crc);
    let (generation, payload) = (line.delta.header.generation, line.payload);
    let delta = Record { generation, at, length, header_length: DELTA_HEADER, crc, payload };
    if !delta.is_closed(reader)? {
        return Ok(None);
    }
    *newest = next;
    Ok(Some(delta))
}

/// The length of a record, if it has room in `room` bytes with its closing checksum.
fn record_length(header: usize, rest: u64, room: usize) -> Option<usize> {
    let length = usize::try_from(rest).ok()?.checked_add(header)?;
    length.checked_add(CLOSING).is_some_and(|sealed| sealed <= room).then_some(length)
}
