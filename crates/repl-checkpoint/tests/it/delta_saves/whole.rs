//! When a whole checkpoint is saved in place of a delta.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use repl_checkpoint::{
    Codec, CodecError, JsonCodec, NoSync, OnCorrupt, Rows, SaveReport, Saved, ShardCheckpoint,
    SlotStore, StoreId, recover,
};
use repl_core::{Incarnation, ShardId};

use super::{SHARDS, follower, move_by_one, written};
use crate::support::chained::{Chained, Wrote};
use crate::support::durable;
use crate::support::scripted::Outcome;

#[test]
fn all_is_saved_where_much_has_changed_and_deltas_begin_again_after_it() {
    let (store, mut follower) = follower();
    move_by_one(&follower, 0..30);
    assert_eq!(written(&store, &mut follower), Wrote::Whole);
    // The save before the last lacks these changes.
    move_by_one(&follower, [7]);
    assert_eq!(written(&store, &mut follower), Wrote::Whole);
    move_by_one(&follower, [8]);
    assert_eq!(written(&store, &mut follower), Wrote::delta(3, &[7, 8], &[]));
}

/// JSON that counts how often it encodes.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl Codec for Counting {
    fn name(&self) -> &'static str {
        JsonCodec.name()
    }
    fn encode(&self, rows: &mut Rows<'_>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        JsonCodec.encode(rows, out)
    }
    fn decode(
        &self,
        bytes: &[u8],
        row: &mut dyn FnMut(ShardCheckpoint),
    ) -> Result<Incarnation, CodecError> {
        JsonCodec.decode(bytes, row)
    }
}

#[test]
fn all_is_encoded_once_where_the_changes_of_two_saves_are_too_many_together() {
    let (store, codec) = (Chained::default(), Counting::default());
    let opened = store.open().unwrap();
    let recovered = recover(opened, codec.clone(), &super::all()[..], OnCorrupt::Fail);
    let mut follower = recovered.unwrap();
    let mut encoded = |moved: std::ops::Range<u64>, expected| {
        move_by_one(&follower, moved);
        assert_eq!(written(&store, &mut follower), expected);
        codec.0.swap(0, Ordering::Relaxed)
    };
    assert_eq!(encoded(0..SHARDS, Wrote::Whole), 1);
    assert_eq!(encoded(0..0, Wrote::Whole), 1);
    let few: Vec<u64> = (0..5).collect();
    assert_eq!(encoded(0..5, Wrote::delta(1, &few, &[])), 1, "a delta encodes nothing else");
    assert_eq!(encoded(5..22, Wrote::Whole), 1);
    assert_eq!(encoded(0..SHARDS, Wrote::Whole), 1);
}

#[test]
fn no_delta_is_longer_than_half_of_the_last_whole_checkpoint() {
    let (store, mut follower) = follower();
    let seven = follower.state.shard(7.into()).unwrap();
    // One long row.
    (0..SHARDS * 2).for_each(|i| {
        seven.complete(1_000_000 + 2 * i);
    });
    assert_eq!(written(&store, &mut follower), Wrote::Whole);
    assert_eq!(written(&store, &mut follower), Wrote::Whole);
    move_by_one(&follower, [8]);
    assert_eq!(written(&store, &mut follower), Wrote::delta(3, &[8], &[]));
}

#[test]
fn a_delta_fits_where_its_record_has_room_and_not_below() {
    let (_, mut other) = follower();
    move_by_one(&other, [7]);
    let saved = other.checkpointer.checkpoint(durable).unwrap();
    let Saved::Written(SaveReport { base: Some(1), bytes, .. }) = saved else {
        panic!("{saved:?}")
    };
    let length = usize::try_from(bytes).unwrap();
    for (room, fits) in [(length - 1, false), (length, true)] {
        let (store, mut follower) = follower();
        store.set_room(room);
        move_by_one(&follower, [7]);
        let wrote = written(&store, &mut follower);
        assert_eq!(wrote, if fits { Wrote::delta(1, &[7], &[]) } else { Wrote::Whole });
    }
}

#[test]
fn all_is_saved_where_the_store_offers_another_generation() {
    let (store, mut follower) = follower();
    store.offer(2);
    move_by_one(&follower, [7]);
    assert_eq!(written(&store, &mut follower), Wrote::Whole);
}

#[test]
fn all_is_saved_after_a_delta_that_failed() {
    let (store, mut follower) = follower();
    move_by_one(&follower, [7]);
    store.fail_next(Outcome::NotSaved);
    follower.checkpointer.checkpoint(durable).unwrap_err();
    move_by_one(&follower, [8]);
    assert_eq!(written(&store, &mut follower), Wrote::Whole);
    move_by_one(&follower, [9]);
    assert_eq!(written(&store, &mut follower), Wrote::delta(2, &[7, 8, 9], &[]));
}

#[test]
fn a_process_begins_with_two_whole_checkpoints() {
    let (store, first) = follower();
    drop(first);
    let mut second = store.recovered(&super::all()[..]);
    for wrote in [Wrote::Whole, Wrote::Whole, Wrote::delta(3, &[6, 7], &[])] {
        move_by_one(&second, [store.saves() as u64 + 3]);
        assert_eq!(written(&store, &mut second), wrote);
    }
}

#[test]
fn of_1024_shards_a_slot_has_room_for_some_hundred_deltas() {
    let dir = tempfile::tempdir().unwrap();
    let store = SlotStore::open_on(NoSync, dir.path(), StoreId::UNNAMED).unwrap();
    let shards: Vec<ShardId> = (0..1024).map(ShardId).collect();
    let mut follower = recover(store, JsonCodec, &shards[..], OnCorrupt::Fail).unwrap();
    move_by_one(&follower, 0..1024);
    let whole = (0..500).filter(|save| {
        move_by_one(&follower, [save * 7 % 1024]);
        match follower.checkpointer.checkpoint(|_| Ok(())).unwrap() {
            Saved::Written(report) => !report.is_delta(),
            Saved::Unchanged => panic!("one has moved"),
        }
    });
    // The first two of the process, and one each time that a slot is full.
    assert!(whole.count() <= 5);
}
