//! An attempt that is dropped before it is saved counts as a failed flush.

use std::panic::{AssertUnwindSafe, catch_unwind};

use repl_checkpoint::{
    Attempt, Codec, CodecError, JsonCodec, OnCorrupt, Rows, ShardCheckpoint, Status, recover,
};
use repl_core::Incarnation;

use super::{ONE, TWO};
use crate::support::scripted::Scripted;
use crate::support::{Flushed, begun, durable, save};

fn failures(status: &Status) -> u64 {
    match status {
        Status::Good => 0,
        Status::Failing { failures, .. } => *failures,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_attempt_dropped_before_save_is_a_failed_flush_and_saves_nothing() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    follower.state.advance(ONE, 5);
    for n in 1..=3 {
        let attempt = begun(&mut follower.checkpointer);
        assert!(floors.health().running_since.is_some());
        drop(attempt);
        let health = floors.health();
        assert_eq!((failures(&health.status), health.running_since), (n, None));
        assert_eq!(health.last_success, None);
    }
    assert_eq!(store.take_events(), [""; 0]);
    // The next one asks for the same data again.
    assert_eq!(begun(&mut follower.checkpointer).marks().mark(ONE), Some(5));
    assert_eq!(save(&mut follower.checkpointer), 1);
    assert_eq!(floors.health().status, Status::Good);
}

#[test]
fn an_older_attempt_dropped_after_a_newer_began_does_not_count() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    let old = begun(&mut follower.checkpointer);
    let new = begun(&mut follower.checkpointer);
    let began = floors.health().running_since;
    drop(old);
    let health = floors.health();
    assert_eq!((health.status, health.running_since), (Status::Good, began));
    follower.checkpointer.save(new).unwrap();
    assert_eq!(floors.health().status, Status::Good);
}

#[test]
fn the_newest_attempt_counts_though_an_older_one_exists() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    let old = begun(&mut follower.checkpointer);
    drop(begun(&mut follower.checkpointer));
    let health = floors.health();
    assert_eq!((failures(&health.status), health.running_since), (1, None));
    drop(old);
    assert_eq!(failures(&floors.health().status), 1);
}

#[test]
fn an_older_attempt_dropped_after_the_newer_was_saved_does_not_count() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    let old = begun(&mut follower.checkpointer);
    save(&mut follower.checkpointer);
    drop(old);
    assert_eq!(floors.health().status, Status::Good);
}

#[test]
fn an_attempt_that_outlives_its_checkpointer_is_dropped_without_harm() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    let attempt = begun(&mut follower.checkpointer);
    drop(follower);
    drop(attempt);
    assert_eq!(failures(&floors.health().status), 1);
}

#[test]
fn a_flush_that_panics_is_a_failed_flush_and_poisons_nothing() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    let panicking = |_: &mut Attempt| -> Flushed { panic!("the engine is broken") };
    let checkpointer = &mut follower.checkpointer;
    catch_unwind(AssertUnwindSafe(|| checkpointer.checkpoint(panicking))).unwrap_err();
    assert_eq!(failures(&floors.health().status), 1);
    assert_eq!(store.take_events(), [""; 0]);
    assert_eq!(save(&mut follower.checkpointer), 1);
}

/// A codec that panics once.
struct Panicking(std::sync::atomic::AtomicBool);

impl Codec for Panicking {
    fn name(&self) -> &'static str {
        JsonCodec.name()
    }
    fn encode(&self, rows: &mut Rows<'_>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let first = !self.0.swap(true, std::sync::atomic::Ordering::SeqCst);
        assert!(!first, "the codec is broken");
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
fn a_codec_that_panics_before_the_store_is_called_poisons_nothing() {
    let store = Scripted::default();
    let codec = Panicking(false.into());
    let mut follower = recover(store.clone(), codec, &[ONE, TWO], OnCorrupt::Fail).unwrap();
    let floors = follower.checkpointer.floors();
    let checkpointer = &mut follower.checkpointer;
    catch_unwind(AssertUnwindSafe(|| checkpointer.checkpoint(durable))).unwrap_err();
    assert_eq!(failures(&floors.health().status), 1);
    assert_eq!(store.take_events(), [""; 0]);
    assert_eq!(save(&mut follower.checkpointer), 1);
}

#[test]
fn an_on_save_that_panics_undoes_nothing_of_the_save() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    follower.state.advance(ONE, 5);
    follower.checkpointer.on_save(|_| panic!("the engine is broken"));
    let checkpointer = &mut follower.checkpointer;
    catch_unwind(AssertUnwindSafe(|| checkpointer.checkpoint(durable))).unwrap_err();
    assert_eq!(floors.health().status, Status::Good);
    assert_eq!((store.saves(), floors.checkpointed(ONE)), (1, Some(5)));
    follower.checkpointer.on_save(|_| ());
    assert_eq!(save(&mut follower.checkpointer), 2);
}
