//! Bugs of other systems in the files that hold their progress.

use std::fs;

use repl_checkpoint::{
    CheckpointBytes, CorruptReason, OnCorrupt, RecoverErrorKind, SaveError, SealError, UnsealError,
};
use repl_core::{NewShard, ReplicationState, ShardId};

use crate::protocol::{EIO, open, save as save_on, with_two_saves};
use crate::support::faulty::{Fault, How};
use crate::support::format::with_right_checksums;
use crate::support::{
    STORE, contents, durable, file, marks, marks_in, put, recovered, save, sealed, try_recover,
};

const ONE: ShardId = ShardId(1);

/// Kafka 15993: a checkpoint was renamed into place before its bytes were on the disk.
#[test]
fn kafka_no_file_is_renamed_before_it_is_synced() {
    let (disk, mut store) = with_two_saves();
    for generation in 3..6 {
        disk.arm(None);
        save_on(&mut store, generation).unwrap();
        let calls = disk.calls();
        let at = |verb: &str| calls.iter().position(|c| c.starts_with(verb)).unwrap();
        let last_write = calls.iter().rposition(|c| c.starts_with("write")).unwrap();
        assert!(last_write < at("sync_file") && at("sync_file") < at("rename"));
        assert_eq!(calls.iter().filter(|c| c.starts_with("rename")).count(), 1);
    }
    // A file whose sync failed is not renamed either.
    disk.arm(Fault { on: "sync_file", after: 0, times: 1, how: How::Errno(EIO) });
    save_on(&mut store, 6).unwrap_err();
    assert!(!disk.calls().iter().any(|c| c.starts_with("rename")));
}

/// Kafka: an empty checkpoint file was read as an empty map.
#[test]
fn kafka_an_empty_file_is_not_an_empty_state() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), 1, b"");
    for on_corrupt in [OnCorrupt::Fail, OnCorrupt::FallBack] {
        let error = try_recover(dir.path(), &[1], on_corrupt).unwrap_err();
        let RecoverErrorKind::Corrupt { newest, older: None } = error.kind() else {
            panic!("{error}");
        };
        assert!(matches!(newest.reason, CorruptReason::Unseal(UnsealError::Empty)));
    }
    assert_eq!(contents(dir.path())["00000000000000000001.checkpoint"], b"");
}

/// Postgres: WAL was removed that the slot on disk still needed.
#[test]
fn postgres_the_floor_is_what_the_disk_holds_and_not_what_memory_holds() {
    let dir = tempfile::tempdir().unwrap();
    let mut follower = recovered(dir.path(), &[1]);
    let floors = follower.checkpointer.floors();
    for mark in 1..=10 {
        follower.state.advance(ONE, mark * 10);
        if mark % 3 == 0 {
            follower.checkpointer.checkpoint(|_| Err("not now".into())).unwrap_err();
        } else {
            save(&mut follower.checkpointer);
        }
        follower.state.advance(ONE, mark * 10 + 5);
        if let Some(floor) = floors.retention_floor(ONE) {
            // Whichever file a crash leaves, no segment at or below the floor is needed.
            let on_disk = contents(dir.path());
            let lowest = on_disk.keys().next().unwrap().strip_suffix(".checkpoint").unwrap();
            assert!(floor <= marks_in(dir.path(), lowest.parse().unwrap())[0].1);
        }
    }
}

/// Postgres f57f2760: a leftover temporary file blocked every later save.
#[test]
fn postgres_a_leftover_temporary_file_blocks_no_save() {
    let dir = tempfile::tempdir().unwrap();
    let mut follower = recovered(dir.path(), &[1]);
    for generation in 1..=3_u64 {
        for n in 0..5 {
            let name = format!("{generation:020}.checkpoint.temp-7-{n}");
            fs::write(dir.path().join(name), "left over").unwrap();
        }
    }
    for mark in 1..=3 {
        follower.state.advance(ONE, mark);
        assert_eq!(save(&mut follower.checkpointer), mark);
    }
    drop(follower);
    drop(recovered(dir.path(), &[1]));
    assert_eq!(contents(dir.path()).len(), 2, "gone at the next open");
}

