//! What is not a checkpoint of this store is refused by name, and nothing is changed.

use std::path::Path;

use repl_checkpoint::{
    CorruptReason, Header, JsonCodec, OnCorrupt, RecoverError, StoreId, UnsealError, seal,
};

use crate::support::{
    Other, STORE, contents, file, header, marks, marks_in, put, recovered, save, sealed,
    try_recover,
};

fn whole() -> Vec<u8> {
    sealed(2, &marks(&[(1, 20)]))
}

/// Recovers over `bytes` as generation 2 with a whole generation 1 below, either way to deal with
/// damage, and sees that no byte changes.
fn refused(bytes: &[u8]) -> [Result<(), RecoverError>; 2] {
    [OnCorrupt::Fail, OnCorrupt::FallBack].map(|on_corrupt| {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), 1, &sealed(1, &marks(&[(1, 10)])));
        put(dir.path(), 2, bytes);
        let before = contents(dir.path());
        let result = try_recover(dir.path(), &[1], on_corrupt);
        assert_eq!(contents(dir.path()), before);
        result.map(|recovered| {
            assert_eq!(recovered.state.applied_seqno(repl_core::ShardId(1)), Some(10));
        })
    })
}

/// Damage: an error that names the file, the reason and the older generation, or the older one.
fn is_damage(bytes: &[u8], expected: impl Fn(&UnsealError) -> bool) {
    let [fail, fall_back] = refused(bytes);
    let error = fail.unwrap_err();
    let RecoverError::Corrupt { newest, older } = &error else {
        panic!("{error}");
    };
    let CorruptReason::Open(reason) = &newest.reason else {
        panic!("{error}");
    };
    assert!(expected(reason), "{reason}");
    assert!(newest.path.ends_with("00000000000000000002.checkpoint"));
    let (generation, path) = older.as_ref().unwrap();
    assert_eq!(*generation, 1);
    assert!(path.ends_with("00000000000000000001.checkpoint"));
    let message = error.to_string();
    for part in [newest.path.to_str().unwrap(), &reason.to_string(), path.to_str().unwrap()] {
        assert!(message.contains(part), "{message}");
    }
    fall_back.unwrap();
}

/// Somebody else's: an error whatever the caller chose.
fn is_refused(bytes: &[u8], expected: impl Fn(&UnsealError) -> bool) {
    for result in refused(bytes) {
        match result.unwrap_err() {
            RecoverError::Refused { refused, .. } => {
                assert!(refused.path.ends_with("00000000000000000002.checkpoint"));
                assert!(matches!(&refused.reason, CorruptReason::Open(reason) if expected(reason)));
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
    let bytes = seal(&Other, header(2), &marks(&[(1, 20)])).unwrap();
    is_refused(
        &bytes,
        |reason| matches!(reason, UnsealError::OtherCodec { expected: "json", found } if found == "other"),
    );
}

#[test]
fn another_stores_file_is_refused_and_never_fallen_back_from() {
    let theirs = StoreId(0xbad);
    let header = Header { store: theirs, ..header(2) };
    let bytes = seal(&JsonCodec, header, &marks(&[(1, 20)])).unwrap();
    is_refused(
        &bytes,
        |reason| matches!(reason, UnsealError::OtherStore { expected, found } if (*expected, *found) == (STORE, theirs)),
    );
}

#[test]
fn a_newer_version_is_refused_and_never_fallen_back_from() {
    let bytes = b"repl-checkpoint v2 that nobody has written yet\n";
    is_refused(
        bytes,
        |reason| matches!(reason, UnsealError::Version { version } if version == "2"),
    );
}

#[test]
fn an_unnamed_store_and_a_named_one_are_not_each_others() {
    let header = Header { store: StoreId::UNNAMED, ..header(2) };
    let bytes = seal(&JsonCodec, header, &marks(&[(1, 20)])).unwrap();
    is_refused(&bytes, |reason| matches!(reason, UnsealError::OtherStore { .. }));
}

fn reports(dir: &Path, named: &[u64]) -> (Vec<u64>, Vec<u64>) {
    let found = recovered(dir, named).found;
    let ids = |shards: Vec<repl_core::ShardId>| shards.into_iter().map(|s| s.0).collect();
    (ids(found.unnamed), ids(found.missing))
}

#[test]
fn unknown_and_missing_shards_are_reported_in_order() {
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
