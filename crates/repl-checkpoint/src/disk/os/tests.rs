//! Locks, modes and places of files.

use super::*;

#[test]
fn a_dropped_lock_is_free_though_a_child_has_the_file_open() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    let lock = OsDisk.try_lock(&path).unwrap().unwrap();
    let _open_in_a_child = lock.file.try_clone().unwrap();
    assert!(OsDisk.try_lock(&path).unwrap().is_none());
    drop(lock);
    assert!(OsDisk.try_lock(&path).unwrap().is_some());
}

#[test]
fn a_lock_that_was_inherited_by_a_fork_is_not_unlocked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    let lock = OsDisk.try_lock(&path).unwrap().unwrap();
    let of_child = OsLock {
        file: lock.file.try_clone().unwrap(),
        place: lock.place,
        process: lock.process + 1,
    };
    drop(of_child);
    assert!(OsDisk.try_lock(&path).unwrap().is_none());
}

#[test]
fn a_created_directory_is_open_to_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let new = dir.path().join("new");
    OsDisk.create_dir(&new).unwrap();
    assert_eq!(fs::metadata(&new).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_file_that_was_moved_away_or_replaced_is_not_at_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let (path, other) = (dir.path().join("repl-checkpoint.lock"), dir.path().join("other"));
    let file = OsDisk.create_new(&path).unwrap();
    let open = OsDisk.open_dir(dir.path()).unwrap();
    let is_in = || OsDisk.file_is_in(&file, &open, "repl-checkpoint.lock".as_ref()).unwrap();
    assert!(is_in());
    fs::write(&other, "").unwrap();
    fs::rename(&other, &path).unwrap();
    assert!(!is_in());
    fs::remove_file(&path).unwrap();
    assert!(!is_in());
}

/// Read from the disk again, each save would take several times as long.
#[cfg(target_os = "linux")]
#[test]
fn a_page_of_which_a_part_begins_to_be_synced_stays_in_the_cache() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let mut file = OsDisk.create_new(&path).unwrap();
    assert_eq!(OsDisk.write(&mut file, &[0xff; SMALLEST_PAGE]).unwrap(), SMALLEST_PAGE);
    OsDisk.sync_file(&file).unwrap();
    let is_cached = || {
        let (read, mut byte) = (File::open(&path).unwrap(), [0]);
        let mut bytes = [io::IoSliceMut::new(&mut byte)];
        rustix::io::preadv2(&read, &mut bytes, 0, rustix::io::ReadWriteFlags::NOWAIT).is_ok()
    };
    if !is_cached() {
        eprintln!("skipped: this filesystem does not say what is in the cache");
        return;
    }
    OsDisk.begin_sync(&file, 1, SMALLEST_PAGE - 1);
    OsDisk.begin_sync(&file, 0, SMALLEST_PAGE);
    assert!(is_cached());
}

/// Checked as no test can see what a longer write costs the saves after it.
#[test]
fn a_long_file_is_written_in_pieces() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let mut file = OsDisk.create_new(&path).unwrap();
    assert_eq!(OsDisk.write(&mut file, &vec![0xff; 10 * PIECE]).unwrap(), PIECE);
    assert_eq!(OsDisk.write(&mut file, &[0; 10]).unwrap(), 10);
    assert_eq!(fs::metadata(&path).unwrap().len(), PIECE as u64 + 10);
}
