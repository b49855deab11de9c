//! Any valid checkpoint.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use repl_checkpoint::{Checkpoint, ShardCheckpoint};
use repl_core::{EpochStart, Incarnation, LogId, SeqNo, SeqRange, ShardId};

/// Small and large numbers, and those at the edges of 2^53 and 2^64.
pub(crate) fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..20_u64,
        any::<u64>(),
        (0..u64::BITS).prop_map(|bit| 1 << bit),
        Just((1 << 53) + 1),
        Just(u64::MAX - 1),
        Just(u64::MAX),
    ]
}

fn log() -> impl Strategy<Value = LogId> {
    prop_oneof![Just(0), Just(1), Just(u128::MAX), any::<u128>()].prop_map(LogId)
}

/// Ascending, disjoint ranges above `mark`: the bounds of distinct sorted numbers, two by two.
fn completed(mark: SeqNo) -> BoxedStrategy<Vec<SeqRange>> {
    if mark == u64::MAX {
        return Just(Vec::new()).boxed();
    }
    let bounds = prop_oneof![
        btree_set(mark + 1..=u64::MAX, 0..6).boxed(),
        btree_set(mark + 1..=mark.saturating_add(20), 0..6).boxed(),
    ];
    let pairs = |bounds: std::collections::BTreeSet<u64>| {
        let bounds: Vec<u64> = bounds.into_iter().collect();
        let range = |pair: &[u64]| SeqRange::new(pair[0], *pair.last().unwrap_or(&pair[0]));
        bounds.chunks(2).map(range).collect()
    };
    bounds.prop_map(pairs).boxed()
}

/// Epochs and their first segments, both ascending.
fn epochs() -> impl Strategy<Value = Vec<EpochStart>> {
    (btree_set(number(), 0..4), btree_set(number(), 4)).prop_map(|(epochs, firsts)| {
        let pairs = epochs.into_iter().zip(firsts);
        pairs.map(|(epoch, first)| EpochStart { epoch, first }).collect()
    })
}

fn one_shard() -> impl Strategy<Value = ShardCheckpoint> {
    (number(), log(), number()).prop_flat_map(|(mark, log, incarnation)| {
        (completed(mark), epochs()).prop_map(move |(completed, epochs)| ShardCheckpoint {
            shard: ShardId(0),
            log,
            incarnation: Incarnation(incarnation),
            mark,
            completed: completed.into(),
            epochs: epochs.into(),
        })
    })
}

pub(crate) fn checkpoint() -> impl Strategy<Value = Checkpoint> {
    (btree_map(number(), one_shard(), 0..6), number()).prop_map(|(shards, next)| {
        let shards: Vec<_> = shards
            .into_iter()
            .map(|(id, shard)| ShardCheckpoint { shard: ShardId(id), ..shard })
            .collect();
        let used = shards.iter().map(|s| s.incarnation.0.saturating_add(1));
        Checkpoint { next_incarnation: Incarnation(used.max().unwrap_or(0).max(next)), shards }
    })
}

/// Any bytes, and bytes that begin like a checkpoint.
pub(crate) fn junk() -> impl Strategy<Value = Vec<u8>> {
    let header_like = "repl-checkpoint v[0-9]{1,2} codec=(json    |bincode ) store=[0-9a-f]{32} \
                       generation=[0-9]{20} confirmed=[0-9]{20} length=[0-9]{20} \
                       crc32c=[0-9a-f]{8}\n";
    prop_oneof![
        vec(any::<u8>(), 0..300),
        (header_like, vec(any::<u8>(), 0..50)).prop_map(|(header, payload)| [
            header.into_bytes(),
            payload
        ]
        .concat()),
    ]
}
