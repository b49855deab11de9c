//! The simulated disk loses what a real disk may lose, and nothing else.

use std::collections::BTreeSet;
use std::path::Path;

use repl_checkpoint::Disk;
use repl_harness::crash::{Fault, FaultKind, SimDisk};

const OLD: [u8; 100] = [b'o'; 100];
const NEW: [u8; 100] = [b'n'; 100];

fn path(name: &str) -> &Path {
    Path::new(name)
}

fn written(disk: &SimDisk, name: &str, bytes: &[u8]) -> <SimDisk as Disk>::File {
    let mut file = disk.create_new(path(name)).unwrap();
    assert_eq!(disk.write(&mut file, bytes).unwrap(), bytes.len());
    file
}

fn sync_names(disk: &SimDisk) {
    disk.sync_dir(&disk.open_dir(path("/")).unwrap()).unwrap();
}

/// A disk with `/f` on it, and `/temp` written and not synced.
fn about_to_replace(synced: bool) -> SimDisk {
    let disk = SimDisk::new();
    disk.put(path("/f"), &OLD).unwrap();
    let temp = written(&disk, "/temp", &NEW);
    if synced {
        disk.sync_file(&temp).unwrap();
    }
    disk
}

/// Every image that a power cut may leave, as text: the names, each with `old`, `new`, `zeros`,
/// `garbage` or a length for its content.
fn left(disk: &SimDisk) -> BTreeSet<String> {
    let images = disk.after_power_cut().unwrap();
    let text = |image: &SimDisk| {
        let files = image.files();
        let file = |(path, bytes): (&std::path::PathBuf, &Vec<u8>)| {
            let what = match bytes.as_slice() {
                bytes if bytes == OLD => "old".to_owned(),
                bytes if bytes == NEW => "new".to_owned(),
                [] => "empty".to_owned(),
                bytes if bytes.iter().all(|b| *b == 0) => format!("{} zeros", bytes.len()),
                bytes if bytes.iter().any(|b| *b >= 0x80) => "garbage".to_owned(),
                bytes => format!("{} bytes", bytes.len()),
            };
            format!("{} {what}", path.display())
        };
        files.iter().map(file).collect::<Vec<_>>().join(", ")
    };
    let distinct: BTreeSet<String> = images.iter().map(text).collect();
    assert!(images.iter().all(|image| image.after_power_cut().unwrap().len() == 1));
    distinct
}

fn set(images: &[&str]) -> BTreeSet<String> {
    images.iter().map(ToString::to_string).collect()
}

#[test]
fn a_synced_file_with_a_synced_name_is_never_lost() {
    let disk = SimDisk::new();
    let file = written(&disk, "/f", &NEW);
    disk.sync_file(&file).unwrap();
    sync_names(&disk);
    assert_eq!(left(&disk), set(&["/f new"]));
}

#[test]
fn a_file_sync_does_not_make_the_name_durable() {
    let disk = SimDisk::new();
    let file = written(&disk, "/f", &NEW);
    disk.sync_file(&file).unwrap();
    assert_eq!(left(&disk), set(&["", "/f new"]));
}

#[test]
fn a_directory_sync_does_not_make_the_data_durable() {
    let disk = SimDisk::new();
    written(&disk, "/f", &NEW);
    sync_names(&disk);
    let left = left(&disk);
    assert!(!left.contains(""), "{left:?}");
    for image in ["/f empty", "/f new", "/f 100 zeros", "/f garbage", "/f 99 bytes"] {
        assert!(left.contains(image), "{image}: {left:?}");
    }
}

#[test]
fn each_sector_written_in_place_is_old_new_or_garbage_and_the_length_stays() {
    let disk = SimDisk::new();
    disk.put(path("/f"), &[b'o'; 1536]).unwrap();
    let file = disk.open_write(path("/f")).unwrap();
    assert_eq!(disk.write_at(&file, 500, &[b'n'; 100]).unwrap(), 100);
    let images = disk.after_power_cut().unwrap();
    assert_eq!(images.len(), 9);
    for image in &images {
        let bytes = &image.files()[path("/f")];
        assert_eq!(bytes.len(), 1536);
        assert!(bytes[1024..].iter().all(|b| *b == b'o'), "the third sector was not written");
    }
    disk.sync_data(&file).unwrap();
    assert_eq!(disk.after_power_cut().unwrap().len(), 1);
    assert_eq!(disk.files()[path("/f")][499..602], *[&b"o"[..], &[b'n'; 100], b"oo"].concat());
}

#[test]
fn a_sector_may_hold_any_version_since_the_last_sync() {
    let disk = SimDisk::new();
    disk.put(path("/f"), &OLD).unwrap();
    let file = disk.open_write(path("/f")).unwrap();
    disk.write_at(&file, 0, &[b'x'; 100]).unwrap();
    disk.write_at(&file, 0, &NEW).unwrap();
    assert_eq!(left(&disk), set(&["/f old", "/f 100 bytes", "/f new", "/f garbage"]));
}

