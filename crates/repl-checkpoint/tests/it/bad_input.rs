//! Bytes that are not a checkpoint of this store are refused by name, and nothing is changed.

use std::path::Path;

use proptest::prelude::*;
use repl_checkpoint::{
    Checkpoint, CorruptReason, Header, JsonCodec, OnCorrupt, RecoverError, RecoverErrorKind,
    Source, StoreId, UnsealError, recover,
};
use repl_core::ShardId;

use crate::protocol::DIR;
use crate::support::arbitrary::junk;
use crate::support::faulty::Faulty;
use crate::support::{
    Named, STORE, chain, contents, file, header, marks, marks_in, put, recovered, save, sealed,
    try_recover,
};

const ONE: ShardId = ShardId(1);

fn whole() -> Vec<u8> {
    sealed(2, &marks(&[(1, 20)]))
}

/// Recovers from `bytes` as generation 2 above a whole generation 1, with either choice about
/// damage, and checks that no byte changes.
fn refused(bytes: &[u8]) -> [Result<(), RecoverError>; 2] {
    [OnCorrupt::Fail, OnCorrupt::FallBack].map(|on_corrupt| {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), 1, &sealed(1, &marks(&[(1, 10)])));
        put(dir.path(), 2, bytes);
        let before = contents(dir.path());
        let result = try_recover(dir.path(), &[1], on_corrupt);
        assert_eq!(contents(dir.path()), before);
        result.map(|recovered| {
            assert_eq!(recovered.state.applied_seqno(ONE), Some(10));
        })
    })
}

/// Damage is an error with the file, the reason and the older generation, or is fallen back from.
fn is_damage(bytes: &[u8], expected: impl Fn(&UnsealError) -> bool) {
    let [fail, fall_back] = refused(bytes);
    let error = fail.unwrap_err();
    let RecoverErrorKind::Corrupt { newest, older } = error.kind() else {
        panic!("{error}");
    };
    let CorruptReason::Unseal(reason) = &newest.reason else {
        panic!("{error}");
    };
    assert!(expected(reason), "{reason}");
    assert!(newest.path.ends_with("00000000000000000002.checkpoint"));
    let (generation, path) = older.as_ref().unwrap();
    assert_eq!(*generation, 1);
    assert!(path.ends_with("00000000000000000001.checkpoint"));
    let message = chain(&error);
    for part in [newest.path.to_str().unwrap(), &reason.to_string(), path.to_str().unwrap()] {
        assert!(message.contains(part), "{message}");
    }
    fall_back.unwrap();
}

