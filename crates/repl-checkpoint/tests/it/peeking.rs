//! Looking at checkpoints from outside, beside a store that saves.

use std::fs;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use repl_checkpoint::{
    Checkpoint, FileStore, Generation, Header, JsonCodec, PeekError, SlotStore, UnsealError, peek,
};
use repl_core::ShardId;

use crate::support::format::{HEADER, closed, used, with_right_checksums};
use crate::support::{
    AnyStore, Named, STORE, contents, file, marks, put, recovered_from, save, sealed,
};

const ONE: ShardId = ShardId(1);

fn found_is_what_was_saved<S: AnyStore>(named: &str) {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(peek(dir.path()), Err(PeekError::Nothing { .. })));
    let mut follower = recovered_from::<S>(dir.path(), &[1]);
    for mark in [5, 6, 7] {
        follower.state.advance(ONE, mark);
        save(&mut follower.checkpointer);
    }
    let before = contents(dir.path());
    for path in [dir.path().to_owned(), dir.path().join(named)] {
        let found = peek(path).unwrap();
        assert_eq!(found.path, dir.path().join(named));
        assert_eq!(found.header, Header { store: STORE, generation: 3, confirmed: 2 });
        assert_eq!(found.codec, "json");
        assert_eq!(found.checkpoint.unwrap().shard(ONE).unwrap().mark, 7);
    }
    assert_eq!(contents(dir.path()), before, "it leaves no trace");
}

#[test]
fn the_newest_checkpoint_is_found_without_lock_store_id_and_codec() {
    found_is_what_was_saved::<FileStore>("00000000000000000003.checkpoint");
    found_is_what_was_saved::<SlotStore>("marks.slots");
}

#[test]
fn damage_is_passed_over_and_named_where_nothing_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), 1, &sealed(1, &marks(&[(1, 5)])));
    put(dir.path(), 2, b"half");
    assert_eq!(peek(dir.path()).unwrap().header.generation, 1);
    fs::remove_file(file(dir.path(), 1)).unwrap();
    let PeekError::Damaged { path, source } = peek(dir.path()).unwrap_err() else { panic!() };
    assert_eq!(path, file(dir.path(), 2));
    assert!(matches!(source, UnsealError::Magic));
}

#[test]
fn an_unknown_codec_is_named_and_its_payload_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other");
    let bytes = Checkpoint::default().seal(&Named("other"), Header::default()).unwrap();
    fs::write(&path, bytes).unwrap();
    let found = peek(&path).unwrap();
    assert_eq!((found.codec.as_str(), found.checkpoint), ("other", None));
}

#[test]
fn a_missing_path_is_an_io_error() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let PeekError::Io { path, source, .. } = peek(&missing).unwrap_err() else { panic!() };
    assert_eq!((path, source.kind()), (missing, ErrorKind::NotFound));
}

#[test]
fn a_damaged_slot_file_is_no_endless_wait() {
    let dir = tempfile::tempdir().unwrap();
    save(&mut recovered_from::<SlotStore>(dir.path(), &[1]).checkpointer);
    let path = dir.path().join("marks.slots");
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096..].fill(b'x');
    fs::write(&path, bytes).unwrap();
    assert!(matches!(peek(&path), Err(PeekError::Damaged { .. })));
}

/// Peeks while a store saves as fast as it can; every peek must find a checkpoint, and generations
/// never fall.
fn no_false_alarm_beside_saves<S: AnyStore>(peeks: u64) {
    let dir = tempfile::tempdir().unwrap();
    let shards: Vec<u64> = (1..=64).collect();
    let mut follower = recovered_from::<S>(dir.path(), &shards);
    save(&mut follower.checkpointer);
    let done = AtomicBool::new(false);
    thread::scope(|s| {
        s.spawn(|| {
            let mut mark = 0;
            while !done.load(SeqCst) {
                mark += 1;
                for shard in &shards {
                    follower.state.advance(ShardId(*shard), mark);
                }
                save(&mut follower.checkpointer);
            }
        });
        let mut newest: Generation = 0;
        for _ in 0..peeks {
            let found = peek(dir.path()).map(|found| found.header.generation);
            if !found.as_ref().is_ok_and(|generation| *generation >= newest) {
                done.store(true, SeqCst); // so that the writer ends, and the failure is seen
            }
            let generation = found.unwrap();
            assert!(generation >= newest, "{generation} after {newest}");
            newest = generation;
        }
        done.store(true, SeqCst);
        assert!(newest > 1);
    });
}

#[test]
fn beside_saves_every_peek_finds_a_whole_checkpoint() {
    no_false_alarm_beside_saves::<FileStore>(2000);
    no_false_alarm_beside_saves::<SlotStore>(2000);
}

#[test]
fn a_file_that_needs_no_codec_to_be_read_is_decoded_by_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bytes");
    let checkpoint = marks(&[(1, 5), (2, 6)]);
    fs::write(&path, checkpoint.seal(&JsonCodec, Header::default()).unwrap()).unwrap();
    assert_eq!(peek(&path).unwrap().checkpoint, Some(checkpoint));
}

#[test]
fn a_file_of_another_generation_than_its_name_says_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), 1, &sealed(1, &marks(&[(1, 5)])));
    put(dir.path(), 2, &sealed(3, &marks(&[(1, 6)])));
    assert_eq!(peek(dir.path()).unwrap().path, file(dir.path(), 1));
    fs::remove_file(file(dir.path(), 1)).unwrap();
    let PeekError::Damaged { source, .. } = peek(dir.path()).unwrap_err() else { panic!() };
    assert!(matches!(source, UnsealError::OtherGeneration { expected: 2, found: 3 }));
}

#[test]
fn a_slot_whose_payload_is_no_checkpoint_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut follower = recovered_from::<SlotStore>(dir.path(), &[1]);
    for mark in 1..=3 {
        follower.state.advance(ONE, mark);
        save(&mut follower.checkpointer);
    }
    let path = dir.path().join("marks.slots");
    let mut bytes = fs::read(&path).unwrap();
    let mut generations = bytes.chunks(4096).map(|page| &page[84..104]);
    let newest = generations.position(|found| found == b"00000000000000000003").unwrap();
    let slot = &mut bytes[newest * 4096..][..4096];
    let mut record = used(slot).to_vec();
    record[HEADER] = b'[';
    let record = closed(&with_right_checksums(record));
    slot[..record.len()].copy_from_slice(&record);
    fs::write(&path, bytes).unwrap();
    assert_eq!(peek(&path).unwrap().header.generation, 2);
}
