//! A delta record: one header line of fixed width, the ids of removed shards, then the codec's
//! bytes of a checkpoint of the changed shards alone.
//!
//! ```text
//! repl-checkpoint delta v2 codec=json     store=<32 hex digits> generation=<20 digits>
//!     confirmed=<20 digits> base=<20 digits> link=<8 hex digits> removed=<20 digits>
//!     length=<20 digits> payload=<8 hex digits> crc32c=<8 hex digits>
//! ```
//! `crc32c` covers the header up to its own digits, and `payload` all bytes after the header.
//! `link` is the `crc32c` of the record that the delta builds on.

use repl_core::ShardId;

use super::line::{Fields, ID_LINE, Line, id_line, id_of, name_of};
use super::{DeltaError, Header, SealError, VERSION, WholeLine, check_payload, encoded};
use crate::checkpoint::Rows;
use crate::codec::Codec;
use crate::ids::{Generation, StoreId};

const MAGIC: &str = "repl-checkpoint delta v";
/// The bytes of the header line.
pub(crate) const DELTA_HEADER: usize = 272;

/// Most rows take less.
const SHORT_ROW: usize = 64;

/// The identity of a delta, and of the generation that it builds on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct DeltaHeader {
    /// Its store and generations.
    pub header: Header,
    /// The generation that it builds on.
    pub base: Generation,
    /// The checksum in the header of that generation: [`DeltaBase::link`](crate::DeltaBase::link).
    pub link: u32,
}

/// The fields of the header line of a delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeltaLine<'a> {
    pub(crate) codec: &'a str,
    pub(crate) delta: DeltaHeader,
    /// The number of removed shards.
    pub(crate) removed: u64,
    /// The number of bytes after the header.
    pub(crate) length: u64,
    /// The checksum of these bytes.
    pub(crate) payload: u32,
}

/// What the next delta of a chain builds on: the newest record of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) codec: String,
    pub(crate) store: StoreId,
    pub(crate) generation: Generation,
    /// The checksum of its header.
    pub(crate) crc: u32,
}

impl Link {
    /// An envelope of this header and checksum.
    pub(crate) fn of(line: &WholeLine<'_>, crc: u32) -> Self {
        let Header { store, generation, .. } = line.header;
        Link { codec: line.codec.to_owned(), store, generation, crc }
    }

    /// Whether a delta builds on this record.
    pub(crate) fn is_base_of(&self, line: &DeltaLine<'_>) -> bool {
        let DeltaHeader { header, base, link } = line.delta;
        line.codec == self.codec
            && (header.store, base, link) == (self.store, self.generation, self.crc)
    }

    /// Moves on to a delta.
    pub(crate) fn follow(&mut self, line: &DeltaLine<'_>, crc: u32) {
        (self.generation, self.crc) = (line.delta.header.generation, crc);
    }
}

/// A delta record that passes the checks of its bytes.
pub(crate) struct SealedDelta<'a> {
    pub(crate) line: DeltaLine<'a>,
    /// The checksum of the header.
    pub(crate) crc: u32,
    /// Ascending.
    pub(crate) removed: Vec<ShardId>,
    pub(crate) payload: &'a [u8],
}

impl<'a> SealedDelta<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Result<Self, DeltaError> {
        let (line, crc) = DeltaLine::of(bytes).ok_or(DeltaError::Header)?;
        let rest = &bytes[DELTA_HEADER..];
        check_payload(rest, line.length, line.payload)?;
        let ids = usize::try_from(line.removed).ok().and_then(|ids| ids.checked_mul(ID_LINE));
        let split = ids.and_then(|ids| rest.split_at_checked(ids));
        let (ids, payload) = split.ok_or(DeltaError::RemovedIds)?;
        let removed: Option<Vec<ShardId>> = ids.chunks(ID_LINE).map(id_of).collect();
        let ascends = |ids: &Vec<ShardId>| ids.windows(2).all(|pair| pair[0] < pair[1]);
        let removed = removed.filter(ascends).ok_or(DeltaError::RemovedIds)?;
        Ok(SealedDelta { line, crc, removed, payload })
    }
}

