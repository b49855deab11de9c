//! Deltas, written as the fuzzer chooses: right ones, and wrong ones with right checksums.

use std::collections::BTreeMap;

use repl_checkpoint::{Checkpoint, Codec, ShardCheckpoint, StoreId};
use repl_core::{EpochStart, Incarnation, LogId, SeqRange, ShardId};

use crate::chains::Link;
use crate::choices::Choices;
use crate::format::{DELTA_HEADER, Delta, with_header_checksum};

/// What a delta changes.
#[derive(Debug, Clone)]
pub(crate) struct Change {
    /// The changed shards, and the next incarnation.
    pub(crate) rows: Checkpoint,
    pub(crate) removed: Vec<ShardId>,
}

impl Change {
    /// One that may follow `now`.
    pub(crate) fn right(c: &mut Choices<'_>, now: &Checkpoint) -> Self {
        let mut next = now.next_incarnation;
        let mut all: BTreeMap<ShardId, Option<ShardCheckpoint>> = BTreeMap::new();
        for _ in 0..c.below(4) {
            let kind = c.below(4);
            let known = now.shards.get(c.place(now.shards.len()));
            match (kind, known) {
                (0, Some(row)) => {
                    let mark = row.mark.saturating_add(u64::from(c.byte() >> 4));
                    let left = row.completed.iter().filter(|range| range.first() > mark);
                    let completed = left.copied().collect();
                    all.insert(row.shard, Some(ShardCheckpoint { mark, completed, ..row.clone() }));
                }
                (1, Some(row)) => {
                    let epochs = epochs(c);
                    all.insert(row.shard, Some(ShardCheckpoint { epochs, ..row.clone() }));
                }
                (2, Some(row)) => {
                    all.insert(row.shard, None);
                }
                // No later incarnation is left for a shard that comes back.
                _ if next.0 == u64::MAX => {}
                _ => {
                    let shard = ShardId(c.below(6) as u64);
                    all.insert(shard, Some(new_row(c, shard, next)));
                    next.0 += 1;
                }
            }
        }
        let removed = all.iter().filter(|(_, row)| row.is_none()).map(|(shard, _)| *shard);
        let removed = removed.collect();
        let shards = all.into_values().flatten().collect();
        Change { rows: Checkpoint { next_incarnation: next, shards }, removed }
    }

    /// The shards that differ.
    pub(crate) fn between(old: &Checkpoint, new: &Checkpoint) -> Self {
        let changed = |row: &&ShardCheckpoint| old.shard(row.shard) != Some(*row);
        let shards = new.shards.iter().filter(changed).cloned().collect();
        let ids = old.shards.iter().map(|row| row.shard);
        let removed = ids.filter(|shard| new.shard(*shard).is_none()).collect();
        Change { rows: Checkpoint { next_incarnation: new.next_incarnation, shards }, removed }
    }

    /// Mostly the same with a mistake.
    fn mistaken(mut self, c: &mut Choices<'_>, now: &Checkpoint) -> Self {
        let (rows, removed) = (&mut self.rows, &mut self.removed);
        let place = c.place(rows.shards.len());
        let row = rows.shards.get_mut(place);
        match (c.below(8), row) {
            (0, Some(row)) => row.mark = row.mark.saturating_sub(1 + u64::from(c.byte() >> 4)),
            (1, Some(row)) => row.incarnation.0 = row.incarnation.0.wrapping_sub(1),
            (2, Some(row)) => row.completed = vec![SeqRange::new(row.mark, row.mark)].into(),
            (3, Some(row)) => removed.push(row.shard),
            (4, _) => rows.next_incarnation = Incarnation(c.number()),
            (5, _) => rows.shards.reverse(),
            (6, _) => removed.reverse(),
            // A row of before that is lower than it is now.
            (_, None) => {
                let Some(row) = now.shards.get(c.place(now.shards.len())) else { return self };
                let mark = row.mark.wrapping_sub(u64::from(c.byte()));
                let incarnation = Incarnation(row.incarnation.0.wrapping_sub(c.below(2) as u64));
                let completed = Box::default();
                rows.shards = vec![ShardCheckpoint { mark, incarnation, completed, ..row.clone() }];
            }
            _ => removed.push(ShardId(c.number())),
        }
        self
    }

    /// The bytes of a delta behind its header.
    pub(crate) fn encoded(&self, codec: &dyn Codec) -> Vec<u8> {
        let ids = self.removed.iter().flat_map(|shard| format!("{:020}\n", shard.0).into_bytes());
        let mut bytes: Vec<u8> = ids.collect();
        codec.encode(&mut self.rows.rows(), &mut bytes).expect("small checkpoints can be encoded");
        bytes
    }

