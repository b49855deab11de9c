//! What no move changes stays in the next bytes: epochs, and the generations of the header.

use repl_checkpoint::{Checkpoint, CheckpointBytes, Header, JsonCodec, StoreId};
use repl_core::{NewShard, ReplicationState, ShardId};

use super::{ONE, next};
use crate::orphaned::detailed;

const FIVE: ShardId = ShardId(5);
const HEADER: Header = Header { store: StoreId::UNNAMED, generation: 7, confirmed: 6 };

/// Shards 1 and 5 with epochs, sealed as generation 7.
fn stored() -> Vec<u8> {
    detailed().seal(&JsonCodec, HEADER).unwrap()
}

fn unsealed(bytes: &[u8]) -> (Header, Checkpoint) {
    Checkpoint::unseal(&JsonCodec, StoreId::UNNAMED, bytes).unwrap()
}

/// The number of epochs of a shard after `moves`, if it is there.
fn epochs_after<R>(moves: impl FnOnce(&ReplicationState) -> R, shard: ShardId) -> Option<usize> {
    let (bytes, _) = next(&stored(), moves);
    unsealed(&bytes).1.shard(shard).map(|shard| shard.epochs.len())
}

#[test]
fn without_a_move_the_next_bytes_are_the_stored_ones() {
    let (bytes, ()) = next(&stored(), |_| ());
    assert_eq!(unsealed(&bytes), unsealed(&stored()));
    assert_eq!(bytes, stored());
}

#[test]
fn the_generations_in_the_header_stay() {
    let (bytes, _) = next(&stored(), |marks| marks.advance(ONE, 11));
    assert_eq!(unsealed(&bytes).0, HEADER);
}

#[test]
fn a_shard_keeps_its_epochs_while_it_moves() {
    let (bytes, _) = next(&stored(), |marks| marks.advance(ONE, 11));
    let mut expected = detailed();
    // Mark 11 meets the range from 12 to 14.
    expected.shards[0].mark = 14;
    expected.shards[0].completed = expected.shards[0].completed[1..].into();
    assert_eq!(unsealed(&bytes).1, expected);
    for shard in [ONE, FIVE] {
        assert_eq!(epochs_after(|marks| marks.rewind_shard(ONE, 3), shard), Some(2));
    }
}

#[test]
fn a_new_incarnation_has_no_epochs_and_the_other_shards_keep_theirs() {
    let reset = |marks: &ReplicationState| drop(marks.reset_shard(NewShard::new(ONE)));
    let added = |marks: &ReplicationState| {
        marks.remove_shard(ONE);
        marks.add_shard(NewShard::new(ONE).with_mark(10)).unwrap();
    };
    let removed = |marks: &ReplicationState| drop(marks.remove_shard(ONE));
    let all: [(fn(&ReplicationState), _); 3] =
        [(reset, Some(0)), (added, Some(0)), (removed, None)];
    for (moves, epochs) in all {
        assert_eq!(epochs_after(moves, ONE), epochs);
        assert_eq!(epochs_after(moves, FIVE), Some(2));
    }
}

#[test]
fn epochs_stay_through_many_transactions() {
    let mut bytes = stored();
    for mark in 51..100 {
        (bytes, _) = next(&bytes, |marks| marks.advance(FIVE, mark));
    }
    let (header, found) = unsealed(&bytes);
    assert_eq!(header, HEADER);
    let five = found.shard(FIVE).unwrap();
    assert_eq!((five.mark, &five.epochs), (99, &detailed().shards[1].epochs));
    assert_eq!(found.shard(ONE), detailed().shard(ONE));
    let state = ReplicationState::from_checkpoint_bytes(&bytes, &[FIVE]).unwrap();
    assert_eq!(state.applied_seqno(FIVE), Some(99));
}
