//! `peek` beside a store that saves deltas.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use repl_checkpoint::{CheckpointStore, Peeked, SlotStore, peek};

use super::{ONE, SECTOR, all, first, records};
use crate::support::STORE;
use crate::support::deltas::{save_delta, save_whole};

/// Saves a delta where the store offers a base, with room to spare.
fn save(store: &mut SlotStore, generation: u64) {
    match store.delta_base() {
        Some(base) if base.room >= SECTOR => {
            save_delta(store, generation, &first(generation), &[]).unwrap();
        }
        _ => save_whole(store, generation, &all(generation)).unwrap(),
    }
}

/// Checks that it is what was saved, and returns its generation.
fn generation(found: &Peeked) -> u64 {
    let generation = found.header.generation;
    let checkpoint = found.checkpoint.as_ref().unwrap();
    assert_eq!(checkpoint.shard(ONE).unwrap().mark, generation * 10);
    assert_eq!(checkpoint.shards.len(), all(1).shards.len());
    assert_eq!(found.header.confirmed, generation - 1);
    generation
}

#[test]
fn the_newest_delta_is_found_and_a_torn_one_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = SlotStore::open(dir.path(), STORE).unwrap();
    for next in 1..=6 {
        save(&mut store, next);
        assert_eq!(generation(&peek(dir.path()).unwrap()), next);
    }
    let path = dir.path().join("marks.slots");
    let whole = fs::read(&path).unwrap();
    let at = records(&whole, 0)[2].1;
    for torn in [at, at + 100, at + 300] {
        let mut bytes = whole.clone();
        bytes[torn..at + SECTOR].fill(0xff);
        fs::write(&path, &bytes).unwrap();
        assert_eq!(generation(&peek(&path).unwrap()), 5);
    }
}

fn saves_until(stop: &AtomicBool, dir: &Path) -> u64 {
    let mut store = SlotStore::open(dir, STORE).unwrap();
    let mut newest = 0;
    while !stop.load(SeqCst) {
        newest += 1;
        save(&mut store, newest);
    }
    newest
}

#[test]
fn beside_a_store_that_saves_deltas_what_is_seen_is_whole_and_never_older_than_before() {
    let dir = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let saves = scope.spawn(|| saves_until(&stop, dir.path()));
        let mut newest = 0;
        while newest < 300 && !saves.is_finished() {
            if let Ok(found) = peek(dir.path()) {
                let seen = generation(&found);
                assert!(seen >= newest, "{seen} after {newest}");
                newest = seen;
            }
        }
        stop.store(true, SeqCst);
        assert!(saves.join().unwrap() >= 300);
    });
}