/// A checkpoint of another owner is an error whatever the caller chose.
fn is_refused(bytes: &[u8], expected: impl Fn(&UnsealError) -> bool) {
    for result in refused(bytes) {
        match result.unwrap_err().kind() {
            RecoverErrorKind::Refused { refused, .. } => {
                assert!(refused.path.ends_with("00000000000000000002.checkpoint"));
                assert!(
                    matches!(&refused.reason, CorruptReason::Unseal(reason) if expected(reason))
                );
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn an_empty_file_is_damage_and_not_an_empty_state() {
    is_damage(b"", |reason| matches!(reason, UnsealError::Empty));
}

#[test]
fn a_short_file_is_damage() {
    let whole = whole();
    is_damage(&whole[..100], |reason| matches!(reason, UnsealError::Header));
    let cut = &whole[..whole.len() - 1];
    is_damage(cut, |reason| matches!(reason, UnsealError::Length { .. }));
}

#[test]
fn a_flipped_bit_is_damage() {
    let mut bytes = whole();
    let last = bytes.len() - 4;
    bytes[last] ^= 1;
    is_damage(&bytes, |reason| matches!(reason, UnsealError::Checksum { .. }));
}

#[test]
fn trailing_bytes_are_damage() {
    let longer = [whole(), b"\n".to_vec()].concat();
    is_damage(&longer, |reason| matches!(reason, UnsealError::Length { .. }));
}

#[test]
fn zeros_in_place_of_a_file_are_damage() {
    is_damage(&[0; 4096], |reason| matches!(reason, UnsealError::Magic));
}

#[test]
fn another_generations_file_is_damage() {
    let older = sealed(1, &marks(&[(1, 10)]));
    is_damage(&older, |reason| {
        matches!(reason, UnsealError::OtherGeneration { expected: 2, found: 1 })
    });
}

#[test]
fn another_codecs_file_is_refused_and_never_fallen_back_from() {
    let bytes = marks(&[(1, 20)]).seal(&Named("other"), header(2)).unwrap();
    is_refused(
        &bytes,
        |reason| matches!(reason, UnsealError::OtherCodec { expected: "json", found } if found == "other"),
    );
}

#[test]
fn another_stores_file_is_refused_and_never_fallen_back_from() {
    let theirs = StoreId(0xbad);
    let header = Header { store: theirs, ..header(2) };
    let bytes = marks(&[(1, 20)]).seal(&JsonCodec, header).unwrap();
    is_refused(
        &bytes,
        |reason| matches!(reason, UnsealError::OtherStore { expected, found } if (*expected, *found) == (STORE, theirs)),
    );
}

#[test]
fn a_newer_version_is_refused_and_never_fallen_back_from() {
    let bytes = b"repl-checkpoint v3 of a later program\n";
    is_refused(
        bytes,
        |reason| matches!(reason, UnsealError::Version { version } if version == "3"),
    );
}

#[test]
fn a_named_store_and_an_unnamed_one_refuse_each_others_files() {
    let header = Header { store: StoreId::UNNAMED, ..header(2) };
    let bytes = marks(&[(1, 20)]).seal(&JsonCodec, header).unwrap();
    is_refused(&bytes, |reason| matches!(reason, UnsealError::OtherStore { .. }));
}

fn reports(dir: &Path, named: &[u64]) -> (Vec<u64>, Vec<u64>) {
    let found = recovered(dir, named).report;
    let ids = |shards: Vec<repl_core::ShardId>| shards.into_iter().map(|s| s.0).collect();
    (ids(found.orphaned), ids(found.missing))
}

#[test]
fn orphaned_and_missing_shards_are_reported_in_order() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), 1, &sealed(1, &marks(&[(1, 10), (5, 50), (7, 70), (9, 90)])));
    let before = contents(dir.path());
    assert_eq!(reports(dir.path(), &[7, 1, 5, 9]), (vec![], vec![]));
    assert_eq!(reports(dir.path(), &[8, 7, 2, 2]), (vec![1, 5, 9], vec![2, 8]));
    assert_eq!(reports(dir.path(), &[]), (vec![1, 5, 7, 9], vec![]));
    assert_eq!(contents(dir.path()), before);
}

#[test]
fn a_missing_shard_starts_at_0_and_a_known_one_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), 1, &sealed(1, &marks(&[(1, 10), (5, 50)])));
    let mut follower = recovered(dir.path(), &[1, 2]);
    let marks: Vec<_> = follower.state.snapshot().iter().map(|(s, m)| (s.0, m)).collect();
    assert_eq!(marks, [(1, 10), (2, 0)]);
    let generation = save(&mut follower.checkpointer);
    assert_eq!(marks_in(dir.path(), generation), [(1, 10), (2, 0), (5, 50)]);
    assert!(file(dir.path(), 1).exists());
}

/// The bytes of a file: a checkpoint, a damaged one, or anything.
fn file_bytes() -> impl Strategy<Value = Option<Vec<u8>>> {
    let whole = (1..6_u64, 0..1000_u64).prop_map(|(g, m)| sealed(g, &marks(&[(1, m)])));
    let flipped = (1..6_u64, any::<prop::sample::Index>()).prop_map(|(g, bit)| {
        let mut bytes = sealed(g, &marks(&[(1, g)]));
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    });
    prop_oneof![Just(None), junk().prop_map(Some), whole.prop_map(Some), flipped.prop_map(Some),]
}

proptest! {
    #[test]
    fn no_bytes_on_the_disk_make_recovery_panic_or_invent_a_mark(
        files in proptest::collection::vec(file_bytes(), 5),
        fall_back in any::<bool>(),
    ) {
        let disk = Faulty::new();
        disk.mkdir(DIR);
        // Only whole files under their own name count.
        let mut whole = Vec::new();
        for (bytes, generation) in files.iter().zip(1_u64..) {
            let Some(bytes) = bytes else { continue };
            disk.put(&format!("{DIR}/{generation:020}.checkpoint"), bytes);
            let opened = Checkpoint::unseal(&JsonCodec, STORE, bytes);
            if let Ok((header, checkpoint)) = opened && header.generation == generation {
                whole.push((generation, checkpoint.shard(ONE).map(|s| s.mark)));
            }
        }
        let newest = files.iter().rposition(Option::is_some).map(|i| i as u64 + 1);
        let on_corrupt = if fall_back { OnCorrupt::FallBack } else { OnCorrupt::Fail };
        let store = crate::protocol::open(&disk).unwrap();
        if let Ok(found) = recover(store, JsonCodec, &[ONE], on_corrupt) {
            let mark = found.state.applied_seqno(ONE);
            match found.report.source {
                Source::Fresh => prop_assert_eq!(newest, None),
                Source::Resumed { generation } => {
                    prop_assert_eq!(Some(generation), newest);
                    prop_assert_eq!(whole.last(), Some(&(generation, mark)));
                }
                Source::FellBack { generation, .. } => {
                    prop_assert!(fall_back && Some(generation) < newest);
                    prop_assert_eq!(whole.last(), Some(&(generation, mark)));
                }
            }
        }
    }
}
