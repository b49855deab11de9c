//! What the machine around it can do to a `FileStore`, on real filesystems.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use repl_checkpoint::{CheckpointError, FileStore, OpenStoreError, SaveError};
use repl_core::{NewShard, ShardId};

use crate::support::{STORE, contents, durable, marks_in, names, recovered, save, skipped};

/// Runs a command; tells whether it was there and succeeded.
fn done(command: &str, arguments: &[&str]) -> bool {
    let ran = Command::new(command).args(arguments).output();
    ran.is_ok_and(|output| output.status.success())
}

/// A mount, undone when it is dropped.
struct Mount(PathBuf);

impl Mount {
    fn new(arguments: &[&str], on: &Path) -> Option<Self> {
        let on_text = on.to_str()?;
        done("mount", &[arguments, &[on_text]].concat()).then(|| Mount(on.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let path = self.0.display().to_string();
        assert!(done("umount", &[&path]) || done("umount", &["-l", &path]));
    }
}

/// A directory that not even root may change, until this is dropped.
struct Immutable(PathBuf);

impl Immutable {
    fn new(dir: &Path) -> Option<Self> {
        done("chattr", &["+i", dir.to_str()?]).then(|| Immutable(dir.to_owned()))
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        assert!(done("chattr", &["-i", &self.0.display().to_string()]));
    }
}

#[test]
fn a_read_only_filesystem_is_refused_at_open_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    save(&mut recovered(dir.path(), &[1]).checkpointer);
    let before = contents(dir.path());
    let path = dir.path().to_str().unwrap();
    let Some(mount) = Mount::new(&["--bind", path], dir.path()) else {
        return skipped("no bind mount: not root, or not allowed here");
    };
    assert!(done("mount", &["-o", "remount,ro,bind", path]));
    let refused = FileStore::open(dir.path(), STORE).unwrap_err();
    assert!(
        matches!(&refused, OpenStoreError::Io { act: "lock", path, source }
            if source.kind() == ErrorKind::ReadOnlyFilesystem && *path == dir.path().join("LOCK")),
        "{refused}"
    );
    let fresh = FileStore::open(dir.path().join("fresh"), STORE).unwrap_err();
    assert!(matches!(&fresh, OpenStoreError::Io { act: "create", .. }), "{fresh}");
    assert_eq!(contents(dir.path()), before);
    drop(mount);
    assert_eq!(recovered(dir.path(), &[1]).found.missing, []);
}

#[test]
fn a_directory_that_becomes_read_only_loses_nothing_and_is_saved_to_again_later() {
    let dir = tempfile::tempdir().unwrap();
    let mut follower = recovered(dir.path(), &[1]);
    follower.state.advance(ShardId(1), 5);
    save(&mut follower.checkpointer);
    let before = contents(dir.path());
    follower.state.advance(ShardId(1), 6);
    let Some(immutable) = Immutable::new(dir.path()) else {
        return skipped("no chattr +i: not root, or not on this filesystem");
    };
    let error = follower.checkpointer.checkpoint(durable).unwrap_err();
    assert!(
        matches!(&error, CheckpointError::Save(SaveError::NotSaved { act: "create", source, .. })
            if source.kind() == ErrorKind::PermissionDenied),
        "{error}"
    );
    assert_eq!(contents(dir.path()), before);
    drop(immutable);
    let generation = save(&mut follower.checkpointer);
    assert_eq!(marks_in(dir.path(), generation), [(1, 6)]);
}

#[test]
fn a_directory_that_is_read_only_from_the_start_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let Some(immutable) = Immutable::new(dir.path()) else {
        return skipped("no chattr +i: not root, or not on this filesystem");
    };
    let refused = FileStore::open(dir.path(), STORE).unwrap_err();
    drop(immutable);
    assert!(
        matches!(&refused, OpenStoreError::Io { act: "lock", source, .. }
            if source.kind() == ErrorKind::PermissionDenied),
        "{refused}"
    );
    assert_eq!(names(dir.path()), [""; 0]);
}

