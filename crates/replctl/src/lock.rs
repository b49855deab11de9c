//! Whether a store is in use, without touching its lock.
//!
//! Even to hold a lock for an instant could make an engine's own open fail. So this reads the table
//! of locks of the kernel, and says that it does not know where there is none.

use std::path::Path;

/// Whether a process holds the lock of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Use {
    /// A process holds it.
    Locked,
    /// No process holds it.
    Free,
    /// This system does not say.
    NotKnown,
}

/// Looks whether a process holds the lock file of a store.
#[cfg(target_os = "linux")]
pub(crate) fn use_of(lock_file: &Path) -> Use {
    use std::os::unix::fs::MetadataExt;

    let Ok(table) = std::fs::read_to_string("/proc/locks") else { return Use::NotKnown };
    match std::fs::metadata(lock_file) {
        // A device is written in another way in the table, and not all filesystems show the same
        // there as here. The number of the file is the same in both.
        Ok(found) if is_in(&table, found.ino()) => Use::Locked,
        Ok(_) => Use::Free,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Use::Free,
        Err(_) => Use::NotKnown,
    }
}

/// Elsewhere nothing says it.
#[cfg(not(target_os = "linux"))]
pub(crate) fn use_of(_: &Path) -> Use {
    Use::NotKnown
}

/// Whether the table has a `flock` lock on the file of this number.
#[cfg(target_os = "linux")]
fn is_in(table: &str, inode: u64) -> bool {
    // 1: FLOCK  ADVISORY  WRITE 1234 fe:01:5678 0 EOF
    let is_it = |line: &str| {
        let mut words = line.split_whitespace().filter(|word| *word != "->").skip(1);
        let is_flock = words.next() == Some("FLOCK");
        let file = words.nth(3).and_then(|file| file.rsplit(':').next());
        is_flock && file.and_then(|file| file.parse().ok()) == Some(inode)
    };
    table.lines().any(is_it)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_found_by_the_number_of_its_file() {
        let table = "1: POSIX  ADVISORY  READ  7 08:01:55 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 9 00:1b:66 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 9 00:1b:77 0 EOF\n";
        assert!(!is_in(table, 55), "not of that kind");
        assert!(is_in(table, 66));
        assert!(!is_in(table, 6));
    }
}
