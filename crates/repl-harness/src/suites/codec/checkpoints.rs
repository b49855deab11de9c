//! Valid checkpoints: at the edges of every field, and arbitrary.

use std::collections::BTreeSet;

use repl_checkpoint::{Checkpoint, ShardCheckpoint};
use repl_core::{EpochStart, Incarnation, LogId, SeqNo, SeqRange, ShardId};

use fastrand::Rng;

use crate::seed::one_in;

fn shard(id: u64, mark: SeqNo) -> ShardCheckpoint {
    ShardCheckpoint {
        shard: ShardId(id),
        log: LogId::UNNAMED,
        incarnation: Incarnation(0),
        mark,
        completed: Box::default(),
        epochs: Box::default(),
    }
}

fn of(next: u64, shards: Vec<ShardCheckpoint>) -> Checkpoint {
    Checkpoint { next_incarnation: Incarnation(next), shards }
}

/// Checkpoints at the edges of every field, small ones first.
pub(super) fn extremes() -> Vec<Checkpoint> {
    const MAX: u64 = u64::MAX;
    let range = |first, last| SeqRange::new(first, last);
    let epoch = |epoch, first| EpochStart { epoch, first };
    let largest = ShardCheckpoint {
        log: LogId(u128::MAX),
        incarnation: Incarnation(MAX),
        epochs: Box::new([epoch(0, 0), epoch(MAX, MAX)]),
        ..shard(MAX, MAX)
    };
    let all_above = ShardCheckpoint { completed: Box::new([range(1, MAX)]), ..shard(0, 0) };
    let adjacent = ShardCheckpoint {
        completed: Box::new([range(5, 5), range(6, 9), range(MAX, MAX)]),
        ..shard(3, 3)
    };
    let every_field = ShardCheckpoint {
        log: LogId(0x0123_4567_89ab_cdef_0011_2233_4455_6677),
        incarnation: Incarnation(7),
        completed: Box::new([range(44, 44), range(46, 50)]),
        epochs: Box::new([epoch(0, 1), epoch(3, 40)]),
        ..shard(1, 42)
    };
    // Numbers at the edges of 7, 8, 16, 32, 53 and 63 bits.
    let edges = [7, 8, 16, 32, 53, 63].into_iter().flat_map(|bit| [(1 << bit) - 1, 1 << bit]);
    let at_edges = edges.enumerate().map(|(id, mark)| shard(id as u64 * 100, mark)).collect();
    let with_ranges = |id: u64| match id % 3 {
        0 => ShardCheckpoint {
            completed: Box::new([range(1000 + id, 1001 + id), range(1 << 40, 1 << 41)]),
            ..shard(id, 900)
        },
        _ => shard(id, 900 + id),
    };
    vec![
        Checkpoint::default(),
        of(MAX, Vec::new()),
        of(1, vec![shard(0, 0)]),
        of(8, vec![every_field.clone()]),
        of(1, vec![all_above]),
        of(MAX, vec![largest.clone()]),
        of(MAX, vec![shard(0, 1), every_field, adjacent, largest]),
        of(1, at_edges),
        of(1, (0..28).map(with_ranges).collect()),
        of(1, (0..300).map(|id| shard(id, id * id)).collect()),
    ]
}

/// A checkpoint of a few arbitrary shards.
pub(super) fn arbitrary(rng: &mut Rng) -> Checkpoint {
    let ids: BTreeSet<u64> = (0..rng.u64(..6)).map(|_| number(rng)).collect();
    let shards: Vec<_> = ids.into_iter().map(|id| arbitrary_shard(rng, id)).collect();
    let highest = shards.iter().map(|shard| shard.incarnation.0).max();
    let lowest_next = highest.map_or(0, |highest| highest.saturating_add(1));
    of(lowest_next.max(number(rng)), shards)
}

fn arbitrary_shard(rng: &mut Rng, id: u64) -> ShardCheckpoint {
    let mark = number(rng);
    let mut bounds: Vec<u64> = ascending(rng, 6).into_iter().filter(|n| *n > mark).collect();
    bounds.truncate(bounds.len() / 2 * 2);
    let ranges = bounds.chunks_exact(2).map(|pair| SeqRange::new(pair[0], pair[1]));
    let starts = ascending(rng, 4).into_iter().zip(ascending(rng, 4));
    let starts = starts.map(|(epoch, first)| EpochStart { epoch, first });
    let log = if one_in(rng, 2) { 0 } else { u128::from(rng.u64(..)) << rng.u64(..64) };
    ShardCheckpoint {
        log: LogId(log),
        incarnation: Incarnation(number(rng)),
        completed: ranges.collect(),
        epochs: starts.collect(),
        ..shard(id, mark)
    }
}

fn ascending(rng: &mut Rng, most: u64) -> Vec<u64> {
    let numbers: BTreeSet<u64> = (0..rng.u64(..=most)).map(|_| number(rng)).collect();
    numbers.into_iter().collect()
}

/// A number of any length in bits, or close to the least or the greatest.
fn number(rng: &mut Rng) -> u64 {
    match rng.u64(..4) {
        0 => rng.u64(..20),
        1 => u64::MAX - rng.u64(..3),
        _ => rng.u64(..) >> rng.u64(..64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::stream;

    #[test]
    fn every_checkpoint_is_valid_and_many_have_ranges_and_epochs() {
        let arbitrary = (0..200).map(|number| arbitrary(&mut stream(0, number)));
        let all: Vec<_> = extremes().into_iter().chain(arbitrary).collect();
        assert!(all.iter().all(|checkpoint| checkpoint.validate().is_ok()));
        let with_ranges = |c: &&Checkpoint| c.shards.iter().any(|s| s.completed.len() > 1);
        let with_epochs = |c: &&Checkpoint| c.shards.iter().any(|s| s.epochs.len() > 1);
        assert!(all.iter().filter(with_ranges).count() > 50);
        assert!(all.iter().filter(with_epochs).count() > 50);
    }
}
