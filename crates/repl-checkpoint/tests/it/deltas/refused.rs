//! Deltas that a store has not offered a base for, and files of version 1.

use std::fs;

use repl_checkpoint::{
    CheckpointStore, CorruptReason, FileStore, JsonCodec, LoadError, OnCorrupt, PeekError,
    RecoverErrorKind, Save, SaveError, SlotFileError, SlotStore, UnsealError, peek, recover,
};

use super::{ONE, file, first, with_deltas};
use crate::protocol::open;
use crate::support::deltas::{delta_on, save_delta};
use crate::support::faulty::Faulty;
use crate::support::{STORE, file_name, marks, sealed};

#[test]
fn what_builds_on_another_base_is_refused_before_any_call() {
    let (disk, mut store) = with_deltas(4);
    let before = file(&disk);
    let offered = store.delta_base().unwrap();
    let (base, link) = (offered.generation, offered.link);
    let right = delta_on((base, link), 5, &first(5), &[]);
    let two = [&right[..], &right].concat();
    let padded = [&right[..], &[0xff; 8]].concat();
    let whole = sealed(5, &first(5));
    let too_long = marks(&(1..2000).map(|id| (id, 50)).collect::<Vec<_>>());
    for (base, bytes) in [
        (base - 1, &delta_on((base - 1, link), 5, &first(5), &[])),
        (base, &delta_on((base, link ^ 1), 5, &first(5), &[])),
        (base, &delta_on((base, link), 6, &first(6), &[])),
        (4, &right),
        (base, &two),
        (base, &padded),
        (base, &whole),
        (base, &Vec::new()),
        (base, &delta_on((base, link), 5, &too_long, &[])),
    ] {
        let save = Save { generation: 5, confirmed: 4, bytes, base: Some(base) };
        let refused = store.save(save).unwrap_err();
        assert!(matches!(refused, SaveError::NotSaved { .. }), "{refused}");
    }
    assert_eq!(disk.calls(), [""; 0]);
    assert_eq!((file(&disk), store.delta_base()), (before, Some(offered)));
    save_delta(&mut store, 5, &first(5), &[]).unwrap();
}

#[test]
fn a_file_store_refuses_deltas() {
    let disk = Faulty::new();
    let mut store = open(&disk).unwrap();
    for generation in 1..=3 {
        crate::protocol::save(&mut store, generation).unwrap();
    }
    assert_eq!(store.delta_base(), None);
    disk.arm(None);
    let bytes = delta_on((3, 0), 4, &first(4), &[]);
    let refused = store.save(Save { generation: 4, confirmed: 3, bytes: &bytes, base: Some(3) });
    assert!(matches!(refused, Err(SaveError::NotSaved { .. })), "{refused:?}");
    assert_eq!(disk.calls(), [""; 0]);
    crate::protocol::save(&mut store, 4).unwrap();
}

/// A checkpoint of version 1, byte for byte.
fn version_1() -> Vec<u8> {
    let payload = "{\"next_incarnation\":1,\"shards\":[\n{\"shard\":1,\"mark\":10}]}";
    let checked = format!(
        "repl-checkpoint v1 codec=json     store={STORE} generation={:020} confirmed={:020} \
         length={:020} crc32c=",
        1,
        0,
        payload.len()
    );
    let crc = crc32c::crc32c(format!("{checked}{payload}").as_bytes());
    format!("{checked}{crc:08x}\n{payload}").into_bytes()
}

#[test]
fn a_checkpoint_of_version_1_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(file_name(1)), version_1()).unwrap();
    for on_corrupt in [OnCorrupt::Fail, OnCorrupt::FallBack] {
        let store = FileStore::open(dir.path(), STORE).unwrap();
        let error = recover(store, JsonCodec, &[ONE], on_corrupt).unwrap_err();
        let RecoverErrorKind::Refused { refused, .. } = error.kind() else { panic!("{error}") };
        assert!(
            matches!(&refused.reason, CorruptReason::Unseal(UnsealError::Version { version }) if version == "1"),
            "{refused}"
        );
    }
    let error = peek(dir.path()).unwrap_err();
    assert!(matches!(error, PeekError::Damaged { source: UnsealError::Version { .. }, .. }));
}

#[test]
fn a_slot_file_of_version_1_is_refused_by_name() {
    let line = format!("repl-checkpoint slots v1 store={STORE} slot={:020} crc32c=", 4096);
    let mut bytes = format!("{line}{:08x}\n", crc32c::crc32c(line.as_bytes())).into_bytes();
    for slot in 1..=3 {
        bytes.resize(4096 * slot, 0);
        bytes.extend(version_1());
    }
    bytes.resize(4096 * 4, 0);
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("marks.slots"), bytes).unwrap();
    for on_corrupt in [OnCorrupt::Fail, OnCorrupt::FallBack] {
        let store = SlotStore::open(dir.path(), STORE).unwrap();
        let error = recover(store, JsonCodec, &[ONE], on_corrupt).unwrap_err();
        let RecoverErrorKind::Load(LoadError::Slots { reason, .. }) = error.kind() else {
            panic!("{error}")
        };
        assert_eq!(*reason, SlotFileError::Version { version: "1".to_owned() });
    }
    let error = peek(dir.path()).unwrap_err();
    assert!(matches!(error, PeekError::Damaged { source: UnsealError::Version { .. }, .. }));
}
