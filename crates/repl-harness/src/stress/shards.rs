//! The shards of a run.

use std::ops::Range;

use repl_core::ShardId;

use super::ledger::Kind;

/// The shards that are advanced by handle and by id: few, so that threads meet on them.
pub(crate) const PLAIN: Range<usize> = 0..8;
/// The plain shards that are seldom tracked: they are added and removed again while checkpoints are
/// open.
pub(crate) const BRIEF: Range<usize> = 5..8;
/// The shards that are completed out of order. The window of the second one is larger than the ring
/// in which a window keeps the seqnos near the mark.
pub(crate) const WINDOWS: Range<usize> = 8..10;
/// The shard that two threads advance in turn.
pub(crate) const RELAY: usize = 10;

/// Every shard with its kind.
pub(crate) fn shards() -> Vec<(ShardId, Kind)> {
    let plain = PLAIN.map(|_| Kind::Plain);
    let windows = [24, 16_384 + 96].map(|capacity| Kind::Window { capacity });
    let kinds = plain.chain(windows).chain([Kind::Relay]);
    (0..).map(ShardId).zip(kinds).collect()
}