/// Postgres eb97aa7e: padding bytes were part of the checksum.
#[test]
fn postgres_equal_states_are_saved_as_equal_bytes() {
    let saved = |order: [u64; 3]| {
        let dir = tempfile::tempdir().unwrap();
        let ids = order.map(|id| (id, id * 10));
        let mut follower = recovered(dir.path(), &order);
        for (id, mark) in ids {
            follower.state.advance(ShardId(id), mark);
        }
        save(&mut follower.checkpointer);
        fs::read(file(dir.path(), 1)).unwrap()
    };
    assert_eq!(saved([1, 2, 3]), saved([3, 1, 2]));
}

/// etcd 13766: the saved index was ahead of the data.
#[test]
fn etcd_no_saved_mark_is_ahead_of_what_was_flushed() {
    let dir = tempfile::tempdir().unwrap();
    let mut follower = recovered(dir.path(), &[1]);
    let state = follower.state.clone();
    for mark in 1..=20 {
        state.advance(ONE, mark * 10);
        let mut flushed = 0;
        let flush = |attempt: &mut repl_checkpoint::Attempt| {
            // Not everything is durable, and more is applied meanwhile.
            flushed = attempt.marks().mark(ONE).unwrap() - 3;
            attempt.lower(ONE, flushed);
            state.advance(ONE, mark * 10 + 5);
            Ok(())
        };
        follower.checkpointer.checkpoint(flush).unwrap();
        assert_eq!(marks_in(dir.path(), mark), [(1, flushed)]);
    }
}

/// etcd 13766, solved by marks in the engine's own transaction.
#[test]
fn etcd_marks_can_ride_in_the_engines_own_transaction() {
    // The engine commits data and marks as one value; a crash leaves the old or the new one.
    let state = ReplicationState::single();
    let mut committed = (0, state.to_checkpoint_bytes());
    for seqno in 1..=10 {
        state.advance(ShardId::SINGLE, seqno);
        let transaction = (seqno, state.to_checkpoint_bytes());
        if seqno % 2 == 0 {
            committed = transaction;
        }
        let (data, bytes) = &committed;
        let back = ReplicationState::from_checkpoint_bytes(bytes, &[ShardId::SINGLE]).unwrap();
        assert_eq!(back.applied_seqno(ShardId::SINGLE), Some(*data));
    }
}

/// NATS 8036 and 7691: progress was reset on power loss, a consumer deleted on a corrupt file.
#[test]
fn nats_damage_resets_and_deletes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let whole = sealed(2, &marks(&[(1, 20)]));
    put(dir.path(), 1, &whole[..50]);
    put(dir.path(), 2, &whole[..whole.len() - 1]);
    let before = contents(dir.path());
    for _ in 0..3 {
        for on_corrupt in [OnCorrupt::Fail, OnCorrupt::FallBack] {
            try_recover(dir.path(), &[1], on_corrupt).unwrap_err();
        }
    }
    assert_eq!(contents(dir.path()), before);
}

/// Elasticsearch 43205: the checkpoint advanced before it was persisted.
#[test]
fn elasticsearch_no_mark_counts_as_checkpointed_before_it_is_on_the_disk() {
    for (on, poisons) in [("sync_file", false), ("rename", true), ("sync_dir", true)] {
        let (disk, store) = with_two_saves();
        drop(store);
        let store = open(&disk).unwrap();
        let found =
            repl_checkpoint::recover(store, repl_checkpoint::JsonCodec, &[ONE], OnCorrupt::Fail);
        let mut follower = found.unwrap();
        let floors = follower.checkpointer.floors();
        save(&mut follower.checkpointer);
        follower.state.advance(ONE, 99);
        disk.arm(Fault { on, after: 0, times: 1, how: How::Errno(EIO) });
        let error = follower.checkpointer.checkpoint(durable).unwrap_err();
        assert_eq!(error.is_poisoning(), poisons);
        assert_eq!((floors.checkpointed(ONE), floors.retention_floor(ONE)), (Some(20), None));
    }
}

