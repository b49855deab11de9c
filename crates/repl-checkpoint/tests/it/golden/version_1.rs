//! Files of version 1, which was never released. Each is refused, with an error that names the file
//! and the version, and is never passed over as damage.

use std::error::Error;
use std::fs;
use std::path::Path;

use repl_checkpoint::{
    CheckpointStore, FileStore, JsonCodec, LoadError, OnCorrupt, PeekError, RecoverErrorKind,
    SlotFileError, SlotStore, Track, UnsealError, peek, recover,
};

use super::HEADER;
use crate::support::{chain, file};

const CHECKPOINTS: [&[u8]; 2] = [
    include_bytes!("../../golden/v1.json.checkpoint"),
    include_bytes!("../../golden/v1.bincode.checkpoint"),
];

const SLOTS: &[u8] = include_bytes!("../../golden/v1.slots");

fn names(path: &Path, error: &dyn Error) {
    let text = chain(error);
    assert!(text.contains(path.to_str().unwrap()), "{text}");
    assert!(text.contains("version is \"1\", and this program reads version 2"), "{text}");
}

/// Refuses the file with either choice, and says so.
fn is_refused<S: CheckpointStore + 'static>(
    path: &Path,
    open: impl Fn() -> S,
    is_it: impl Fn(&RecoverErrorKind) -> bool,
) {
    for on_corrupt in [OnCorrupt::Fail, OnCorrupt::FallBack] {
        let error = recover(open(), JsonCodec, Track::all(), on_corrupt).unwrap_err();
        assert!(is_it(error.kind()), "{error:?}");
        names(path, &error);
    }
    for path in [path, path.parent().unwrap()] {
        let error = peek(path).unwrap_err();
        let is_version =
            matches!(error, PeekError::Damaged { source: UnsealError::Version { .. }, .. });
        assert!(is_version, "{error:?}");
        names(path, &error);
    }
}

#[test]
fn a_checkpoint_of_version_1_is_refused_with_its_path_and_version() {
    for bytes in CHECKPOINTS {
        let dir = tempfile::tempdir().unwrap();
        // Beside an older checkpoint, which nothing takes in its place.
        fs::write(file(dir.path(), HEADER.generation - 1), super::JSON).unwrap();
        let path = file(dir.path(), HEADER.generation);
        fs::write(&path, bytes).unwrap();
        let open = || FileStore::open(dir.path(), HEADER.store).unwrap();
        is_refused(&path, open, |kind| matches!(kind, RecoverErrorKind::Refused { .. }));
    }
}

#[test]
fn a_slot_file_of_version_1_is_refused_with_its_path_and_version() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("marks.slots");
    fs::write(&path, SLOTS).unwrap();
    let open = || SlotStore::open(dir.path(), HEADER.store).unwrap();
    is_refused(&path, open, |kind| {
        let RecoverErrorKind::Load(LoadError::Slots { reason, .. }) = kind else { return false };
        *reason == SlotFileError::Version { version: "1".to_owned() }
    });
}
