//! The contract of `CheckpointBytes`.

use proptest::prelude::*;
use repl_checkpoint::{
    Checkpoint, CheckpointBytes, Generation, Header, JsonCodec, StoreId, UnsealError,
};
use repl_core::{Advance, NewShard, ReplicationState, ShardId};

use crate::support::arbitrary::{junk, number};
use crate::support::{header, marks};

fn state(marks: impl IntoIterator<Item = (u64, u64)>) -> ReplicationState {
    let state = ReplicationState::new(&[]);
    for (id, mark) in marks {
        state.add_shard(NewShard::new(ShardId(id)).with_mark(mark)).unwrap();
    }
    state
}

proptest! {
    #[test]
    fn a_round_trip_preserves_every_mark(
        marks in proptest::collection::btree_map(number(), number(), 0..20),
    ) {
        let ids: Vec<ShardId> = marks.keys().copied().map(ShardId).collect();
        let bytes = state(marks).to_checkpoint_bytes();
        let back = ReplicationState::from_checkpoint_bytes(&bytes, &ids).unwrap();
        let expected: Vec<_> = Checkpoint::unseal(&JsonCodec, StoreId::UNNAMED, &bytes).unwrap().1.shards;
        let found: Vec<_> = back.snapshot().iter().collect();
        prop_assert_eq!(found, expected.iter().map(|s| (s.shard, s.mark)).collect::<Vec<_>>());
        prop_assert_eq!(back.to_checkpoint_bytes(), bytes);
    }

    #[test]
    fn no_bytes_panic_or_become_nothing_applied(bytes in junk()) {
        prop_assert!(ReplicationState::from_checkpoint_bytes(&bytes, &[ShardId(1)]).is_err());
    }
}

#[test]
fn marks_and_no_others_are_preserved() {
    let before = [(1, 42), (2, 0), (7, u64::MAX)];
    let ids = before.map(|(id, _)| ShardId(id));
    let bytes = state(before).to_checkpoint_bytes();
    let back = ReplicationState::from_checkpoint_bytes(&bytes, &ids).unwrap();
    let after: Vec<_> = back.snapshot().iter().map(|(s, mark)| (s.0, mark)).collect();
    assert_eq!(after, before);
}

#[test]
fn a_shard_that_the_bytes_lack_starts_at_0() {
    let bytes = state([(1, 42)]).to_checkpoint_bytes();
    let ids = [ShardId(1), ShardId(2), ShardId(2)];
    let back = ReplicationState::from_checkpoint_bytes(&bytes, &ids).unwrap();
    assert_eq!(back.applied_seqno(ShardId(1)), Some(42));
    assert_eq!(back.applied_seqno(ShardId(2)), Some(0));
    assert_eq!(back.advance(ShardId(2), 1), Advance::Advanced { from: 0 });
}

#[test]
fn a_shard_that_was_not_asked_for_is_dropped() {
    let bytes = state([(1, 42), (2, 5)]).to_checkpoint_bytes();
    let back = ReplicationState::from_checkpoint_bytes(&bytes, &[ShardId(2)]).unwrap();
    assert_eq!(back.applied_seqno(ShardId(1)), None);
    assert_eq!(back.snapshot().len(), 1);
    let none = ReplicationState::from_checkpoint_bytes(&bytes, &[]).unwrap();
    assert!(none.snapshot().is_empty());
}

#[test]
fn corrupt_bytes_are_a_typed_error_and_never_nothing_applied() {
    let whole = state([(1, 42)]).to_checkpoint_bytes();
    let ids = [ShardId(1)];
    let refused = |bytes: &[u8]| ReplicationState::from_checkpoint_bytes(bytes, &ids).unwrap_err();
    assert!(matches!(refused(b""), UnsealError::Empty));
    assert!(matches!(refused(b"{}"), UnsealError::Magic));
    for length in 0..whole.len() {
        assert!(refused(&whole[..length]).is_damage());
    }
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(refused(&bytes).is_damage());
    }
}

#[test]
fn checkpoint_bytes_are_json_of_an_unnamed_store_with_generation_0() {
    let bytes = state([(1, 42)]).to_checkpoint_bytes();
    let (found, checkpoint) = Checkpoint::unseal(&JsonCodec, StoreId::UNNAMED, &bytes).unwrap();
    let nothing: Generation = 0;
    assert_eq!(found, Header::default());
    assert_eq!(found.generation, nothing);
    assert_eq!(checkpoint, marks(&[(1, 42)]));
}

#[test]
fn bytes_of_a_named_store_are_refused() {
    let bytes = marks(&[(1, 42)]).seal(&JsonCodec, header(1)).unwrap();
    let refused = ReplicationState::from_checkpoint_bytes(&bytes, &[ShardId(1)]).unwrap_err();
    assert!(matches!(refused, UnsealError::OtherStore { .. }));
}

#[test]
fn equal_states_give_equal_bytes() {
    let build = || {
        let state = ReplicationState::new(&[ShardId(3), ShardId(1), ShardId(3)]);
        state.advance(ShardId(1), 10);
        state
    };
    let one = build();
    assert_eq!(one.to_checkpoint_bytes(), build().to_checkpoint_bytes());
    assert_eq!(one.clone().to_checkpoint_bytes(), one.to_checkpoint_bytes());
}

#[test]
fn a_state_without_shards_has_bytes_too() {
    let bytes = ReplicationState::default().to_checkpoint_bytes();
    let back = ReplicationState::from_checkpoint_bytes(&bytes, &[ShardId::SINGLE]).unwrap();
    assert_eq!(back.applied_seqno(ShardId::SINGLE), Some(0));
}

#[cfg(feature = "serde")]
#[test]
fn a_store_id_is_serialized_as_its_number() {
    let json = serde_json::to_string(&StoreId(42)).unwrap();
    assert_eq!(json, "42");
    assert_eq!(serde_json::from_str::<StoreId>(&json).unwrap(), StoreId(42));
}
