//! A filesystem that shuts down, and a directory sync that still returns success.

use std::fs;

use repl_checkpoint::{Disk, OsDisk};

use super::{Mount, done, text};
use crate::support::skipped;

#[test]
fn a_directory_sync_on_a_shut_down_xfs_is_an_error() {
    // Anything that syncs every filesystem of the machine may write the rename before the shutdown.
    let lost = (0..5).find_map(|_| match a_rename_before_a_shutdown() {
        Some(Rename::Survived) => None,
        ended => Some(ended),
    });
    assert!(lost.is_some(), "the rename survived five shutdowns");
}

enum Rename {
    Lost,
    Survived,
}

/// Renames a file, shuts the filesystem down, and syncs the directory, which must fail. `None` if
/// that could not be tried here.
fn a_rename_before_a_shutdown() -> Option<Rename> {
    let dir = tempfile::tempdir().unwrap();
    let (image, at) = (dir.path().join("image"), dir.path().join("mounted"));
    fs::create_dir(&at).unwrap();
    fs::File::create(&image).unwrap().set_len(300 << 20).unwrap();
    let not_here = |why| {
        skipped(why);
        None
    };
    if !done("mkfs.xfs", &["-q", text(&image)]) {
        return not_here("no mkfs.xfs");
    }
    let options = ["-t", "xfs", "-o", "loop", text(&image)];
    let Some(mount) = Mount::new(&options, &at) else {
        return not_here("no mount of XFS: not root, or not allowed here");
    };
    let (temp, path) = (at.join("temp"), at.join("file"));
    fs::write(&temp, "new").unwrap();
    let open_dir = OsDisk.open_dir(&at).unwrap();
    OsDisk.sync_dir(&open_dir).unwrap();
    OsDisk.rename(&temp, &path).unwrap();
    // The ioctl GOINGDOWN, which flushes nothing.
    let shut_down = "import fcntl, os, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587D, bytes([2, 0, 0, 0]))";
    if !done("python3", &["-c", shut_down, text(&at)]) {
        return not_here("no python3");
    }
    OsDisk.sync_dir(&open_dir).unwrap_err();
    drop((open_dir, mount));
    let _mount = Mount::new(&options, &at).unwrap();
    let lost = !path.exists() && temp.exists();
    Some(if lost { Rename::Lost } else { Rename::Survived })
}
