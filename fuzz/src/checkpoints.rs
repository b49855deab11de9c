//! Checkpoints chosen by the fuzzer, and their validity.

use repl_checkpoint::{Checkpoint, Header, ShardCheckpoint, StoreId};
use repl_core::{EpochStart, Incarnation, LogId, SeqRange, ShardId};

use crate::choices::Choices;

/// A checkpoint, mostly a valid one.
pub(crate) fn checkpoint(c: &mut Choices<'_>) -> Checkpoint {
    let mut next = 0_u64;
    let shards: Vec<_> = (0..c.below(6)).map(|_| shard(c, &mut next)).collect();
    let used = shards.iter().map(|s| s.incarnation.0.saturating_add(1)).max().unwrap_or(0);
    let next_incarnation = Incarnation(if c.rarely(4) { c.number() } else { used });
    Checkpoint { next_incarnation, shards }
}

fn shard(c: &mut Choices<'_>, next: &mut u64) -> ShardCheckpoint {
    let shard = ShardId(after(c, *next));
    *next = shard.0.saturating_add(1);
    let mark = c.number();
    let log = match c.below(4) {
        0 | 1 => 0,
        2 => u128::from(c.byte()),
        _ => u128::from(c.number()) << 64 | u128::from(c.number()),
    };
    let incarnation = Incarnation(if c.rarely(2) { c.number() } else { 0 });
    let mut above = mark;
    let completed = (0..c.below(4)).map(|_| {
        let first = after(c, above.saturating_add(1));
        let last = after(c, first);
        above = last;
        SeqRange::new(first, last)
    });
    let completed = completed.collect();
    let mut least = (0, 0);
    let epochs = (0..c.below(4)).map(|_| {
        let (epoch, first) = (after(c, least.0), after(c, least.1));
        least = (epoch.saturating_add(1), first.saturating_add(1));
        EpochStart { epoch, first }
    });
    let epochs = epochs.collect();
    ShardCheckpoint { shard, log: LogId(log), incarnation, mark, completed, epochs }
}

/// `least` or a little more, sometimes any number.
fn after(c: &mut Choices<'_>, least: u64) -> u64 {
    match c.byte() {
        255 => c.number(),
        254 => least.saturating_add(c.number()),
        more => least.saturating_add(u64::from(more)),
    }
}

pub(crate) fn header(c: &mut Choices<'_>) -> Header {
    let store = StoreId(u128::from(c.number()) << 64 | u128::from(c.number()));
    let generation = c.number();
    let confirmed = if c.rarely(2) { c.number() } else { generation.saturating_sub(1) };
    Header { store, generation, confirmed }
}

/// The rules in the docs of `Checkpoint`, written independently of its code.
pub(crate) fn is_valid(checkpoint: &Checkpoint) -> bool {
    let next = checkpoint.next_incarnation.0;
    let ids: Vec<u64> = checkpoint.shards.iter().map(|s| s.shard.0).collect();
    let shard = |s: &ShardCheckpoint| {
        let bounds = s.completed.iter().flat_map(|r| [r.first(), r.last()]);
        let bounds: Vec<u64> = std::iter::once(s.mark).chain(bounds).collect();
        // The first and last seqno of a range may be equal. All other bounds rise.
        let ranges = bounds
            .windows(2)
            .enumerate()
            .all(|(i, w)| if i.is_multiple_of(2) { w[0] < w[1] } else { w[0] <= w[1] });
        let epochs: Vec<u64> = s.epochs.iter().map(|e| e.epoch).collect();
        let firsts: Vec<u64> = s.epochs.iter().map(|e| e.first).collect();
        let incarnation = s.incarnation.0 < next || next == u64::MAX;
        ranges && rises(&epochs) && rises(&firsts) && incarnation
    };
    rises(&ids) && checkpoint.shards.iter().all(shard)
}

fn rises(numbers: &[u64]) -> bool {
    numbers.windows(2).all(|w| w[0] < w[1])
}
