use std::fs;
use std::path::Path;

use repl_checkpoint::{
    Checkpoint, CheckpointStore, FileStore, JsonCodec, LoadError, OnCorrupt, SlotFileError,
    SlotStore, StoreId, UnsealError, recover,
};
use repl_core::ShardId;

use super::{Header, LONGEST, OTHER, PAGE, all_in, first_of};

const STORE: StoreId = StoreId(7);

/// What the library says of a header.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Right,
    Damaged,
    OtherVersion,
}

impl Said {
    fn of(header: &Header) -> Self {
        match (header.right, header.kind) {
            (true, _) => Said::Right,
            (_, OTHER) => Said::OtherVersion,
            _ => Said::Damaged,
        }
    }

    fn by_unsealing(bytes: &[u8]) -> Self {
        match Checkpoint::unseal(&JsonCodec, STORE, bytes) {
            Ok(_) => Said::Right,
            Err(UnsealError::Version { .. }) => Said::OtherVersion,
            Err(_) => Said::Damaged,
        }
    }

    fn by_loading(dir: &Path) -> Self {
        let mut store = SlotStore::open(dir, STORE).unwrap();
        let found = store.load().map(|mut found| found.all(|it| it.generation.is_some()));
        match found {
            // That of a damaged first page has no generation.
            Ok(true) => Said::Right,
            Err(LoadError::Slots { reason: SlotFileError::Version { .. }, .. }) => {
                Said::OtherVersion
            }
            Ok(false) | Err(_) => Said::Damaged,
        }
    }
}

fn save_three(store: impl CheckpointStore + 'static) {
    let mut follower = recover(store, JsonCodec, &[ShardId(1)], OnCorrupt::Fail).unwrap();
    for mark in 1..=3 {
        follower.state.advance(ShardId(1), mark);
        follower.checkpointer.checkpoint(|_| Ok(())).unwrap();
    }
}

/// Calls `each` with every byte of a range of a file changed in two ways, and with its version.
fn with_each_byte_changed(path: &Path, to: usize, mut each: impl FnMut(String)) {
    let whole = fs::read(path).unwrap();
    for at in 0..to {
        for new in [whole[at] ^ 1, b'7', b' ', b'\n'] {
            let mut bytes = whole.clone();
            bytes[at] = new;
            fs::write(path, &bytes).unwrap();
            each(format!("byte {at} is {new}"));
        }
    }
    let version = whole.windows(3).position(|three| three == b" v2").unwrap() + 2;
    for other in ["", "02", "10", "12345678", "123456789", "x"] {
        let mut bytes = whole.clone();
        bytes.splice(version..=version, other.bytes());
        bytes.resize(whole.len(), 0);
        fs::write(path, &bytes).unwrap();
        each(format!("version {other:?}"));
    }
    fs::write(path, whole).unwrap();
}

#[test]
fn raw_headers_of_files_are_right_where_the_library_says_so() {
    let dir = tempfile::tempdir().unwrap();
    save_three(FileStore::open(dir.path(), STORE).unwrap());
    let file = dir.path().join("00000000000000000003.checkpoint");
    with_each_byte_changed(&file, 197, |change| {
        let header = first_of(&file).unwrap();
        let said = Said::by_unsealing(&fs::read(&file).unwrap());
        assert_eq!(Said::of(&header), said, "{change}");
    });
}

#[test]
fn raw_first_pages_are_right_where_the_library_says_so() {
    let dir = tempfile::tempdir().unwrap();
    save_three(SlotStore::open(dir.path(), STORE).unwrap());
    let file = dir.path().join("marks.slots");
    with_each_byte_changed(&file, LONGEST, |change| {
        let header = &all_in(&file).unwrap()[0];
        assert_eq!(Said::of(header), Said::by_loading(dir.path()), "{change}");
    });
    for at in [LONGEST, PAGE - 1] {
        let mut bytes = fs::read(&file).unwrap();
        bytes[at] = 1;
        fs::write(&file, bytes).unwrap();
        assert!(!all_in(&file).unwrap()[0].right, "byte {at}");
        assert_eq!(Said::by_loading(dir.path()), Said::Damaged, "byte {at}");
    }
}
