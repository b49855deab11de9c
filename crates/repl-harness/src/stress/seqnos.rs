//! Sequence numbers that encode how they were requested.
//!
//! The high bits are the progress, which orders them; the low bits are a tag:
//! ```text
//! 36 bits progress | 2 bits kind | 4 bits shard | 22 bits incarnation, change or nothing
//! ```
//! A mark equals the number of the advance that moved it, so its tag shows whether it belongs to
//! the shard and incarnation where it was found. 0 means that no segment is applied.

use repl_core::{Incarnation, SeqNo, ShardId};

const TAG_BITS: u32 = 22;
const SHARD_BITS: u32 = 4;
const KIND_BITS: u32 = 2;
const LOW_BITS: u32 = TAG_BITS + SHARD_BITS + KIND_BITS;
const TAG_MASK: u64 = (1 << TAG_BITS) - 1;
const MAX_PROGRESS: u64 = (1 << (64 - LOW_BITS)) - 1;

/// How a sequence number was requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// By the shard's id, whatever its incarnation.
    ById = 1,
    /// Through a handle on one incarnation.
    ByHandle = 2,
    /// As the first mark of an incarnation.
    Start = 3,
}

fn encode(progress: u64, origin: Origin, shard: ShardId, tag: u64) -> SeqNo {
    let shard = shard.0 & ((1 << SHARD_BITS) - 1);
    let low = (origin as u64) << (SHARD_BITS + TAG_BITS) | shard << TAG_BITS | tag & TAG_MASK;
    progress.min(MAX_PROGRESS) << LOW_BITS | low
}

pub(crate) fn by_handle(progress: u64, shard: ShardId, incarnation: Incarnation) -> SeqNo {
    encode(progress, Origin::ByHandle, shard, incarnation.0)
}

pub(crate) fn by_id(progress: u64, shard: ShardId) -> SeqNo {
    encode(progress, Origin::ById, shard, 0)
}

/// `change` differs from one incarnation of a shard to the next.
pub(crate) fn start(progress: u64, shard: ShardId, change: u64) -> SeqNo {
    encode(progress, Origin::Start, shard, change)
}

pub(crate) fn progress(seqno: SeqNo) -> u64 {
    seqno >> LOW_BITS
}

pub(crate) fn origin(seqno: SeqNo) -> Option<Origin> {
    match seqno >> (SHARD_BITS + TAG_BITS) & 3 {
        1 => Some(Origin::ById),
        2 => Some(Origin::ByHandle),
        3 => Some(Origin::Start),
        _ => None,
    }
}

pub(crate) fn is_of_shard(seqno: SeqNo, shard: ShardId) -> bool {
    encode(0, Origin::ById, shard, 0) >> TAG_BITS & 15 == seqno >> TAG_BITS & 15
}

/// Whether a number that was requested through a handle belongs to this incarnation.
pub(crate) fn is_of_incarnation(seqno: SeqNo, incarnation: Incarnation) -> bool {
    seqno & TAG_MASK == incarnation.0 & TAG_MASK
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seqno_encodes_how_it_was_requested() {
        let (shard, incarnation) = (ShardId(5), Incarnation(77));
        let n = by_handle(9, shard, incarnation);
        assert_eq!((progress(n), origin(n)), (9, Some(Origin::ByHandle)));
        assert!(is_of_shard(n, shard) && !is_of_shard(n, ShardId(4)));
        assert!(is_of_incarnation(n, incarnation) && !is_of_incarnation(n, Incarnation(78)));
        assert_eq!(origin(by_id(9, shard)), Some(Origin::ById));
        assert_eq!(origin(start(9, shard, 1)), Some(Origin::Start));
        assert_eq!(origin(0), None);
    }

    #[test]
    fn progress_orders_seqnos_whatever_their_tags() {
        let low = by_handle(8, ShardId(15), Incarnation(u64::MAX));
        assert!(low < by_id(9, ShardId(0)));
    }
}
