//! What an operator reads: errors of the operating system say what to do.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use repl_checkpoint::{
    FileStore, LoadError, OpenStoreError, PeekError, SaveError, SlotStore, StoreId,
};

use crate::support::chain;

/// An error number of any Unix, and a word of the advice that only it and its like get.
const ADVICE: [(i32, &str); 12] = [
    (1, "owner, mode"),        // EPERM
    (2, "directory back"),     // ENOENT
    (5, "replace the device"), // EIO
    (13, "owner, mode"),       // EACCES
    (16, "unmount"),           // EBUSY
    (20, "directory back"),    // ENOTDIR
    (21, "move away"),         // EISDIR
    (23, "ulimit -n"),         // ENFILE
    (24, "ulimit -n"),         // EMFILE
    (27, "file size limit"),   // EFBIG
    (28, "make room"),         // ENOSPC
    (30, "writable"),          // EROFS
];

/// Every error that names an operation, with this cause.
fn errors(source: &dyn Fn() -> io::Error) -> [Box<dyn Error>; 5] {
    let (act, path) = ("do it to", PathBuf::from("/the/path"));
    let (p, q, r, s) = (path.clone(), path.clone(), path.clone(), path.clone());
    [
        Box::new(SaveError::NotSaved { act, path, source: source() }),
        Box::new(SaveError::InDoubt { act, path: p, source: source() }),
        Box::new(OpenStoreError::Io { act, path: q, source: source() }),
        Box::new(LoadError::Io { act, path: r, source: source() }),
        Box::new(PeekError::Io { act, path: s, source: source() }),
    ]
}

#[test]
fn every_error_number_of_a_disk_has_its_own_advice_in_one_line() {
    for (number, word) in ADVICE {
        let source = || io::Error::from_raw_os_error(number);
        let messages = errors(&source).map(|error| chain(&*error));
        for message in messages {
            assert!(message.contains("failed to do it to /the/path; "), "{message}");
            assert_eq!(message.matches(word).count(), 1, "{message}");
            assert!(message.ends_with(&format!(": {}", source())), "{message}");
            assert!(!message.contains('\n') && !message.contains("  "), "{message}");
            let mut others = ADVICE.iter().filter(|(_, other)| *other != word);
            assert!(others.all(|(_, other)| !message.contains(other)), "{message}");
        }
    }
}

#[test]
fn an_error_without_advice_has_no_gap_in_its_message() {
    let unknown = || io::Error::other("the disk said no");
    let messages = errors(&unknown).map(|error| chain(&*error));
    assert_eq!(
        messages,
        [
            "not saved: failed to do it to /the/path; the older checkpoint is untouched: the disk \
             said no",
            "in doubt: failed to do it to /the/path; open the store again before the next save: \
             the disk said no",
            "failed to do it to /the/path: the disk said no",
            "failed to do it to /the/path: the disk said no",
            "failed to do it to /the/path: the disk said no",
        ]
    );
}

#[test]
fn a_lock_that_is_no_file_is_to_be_moved_away() {
    let dir = tempfile::tempdir().unwrap();
    let lock = dir.path().join("repl-checkpoint.lock");
    std::fs::create_dir(&lock).unwrap();
    let expected = format!("failed to lock {}: not a regular file: move it away", lock.display());
    let refused = FileStore::open(dir.path(), StoreId::UNNAMED).unwrap_err();
    assert_eq!(chain(&refused), expected);
    let refused = SlotStore::open(dir.path(), StoreId::UNNAMED).unwrap_err();
    assert_eq!(chain(&refused), expected);
}
