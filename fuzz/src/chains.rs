//! Chains of an envelope and deltas: written as the fuzzer chooses, and applied independently.

use std::collections::BTreeMap;

use repl_checkpoint::{Checkpoint, Codec, Generation, ShardCheckpoint, StoreId};
use repl_core::{Incarnation, LogId, SeqRange, ShardId};

use crate::checkpoints::is_valid;
use crate::choices::Choices;
use crate::expected::Holds;
use crate::format::{DELTA_HEADER, Delta, HEADER, delta_in, header_in};
use crate::planted::planted;

/// What the next delta builds on.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    codec: String,
    store: StoreId,
    generation: Generation,
    crc: u32,
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

    pub(crate) fn generation(&self) -> Generation {
        self.generation
    }
}

/// A delta on a record, mostly a right one.
pub(crate) fn delta(
    c: &mut Choices<'_>,
    codec: &dyn Codec,
    link: &Link,
    now: &Checkpoint,
) -> Vec<u8> {
    let mut changed = Checkpoint { next_incarnation: now.next_incarnation, shards: Vec::new() };
    if c.rarely(3) {
        changed.next_incarnation = Incarnation(c.number());
    }
    let mut removed = Vec::new();
    for _ in 0..c.below(4) {
        let shard = ShardId(c.below(6) as u64);
        match (now.shard(shard), c.below(4)) {
            (Some(row), 0 | 1) => {
                let mark = row.mark.saturating_add(u64::from(c.byte() >> 4));
                changed.shards.push(ShardCheckpoint { mark, ..row.clone() });
            }
            (Some(_), 2) => removed.push(shard),
            (_, 3) if c.rarely(4) => removed.push(shard),
            (row, _) => changed.shards.push(any_row(c, shard, row, now.next_incarnation)),
        }
    }
    if !c.rarely(8) {
        changed.shards.sort_by_key(|row| row.shard);
        changed.shards.dedup_by_key(|row| row.shard);
        removed.sort_unstable();
        removed.dedup();
        removed.retain(|shard| changed.shard(*shard).is_none());
    }
    let mut rest: Vec<u8> =
        removed.iter().flat_map(|shard| format!("{:020}\n", shard.0).into_bytes()).collect();
    if codec.encode(&mut changed.rows(), &mut rest).is_err() || c.rarely(16) {
        rest = c.bytes().to_vec();
    }
    let rarely_other = |c: &mut Choices<'_>| u64::from(c.rarely(16));
    let record = Delta {
        codec: link.codec.clone(),
        store: if c.rarely(16) { StoreId(1) } else { link.store },
        generation: link.generation.saturating_add(1 + c.below(2) as u64),
        confirmed: link.generation,
        base: link.generation.wrapping_sub(rarely_other(c)),
        link: link.crc ^ u32::from(c.rarely(16)),
        removed: (removed.len() as u64).wrapping_add(rarely_other(c)),
    };
    record.sealed(&rest)
}

fn any_row(
    c: &mut Choices<'_>,
    shard: ShardId,
    row: Option<&ShardCheckpoint>,
    next: Incarnation,
) -> ShardCheckpoint {
    let before = row.map_or(next.0, |row| row.incarnation.0);
    let mark = u64::from(c.byte());
    let completed = if c.rarely(4) { vec![SeqRange::new(mark + 2, mark + 3)] } else { Vec::new() };
    ShardCheckpoint {
        shard,
        log: LogId(u128::from(c.byte())),
        incarnation: Incarnation(before.wrapping_add(c.below(3) as u64).wrapping_sub(1)),
        mark,
        completed: completed.into(),
        epochs: Box::default(),
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
        let removed = ids.chunks(21).map(|line| {
            let id = std::str::from_utf8(line).ok()?.strip_suffix('\n')?.parse().ok()?;
            (format!("{id:020}\n").as_bytes() == line).then_some(ShardId(id))
        });
        let removed: Vec<ShardId> = removed.collect::<Option<_>>()?;
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

/// The length of an envelope in a slot and its link, if its header is right.
pub(crate) fn envelope_in(slot: &[u8]) -> Option<(usize, Link)> {
    let found = header_in(slot)?;
    let length = usize::try_from(found.length).ok()?.checked_add(HEADER)?;
    (length <= slot.len()).then_some((length, Link::of(slot)?))
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
        let now = match holds(codec, &envelope, &deltas) {
            Holds::Whole(_, checkpoint) => *checkpoint,
            _ => Checkpoint::default(),
        };
        let mut record = delta(c, codec, &link, &now);
        if let Some((next, ..)) = link.then(&record) {
            link = next;
        }
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
