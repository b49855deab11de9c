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
    Held {
        /// The number of the process.
        pid: u32,
    },
    /// No process is seen to hold it: one of another container may.
    NotSeen,
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
        Ok(found) => holder(&table, found.ino()).map_or(Use::NotSeen, |pid| Use::Held { pid }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Use::NotSeen,
        Err(_) => Use::NotKnown,
    }
}

/// Elsewhere nothing says it.
#[cfg(not(target_os = "linux"))]
pub(crate) fn use_of(_: &Path) -> Use {
    Use::NotKnown
}

/// The process that has a `flock` lock on the file of this number, by the table.
#[cfg(target_os = "linux")]
fn holder(table: &str, inode: u64) -> Option<u32> {
    // 1: FLOCK  ADVISORY  WRITE 1234 fe:01:5678 0 EOF; a line with `->` is of one that waits
    table.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, pid, file, ..] = words[..] else { return None };
        let is_it = file.rsplit(':').next()?.parse() == Ok(inode);
        is_it.then(|| pid.parse().ok())?
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_found_by_the_number_of_its_file() {
        let table = "1: POSIX  ADVISORY  READ  7 08:01:55 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 9 00:1b:66 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 9 00:1b:77 0 EOF\n";
        assert_eq!(holder(table, 55), None, "of another kind");
        assert_eq!(holder(table, 66), Some(9));
        assert_eq!(holder(table, 77), None, "it waits");
        assert_eq!(holder(table, 6), None);
    }
}
