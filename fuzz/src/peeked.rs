//! Peeking at files, which is done on the real disk alone.

use std::env::temp_dir;
use std::fs;
use std::path::PathBuf;
use std::process;

use repl_checkpoint::{PeekError, Peeked, peek};

use crate::expected::Outcome;

/// Asserts that peeking at a directory of these files finds what a recovery finds that passes over
/// all damage. What a recovery refuses is not compared: a peek takes every store and codec.
pub(crate) fn check_peek<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    expected: &Outcome,
) {
    match (expected, peeked(files)) {
        (Outcome::Resumed(..) | Outcome::FellBack(..), Err(error)) => panic!("{error:?}"),
        (
            Outcome::Resumed(generation, found) | Outcome::FellBack(generation, found),
            Ok(peeked),
        ) => {
            assert_eq!(peeked.header.generation, *generation);
            assert_eq!(peeked.checkpoint.as_ref(), Some(&**found));
        }
        (Outcome::Corrupt | Outcome::Fresh, Ok(peeked)) => panic!("{peeked:?}"),
        _ => {}
    }
}

fn peeked<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Peeked, PeekError> {
    // Files in memory, where there are: the disk would take most of the time.
    let shm = PathBuf::from("/dev/shm");
    let temp = if shm.is_dir() { shm } else { temp_dir() };
    let dir = temp.join(format!("repl-fuzz-{}", process::id()));
    fs::create_dir_all(&dir).expect("the temporary directory takes a directory");
    let put = |(name, bytes)| {
        let path = dir.join(name);
        fs::write(&path, bytes).expect("the directory takes a file");
        path
    };
    let paths: Vec<PathBuf> = files.into_iter().map(put).collect();
    let found = peek(&dir);
    for path in paths {
        fs::remove_file(path).expect("the file is there");
    }
    fs::remove_dir(&dir).expect("the directory is empty");
    found
}
