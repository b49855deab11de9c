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

    // A device is written in another way in the table, and not all filesystems show the same there
    // as here. The number of the file is the same in both.
    let inode = match std::fs::metadata(lock_file) {
        Ok(found) => found.ino(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Use::NotSeen,
        Err(_) => return Use::NotKnown,
    };
    for _ in 0..LOOKS {
        let Ok(table) = table() else { return Use::NotKnown };
        if let Some(pid) = holder(&table, inode) {
            return Use::Held { pid };
        }
    }
    Use::NotSeen
}

/// How often the table is read before a lock counts as not held. Each read continues by the number
/// of a line, so the end of a lock before it hides a line.
#[cfg(target_os = "linux")]
const LOOKS: usize = 5;

/// The table of locks, in as few reads as the kernel allows.
#[cfg(target_os = "linux")]
fn table() -> std::io::Result<String> {
    use std::io::Read;

    let mut table = String::with_capacity(1 << 16);
    std::fs::File::open("/proc/locks")?.read_to_string(&mut table)?;
    Ok(table)
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
    use std::fs::File;
    use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

    use super::*;

    #[test]
    fn a_lock_is_seen_while_others_come_and_go() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| File::create(dir.path().join(name)).unwrap();
        let held = file("held");
        held.lock().unwrap();
        let (expected, done) = (Use::Held { pid: std::process::id() }, AtomicBool::new(false));
        std::thread::scope(|s| {
            for thread in 0..2 {
                let others: Vec<File> = (0..20).map(|i| file(&format!("{thread}-{i}"))).collect();
                let done = &done;
                s.spawn(move || {
                    while !done.load(SeqCst) {
                        for other in &others {
                            other.lock().unwrap();
                        }
                        for other in &others {
                            other.unlock().unwrap();
                        }
                    }
                });
            }
            let missed = (0..200).filter(|_| use_of(&dir.path().join("held")) != expected).count();
            done.store(true, SeqCst);
            assert_eq!(missed, 0);
        });
    }

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