#[test]
fn a_removal_may_be_lost_until_its_directory_is_synced() {
    let disk = SimDisk::new();
    disk.put(path("/f"), &OLD).unwrap();
    disk.remove(path("/f")).unwrap();
    assert_eq!(left(&disk), set(&["", "/f old"]));
    sync_names(&disk);
    assert_eq!(left(&disk), set(&[""]));
}

#[test]
fn a_rename_leaves_the_old_name_the_new_name_or_both() {
    let disk = about_to_replace(true);
    sync_names(&disk);
    disk.rename(path("/temp"), path("/f")).unwrap();
    assert_eq!(left(&disk), set(&["/f old, /temp new", "/f new, /temp new", "/f new"]));
}

#[test]
fn a_directory_that_loses_its_name_loses_everything_in_it() {
    let disk = SimDisk::new();
    disk.create_dir(path("/d")).unwrap();
    let file = written(&disk, "/d/f", &NEW);
    disk.sync_file(&file).unwrap();
    disk.sync_dir(&disk.open_dir(path("/d")).unwrap()).unwrap();
    assert_eq!(left(&disk), set(&["", "/d/f new"]));
    sync_names(&disk);
    assert_eq!(left(&disk), set(&["/d/f new"]));
}

#[test]
fn a_sync_after_a_failed_sync_succeeds_and_writes_nothing() {
    for cache_survives in [true, false] {
        let disk = about_to_replace(false);
        sync_names(&disk);
        let file = disk.open_write(path("/f")).unwrap();
        disk.write_at(&file, 0, &NEW).unwrap();
        let kind = FaultKind::SyncLost { errno: 5, cache_survives };
        disk.fail(Some(Fault { call: 0, kind, permanent: false }));
        assert!(disk.sync_file(&file).is_err());
        disk.sync_file(&file).unwrap();
        let read = disk.after_process_death().read_at(path("/f"), 0, usize::MAX).unwrap();
        assert_eq!(read, if cache_survives { NEW } else { OLD });
        let left = left(&disk);
        for image in ["/f old", "/f new", "/f garbage"] {
            let found = left.iter().any(|left| left.starts_with(image));
            assert!(found, "{image}: {left:?}");
        }
    }
}

#[test]
fn the_death_of_a_process_keeps_the_cache_and_frees_the_lock() {
    let disk = SimDisk::new();
    written(&disk, "/f", &NEW);
    let lock = disk.try_lock(path("/LOCK")).unwrap();
    assert!(lock.is_some() && disk.try_lock(path("/LOCK")).unwrap().is_none());
    assert!(disk.fork().try_lock(path("/LOCK")).unwrap().is_none());
    let next = disk.after_process_death();
    assert_eq!(next.read_at(path("/f"), 0, usize::MAX).unwrap(), NEW);
    assert!(next.try_lock(path("/LOCK")).unwrap().is_some());
    drop(lock);
    assert!(disk.try_lock(path("/LOCK")).unwrap().is_some());
}

/// The outcomes of filesystem shutdowns on XFS and on ext4, with and without `auto_da_alloc`.
#[test]
fn every_outcome_of_a_real_filesystem_is_simulated() {
    let seen = |disk: &SimDisk, images: &[&str]| {
        let left = left(disk);
        for image in images {
            assert!(left.contains(*image), "{image}: {left:?}");
        }
    };
    let disk = about_to_replace(false);
    disk.rename(path("/temp"), path("/f")).unwrap();
    sync_names(&disk);
    seen(&disk, &["/f new", "/f empty"]); // no file sync

    let disk = SimDisk::new();
    written(&disk, "/temp", &NEW);
    disk.rename(path("/temp"), path("/f")).unwrap();
    sync_names(&disk);
    seen(&disk, &["/f empty"]); // no file sync, a fresh name

    let disk = about_to_replace(true);
    disk.rename(path("/temp"), path("/f")).unwrap();
    seen(&disk, &["/f old, /temp new"]); // no directory sync

    // In place with truncate: the name refers to an emptied file that is written again.
    let disk = SimDisk::new();
    disk.put(path("/f"), &OLD).unwrap();
    disk.remove(path("/f")).unwrap();
    written(&disk, "/f", &NEW);
    seen(&disk, &["/f new", "/f empty", "/f old"]);

    let disk = about_to_replace(true);
    disk.rename(path("/temp"), path("/f")).unwrap();
    sync_names(&disk);
    assert_eq!(left(&disk), set(&["/f new"])); // the full protocol
}

#[test]
fn after_a_permanent_fault_every_later_call_fails() {
    for permanent in [false, true] {
        let disk = SimDisk::new();
        disk.fail(Some(Fault { call: 1, kind: FaultKind::Errno(28), permanent }));
        let mut file = disk.create_new(path("/f")).unwrap();
        assert_eq!(disk.write(&mut file, &NEW).unwrap_err().raw_os_error(), Some(28));
        assert!(disk.has_failed());
        assert_eq!(disk.write(&mut file, &NEW).is_err(), permanent);
        assert_eq!(disk.create_dir(path("/d")).is_err(), permanent);
        disk.fail(None);
        disk.write(&mut file, &NEW).unwrap();
    }
}