    /// The checkpoint after it.
    pub(crate) fn applied_to(self, now: &Checkpoint) -> Checkpoint {
        let mut all: BTreeMap<ShardId, ShardCheckpoint> =
            now.shards.iter().map(|row| (row.shard, row.clone())).collect();
        all.retain(|shard, _| !self.removed.contains(shard));
        all.extend(self.rows.shards.into_iter().map(|row| (row.shard, row)));
        let next_incarnation = self.rows.next_incarnation;
        Checkpoint { next_incarnation, shards: all.into_values().collect() }
    }
}

fn new_row(c: &mut Choices<'_>, shard: ShardId, incarnation: Incarnation) -> ShardCheckpoint {
    let mark = if c.rarely(4) { c.number() } else { u64::from(c.byte()) };
    let first = mark.saturating_add(2);
    let has_range = first < u64::MAX && c.rarely(2);
    let completed = if has_range { vec![SeqRange::new(first, first + 1)] } else { Vec::new() };
    let (log, epochs) = (LogId(u128::from(c.byte() >> 6)), epochs(c));
    ShardCheckpoint { shard, log, incarnation, mark, completed: completed.into(), epochs }
}

/// Up to three epochs.
fn epochs(c: &mut Choices<'_>) -> Box<[EpochStart]> {
    let mut least = EpochStart { epoch: 0, first: 0 };
    let count = usize::from(c.byte() >> 6);
    let next = |_| {
        let step = c.byte();
        least.epoch += 1 + u64::from(step >> 4);
        least.first += 1 + u64::from(step & 15);
        least
    };
    (0..count).map(next).collect()
}

/// A right delta on a record.
pub(crate) fn right_delta(
    codec: &dyn Codec,
    link: &Link,
    generation: u64,
    confirmed: u64,
    change: &Change,
) -> Vec<u8> {
    Delta {
        codec: link.codec.clone(),
        store: link.store,
        generation,
        confirmed,
        base: link.generation,
        link: link.crc,
        removed: change.removed.len() as u64,
    }
    .sealed(&change.encoded(codec))
}

/// A delta on a record, mostly a right one. Its checksums are right, whatever is wrong with it,
/// except that the one of its payload is rarely not.
pub(crate) fn delta(
    c: &mut Choices<'_>,
    codec: &dyn Codec,
    link: &Link,
    now: &Checkpoint,
) -> Vec<u8> {
    let mut change = Change::right(c, now);
    if c.rarely(6) {
        change = change.mistaken(c, now);
    }
    let mut rest = change.encoded(codec);
    match c.below(32) {
        28 => rest = c.bytes().to_vec(),
        29 => rest.truncate(c.place(rest.len())),
        30 => {
            let at = c.place(rest.len());
            rest.splice(at..at, c.bytes().iter().copied());
        }
        31 if rest.len() > 3 => drop(c.burst(&mut rest)),
        _ => {}
    }
    let generation = link.generation.saturating_add(1 + c.below(2) as u64);
    let mut record = Delta {
        codec: link.codec.clone(),
        store: link.store,
        generation,
        confirmed: link.generation,
        base: link.generation,
        link: link.crc,
        removed: change.removed.len() as u64,
    };
    let defect = c.below(48);
    match defect {
        47 => record.base = record.base.wrapping_sub(1),
        46 => record.link ^= 1 << c.below(32),
        45 => record.link = u32::from_le_bytes([c.byte(), c.byte(), c.byte(), c.byte()]),
        44 => record.store = StoreId(1),
        43 => ["json", "bincode", "Json"][c.below(3)].clone_into(&mut record.codec),
        42 => record.generation = link.generation.saturating_sub(c.below(2) as u64),
        41 => record.confirmed = generation,
        40 => record.confirmed = 0,
        39 => record.removed = record.removed.wrapping_add(1),
        38 => record.removed = c.number(),
        37 => record.generation = c.number(),
        _ => {}
    }
    let mut bytes = record.sealed(&rest);
    match defect {
        // Any other byte of the header.
        36 => bytes[c.place(DELTA_HEADER)] = c.byte(),
        35 => bytes[218..238].copy_from_slice(format!("{:020}", c.number()).as_bytes()),
        34 => bytes[247..255].copy_from_slice(b"00000000"),
        _ => return bytes,
    }
    with_header_checksum(bytes)
}