impl<'a> DeltaLine<'a> {
    /// The header at the beginning of `bytes` and its checksum; `None` unless it is byte for byte
    /// what rendering its fields gives.
    pub(crate) fn of(bytes: &'a [u8]) -> Option<(Self, u32)> {
        let rendered = bytes.get(..DELTA_HEADER)?;
        let mut fields = Fields::after(rendered, MAGIC, VERSION)?;
        let codec = fields.codec()?;
        let store = fields.store()?;
        let generation = fields.number(" generation=")?;
        let confirmed = fields.number(" confirmed=")?;
        let header = Header { store, generation, confirmed };
        let base = fields.number(" base=")?;
        let link = fields.checksum(" link=")?;
        let delta = DeltaHeader { header, base, link };
        let removed = fields.number(" removed=")?;
        let length = fields.number(" length=")?;
        let payload = fields.checksum(" payload=")?;
        let crc = fields.end()?;
        let found = DeltaLine { codec, delta, removed, length, payload };
        let is_in_order = header.is_in_order() && base < generation;
        let has_removed = removed.checked_mul(ID_LINE as u64).is_some_and(|ids| ids <= length);
        (is_in_order && has_removed).then_some((found, crc))
    }

    /// The header line, and its checksum.
    fn render(&self) -> ([u8; DELTA_HEADER], u32) {
        let mut line = Line::new(MAGIC, VERSION);
        line.codec(self.codec);
        line.store(self.delta.header.store);
        line.number(" generation=", self.delta.header.generation);
        line.number(" confirmed=", self.delta.header.confirmed);
        line.number(" base=", self.delta.base);
        line.checksum(" link=", self.delta.link);
        line.number(" removed=", self.removed);
        line.number(" length=", self.length);
        line.checksum(" payload=", self.payload);
        line.finished()
    }
}

impl Rows<'_> {
    /// Encodes the rows that are left with `codec` and seals them as a delta record: what
    /// [`Save::bytes`](crate::Save::bytes) holds beside a [`Save::base`](crate::Save::base).
    ///
    /// The rows are the shards that have changed since the generation that it builds on. `removed`
    /// are those that it holds and this one does not, ascending.
    ///
    /// # Errors
    /// [`SealError`]: nothing is sealed that no reader accepts.
    pub fn seal_delta(
        self,
        codec: &dyn Codec,
        delta: DeltaHeader,
        removed: &[ShardId],
    ) -> Result<Vec<u8>, SealError> {
        let name = name_of(codec)?;
        delta.header.check_order()?;
        if delta.base >= delta.header.generation {
            let (generation, base) = (delta.header.generation, delta.base);
            return Err(SealError::Base { generation, base });
        }
        self.check_removed(removed)?;
        let rows = (self.len() + 1) * SHORT_ROW;
        let mut bytes = Vec::with_capacity(DELTA_HEADER + removed.len() * ID_LINE + rows);
        bytes.resize(DELTA_HEADER, b' ');
        for shard in removed {
            bytes.extend_from_slice(&id_line(*shard));
        }
        encoded(self, codec, &mut bytes)?;
        let rest = bytes.get(DELTA_HEADER..).unwrap_or_default();
        let line = DeltaLine {
            codec: name,
            delta,
            removed: removed.len() as u64,
            length: rest.len() as u64,
            payload: crc32c::crc32c(rest),
        };
        bytes[..DELTA_HEADER].copy_from_slice(&line.render().0);
        Ok(bytes)
    }

    /// Checks that ids of removed shards ascend, and that none of them has a row.
    fn check_removed(&self, removed: &[ShardId]) -> Result<(), SealError> {
        if let Some(pair) = removed.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(SealError::Removed { shard: pair[1] });
        }
        if removed.is_empty() {
            return Ok(());
        }
        let mut rows = self.clone();
        while let Some(row) = rows.next() {
            if removed.binary_search(&row.shard).is_ok() {
                return Err(SealError::Removed { shard: row.shard });
            }
        }
        Ok(())
    }
}
