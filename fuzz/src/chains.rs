//! Chains of an envelope and deltas, as docs/format.md has them: one delta is applied after the
//! other to a map of all shards.

use std::collections::BTreeMap;

use repl_checkpoint::{Checkpoint, Codec, Generation, ShardCheckpoint, StoreId};
use repl_core::ShardId;

use crate::checkpoints::is_valid;
use crate::choices::Choices;
use crate::expected::Holds;
use crate::format::{DELTA_HEADER, HEADER, delta_in, header_in};
use crate::planted::planted;
use crate::records::delta;

/// What the next delta builds on.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) codec: String,
    pub(crate) store: StoreId,
    pub(crate) generation: Generation,
    pub(crate) crc: u32,
}

impl Link {
    /// The header of an envelope.
    pub(crate) fn of(envelope: &[u8]) -> Option<Self> {
        let found = header_in(envelope)?;
        let (codec, store) = (found.codec, found.store);
        Some(Link { codec, store, generation: found.generation, crc: found.crc })
    }

    /// The header of a delta on this one, with the length of the record.
    pub(crate) fn then(&self, record: &[u8]) -> Option<(Self, u64, u32)> {
        let (delta, length, payload, crc) = delta_in(record)?;
        let (codec, store) = (delta.codec, delta.store);
        let is_next = codec == self.codec
            && (store, delta.base, delta.link) == (self.store, self.generation, self.crc);
        let next = Link { codec, store, generation: delta.generation, crc };
        is_next.then_some((next, length, payload))
    }
}

/// What a chain holds: its deltas applied one after the other to a map of all shards.
pub(crate) fn holds(codec: &dyn Codec, envelope: &[u8], deltas: &[Vec<u8>]) -> Holds {
    let whole = Holds::of(envelope, codec);
    let (Holds::Whole(_, checkpoint), Some(link)) = (&whole, Link::of(envelope)) else {
        return whole;
    };
    match applied(codec, link, checkpoint, deltas) {
        Some((generation, checkpoint)) => Holds::Whole(generation, Box::new(checkpoint)),
        None => Holds::Corrupt,
    }
}

fn applied(
    codec: &dyn Codec,
    mut link: Link,
    whole: &Checkpoint,
    deltas: &[Vec<u8>],
) -> Option<(Generation, Checkpoint)> {
    let mut next = whole.next_incarnation;
    let mut shards: BTreeMap<ShardId, ShardCheckpoint> =
        whole.shards.iter().map(|row| (row.shard, row.clone())).collect();
    // The last row of each shard, also of one that is removed.
    let mut seen: BTreeMap<ShardId, ShardCheckpoint> = shards.clone();
    for record in deltas {
        let (after, length, payload) = link.then(record)?;
        let rest = &record[DELTA_HEADER..];
        if rest.len() as u64 != length || crc32c::crc32c(rest) != payload {
            return None;
        }
        let (delta, ..) = delta_in(record)?;
        let (ids, rest) = rest.split_at_checked(usize::try_from(delta.removed).ok()? * 21)?;
        let removed = removed_in(ids)?;
        let changed = Checkpoint::decode(codec, rest).ok().filter(is_valid)?;
        if !removed.is_sorted_by(|a, b| a < b) || changed.next_incarnation < next {
            return None;
        }
        next = changed.next_incarnation;
        for shard in removed {
            if changed.shard(shard).is_some() {
                return None;
            }
            shards.remove(&shard)?;
        }
        for row in changed.shards {
            if let Some(old) = seen.insert(row.shard, row.clone())
                && (row.incarnation, row.mark) < (old.incarnation, old.mark)
            {
                return None;
            }
            shards.insert(row.shard, row);
        }
        link = after;
    }
    let result = Checkpoint { next_incarnation: next, shards: shards.into_values().collect() };
    is_valid(&result).then_some((link.generation, result))
}

/// The ids of removed shards, each in a line of 21 bytes.
pub(crate) fn removed_in(ids: &[u8]) -> Option<Vec<ShardId>> {
    let id_in = |line: &[u8]| {
        let id = std::str::from_utf8(line).ok()?.strip_suffix('\n')?.parse().ok()?;
        (format!("{id:020}\n").as_bytes() == line).then_some(ShardId(id))
    };
    ids.chunks(21).map(id_in).collect()
}

/// Whether what follows the header of a record has its checksum.
pub(crate) fn is_whole(record: &[u8]) -> bool {
    match delta_in(record) {
        Some((_, _, payload, _)) => crc32c::crc32c(&record[DELTA_HEADER..]) == payload,
        None => header_in(record)
            .is_some_and(|found| crc32c::crc32c(&record[HEADER..]) == found.payload),
    }
}

/// Any envelope and up to four deltas: what is unsealed is what the deltas give one by one.
pub(crate) fn any_chain(c: &mut Choices<'_>, codec: &dyn Codec) -> (Vec<u8>, Vec<Vec<u8>>) {
    let envelope = planted(c, codec, 5).bytes;
    let mut deltas = Vec::new();
    let Some(mut link) = Link::of(&envelope) else { return (envelope, deltas) };
    for _ in 0..c.below(5) {
        let mut record = next_delta(c, codec, &envelope, &deltas, &mut link);
        match c.below(16) {
            13 => record.truncate(c.place(record.len())),
            14 => record.push(c.byte()),
            15 => {
                let at = c.place(record.len());
                record[at] ^= c.byte();
            }
            _ => {}
        }
        deltas.push(record);
    }
    (envelope, deltas)
}

/// A delta, right or wrong, behind a chain that ends in `link`, which moves on to it.
pub(crate) fn next_delta(
    c: &mut Choices<'_>,
    codec: &dyn Codec,
    envelope: &[u8],
    deltas: &[Vec<u8>],
    link: &mut Link,
) -> Vec<u8> {
    let now = match holds(codec, envelope, deltas) {
        Holds::Whole(_, checkpoint) => *checkpoint,
        _ => Checkpoint::default(),
    };
    let record = delta(c, codec, link, &now);
    if let Some((next, ..)) = link.then(&record) {
        *link = next;
    }
    record
}