/// Harper 1949: the position was saved only at shutdown.
#[test]
fn harper_nothing_depends_on_a_clean_shutdown() {
    let dir = tempfile::tempdir().unwrap();
    let mut follower = recovered(dir.path(), &[1]);
    follower.state.advance(ONE, 7);
    let generation = save(&mut follower.checkpointer);
    // Another process reads what this one would leave if it were killed now.
    let crashed = tempfile::tempdir().unwrap();
    put(crashed.path(), generation, &fs::read(file(dir.path(), generation)).unwrap());
    assert_eq!(recovered(crashed.path(), &[1]).state.applied_seqno(ONE), Some(7));
}

/// libsql 700: a replica whose metadata was missing began at 0 over existing data.
#[test]
fn libsql_a_shard_without_a_checkpoint_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), 1, &sealed(1, &marks(&[(1, 10)])));
    assert_eq!(recovered(dir.path(), &[1, 2]).report.missing, [ShardId(2)]);
    let lost = tempfile::tempdir().unwrap();
    let found = recovered(lost.path(), &[1, 2]).report;
    assert!(matches!(found.source, repl_checkpoint::Source::Fresh));
    assert_eq!(found.missing, [ONE, ShardId(2)]);
}

/// Kafka 9219: epoch 0 was taken for none, a mark of 0 for absent.
#[test]
fn kafka_absent_is_not_zero() {
    let dir = tempfile::tempdir().unwrap();
    let mut follower = recovered(dir.path(), &[1]);
    follower.state.add_shard(NewShard::new(ShardId(2))).unwrap();
    let generation = save(&mut follower.checkpointer);
    assert_eq!(marks_in(dir.path(), generation), [(1, 0), (2, 0)]);
    assert_eq!(follower.checkpointer.floors().checkpointed(ShardId(2)), Some(0));
    assert_eq!(follower.checkpointer.floors().checkpointed(ShardId(3)), None);
    drop(follower);
    assert_eq!(recovered(dir.path(), &[1, 2, 3]).report.missing, [ShardId(3)]);
}

/// After a failed sync a second one succeeds though the disk holds the old bytes. This is about the
/// directory; `protocol::a_file_whose_sync_failed_is_never_synced_again` is about a file.
#[test]
fn linux_a_failed_sync_is_not_made_good_by_a_second_one() {
    let (disk, mut store) = with_two_saves();
    disk.arm(Fault { on: "sync_dir", after: 0, times: 1, how: How::Errno(EIO) });
    assert!(matches!(save_on(&mut store, 3), Err(SaveError::InDoubt { .. })));
    assert!(matches!(save_on(&mut store, 3), Err(SaveError::Poisoned { .. })));
    assert_eq!(disk.calls().iter().filter(|c| c.starts_with("sync_dir")).count(), 1);
}

/// No store writes a header that confirms a generation not yet saved. Such a header must not make
/// the store remove what it has just saved.
#[test]
fn a_confirmed_generation_ahead_of_its_own_loses_no_save() {
    let header = repl_checkpoint::Header { store: STORE, generation: 1, confirmed: 100 };
    let codec = &repl_checkpoint::JsonCodec;
    let refused = marks(&[(1, 10)]).seal(codec, header).unwrap_err();
    assert!(matches!(refused, SealError::Confirmed { generation: 1, confirmed: 100 }));

    // Forged, with a matching checksum.
    let honest = String::from_utf8(sealed(1, &marks(&[(1, 10)]))).unwrap();
    let forged =
        honest.replacen("confirmed=00000000000000000000", "confirmed=00000000000000000100", 1);
    let forged = with_right_checksums(forged.into_bytes());
    assert_ne!(forged, honest.as_bytes());
    let opened = repl_checkpoint::Checkpoint::unseal(codec, STORE, &forged);
    assert!(matches!(opened, Err(UnsealError::Header)), "{opened:?}");
}