#[test]
fn a_full_disk_keeps_the_older_checkpoint_and_leaves_no_debris() {
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("disk");
    std::fs::create_dir(&dir).unwrap();
    let Some(mount) = Mount::new(&["-t", "tmpfs", "-o", "size=64k", "tmpfs"], &dir) else {
        return skipped("no tmpfs mount: not root, or not allowed here");
    };
    let mut follower = recovered(&dir, &[1]);
    follower.state.advance(ShardId(1), 5);
    save(&mut follower.checkpointer);
    let before = contents(&dir);

    let many: Vec<NewShard> = (100..3000).map(|id| NewShard::new(ShardId(id))).collect();
    follower.state.add_shards(&many).unwrap();
    for _ in 0..2 {
        let error = follower.checkpointer.checkpoint(durable).unwrap_err();
        assert!(
            matches!(&error, CheckpointError::Save(SaveError::NotSaved { act: "write", source, .. })
                if source.kind() == ErrorKind::StorageFull),
            "{error}"
        );
        assert_eq!(contents(&dir), before);
    }

    for new in many {
        follower.state.remove_shard(new.shard);
    }
    follower.state.advance(ShardId(1), 6);
    let generation = save(&mut follower.checkpointer);
    assert_eq!(marks_in(&dir, generation), [(1, 6)]);
    drop(follower);
    drop(mount);
}

#[test]
fn a_process_without_file_descriptors_gets_a_typed_error() {
    const DIR: &str = "REPL_CHECKPOINT_TEST_NO_FILES";
    if let Some(dir) = std::env::var_os(DIR) {
        let refused = FileStore::open(dir, STORE).unwrap_err();
        let errno = |err: &std::io::Error| err.raw_os_error();
        assert!(
            matches!(&refused, OpenStoreError::Io { source, .. } if errno(source) == Some(24)),
            "{refused}"
        );
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    save(&mut recovered(dir.path(), &[1]).checkpointer);
    let before = contents(dir.path());
    let name = "environment::a_process_without_file_descriptors_gets_a_typed_error";
    let child = Command::new("sh")
        .args(["-c", "ulimit -n 4 && exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--test-threads=1"])
        .env(DIR, dir.path())
        .output();
    let Ok(child) = child else {
        return skipped("no sh to limit a child's files with");
    };
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{child:?}");
    assert_eq!(contents(dir.path()), before);
}

/// The calls of one save as the kernel sees them, each with the name of its file.
fn seen_by_the_kernel(log: &str, dir: &Path) -> Vec<String> {
    let verb_of = |line: &str| {
        let verbs = ["fsync(", "rename"];
        verbs.into_iter().find(|verb| line.contains(verb)).map(|v| v.trim_end_matches('('))
    };
    let dir_text = dir.display().to_string();
    let of_dir = log.lines().filter(|line| line.contains(&dir_text));
    let call = |line: &str| {
        let verb = verb_of(line)?;
        let kind = match (line.contains(".temp-"), line.contains(".checkpoint")) {
            (true, _) => "temp",
            (false, true) => "checkpoint",
            (false, false) => "directory",
        };
        assert!(line.trim_end().ends_with("= 0"), "{line}");
        Some(format!("{verb} {kind}"))
    };
    of_dir.filter_map(call).collect()
}

#[test]
fn the_kernel_sees_the_file_synced_then_renamed_then_the_directory_synced() {
    const DIR: &str = "REPL_CHECKPOINT_TEST_TRACED";
    if let Some(dir) = std::env::var_os(DIR) {
        save(&mut recovered(Path::new(&dir), &[1]).checkpointer);
        return;
    }
    if !done("strace", &["-o", "/dev/null", "true"]) {
        return skipped("no strace, or no right to trace");
    }
    let outer = tempfile::tempdir().unwrap();
    let (dir, log) = (outer.path().join("marks"), outer.path().join("log"));
    let name =
        "environment::the_kernel_sees_the_file_synced_then_renamed_then_the_directory_synced";
    let child = Command::new("strace")
        .args(["-f", "-y", "-s", "300", "-e", "trace=fsync,fdatasync,rename,renameat,renameat2"])
        .arg("-o")
        .arg(&log)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--test-threads=1"])
        .env(DIR, &dir)
        .output()
        .unwrap();
    assert!(child.status.success(), "{child:?}");
    let log = std::fs::read_to_string(&log).unwrap();
    assert_eq!(
        seen_by_the_kernel(&log, &dir),
        ["fsync temp", "rename temp", "fsync directory"],
        "{log}"
    );
    // The directory was new: its parent was synced before.
    let parent = format!("<{}>)", outer.path().display());
    assert!(log.lines().any(|line| line.contains("fsync(") && line.contains(&parent)), "{log}");
}
