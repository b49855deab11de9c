//! A `FileStore` and its directory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use repl_checkpoint::{CheckpointStore, LoadError, Save};

use crate::support::{
    STORE, contents, durable, file, loaded, marks, names, put, recovered, save, sealed, store,
};

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_fresh_directory_is_no_error_and_stays_empty() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = store(dir.path());
    assert!(loaded(&mut opened).unwrap().is_empty());
    assert_eq!(opened.store_id(), STORE);
    assert_eq!(opened.dir(), dir.path());
    drop(opened);
    assert_eq!(names(dir.path()), [""; 0]);
    assert!(dir.path().join("repl-checkpoint.lock").exists());
}

#[test]
fn opening_again_over_existing_data_keeps_the_data() {
    let dir = tempfile::tempdir().unwrap();
    save(&mut recovered(dir.path(), &[1]).checkpointer);
    let before = contents(dir.path());
    for _ in 0..3 {
        drop(recovered(dir.path(), &[1]));
    }
    assert_eq!(contents(dir.path()), before);
}

#[test]
fn files_are_named_by_generation_and_the_newest_two_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let mut follower = recovered(dir.path(), &[1]);
    let mut kept = Vec::new();
    for mark in 1..=5 {
        follower.state.advance(repl_core::ShardId(1), mark);
        assert_eq!(save(&mut follower.checkpointer), mark);
        kept.push(format!("{mark:020}.checkpoint"));
        if kept.len() > 2 {
            kept.remove(0);
        }
        assert_eq!(names(dir.path()), kept);
    }
}

#[test]
fn an_acknowledged_save_is_in_its_file_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = store(dir.path());
    let bytes = sealed(7, &marks(&[(1, 2)]));
    let save = Save { generation: 7, confirmed: 0, bytes: &bytes, base: None };
    opened.save(save).unwrap();
    let found = loaded(&mut opened).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].generation, Some(7));
    assert_eq!(found[0].path, file(dir.path(), 7));
    assert_eq!(found[0].bytes.as_ref().unwrap(), &bytes);
}

#[test]
fn load_gives_the_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    for generation in [3, 11, u64::MAX, 0, 2] {
        put(dir.path(), generation, b"");
    }
    let mut opened = store(dir.path());
    let found = loaded(&mut opened).unwrap();
    let generations: Vec<_> = found.iter().map(|c| c.generation.unwrap()).collect();
    assert_eq!(generations, [u64::MAX, 11, 3, 2, 0]);
}

#[test]
fn files_are_accessible_to_their_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    save(&mut recovered(dir.path(), &[1]).checkpointer);
    assert_eq!(mode(&file(dir.path(), 1)), 0o600);
    assert_eq!(mode(&dir.path().join("repl-checkpoint.lock")), 0o600);
}

#[test]
fn the_lock_file_is_never_removed_or_replaced() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    let lock = dir.path().join("repl-checkpoint.lock");
    fs::write(&lock, "another program's note").unwrap();
    let inode = fs::metadata(&lock).unwrap().ino();
    for mark in 1..=3 {
        let mut follower = recovered(dir.path(), &[1]);
        follower.state.advance(repl_core::ShardId(1), mark);
        save(&mut follower.checkpointer);
    }
    assert_eq!(fs::metadata(&lock).unwrap().ino(), inode);
    assert_eq!(fs::read(&lock).unwrap(), b"another program's note");
}

#[test]
fn leftover_temporary_files_of_its_own_are_removed_at_open() {
    let dir = tempfile::tempdir().unwrap();
    let own = [
        "00000000000000000003.checkpoint.temp-1-0",
        "00000000000000000003.checkpoint.temp-4294967295-17",
        "18446744073709551615.checkpoint.temp-77-0",
    ];
    for name in own {
        fs::write(dir.path().join(name), "half a check").unwrap();
    }
    drop(store(dir.path()));
    assert_eq!(names(dir.path()), [""; 0]);
}

/// Names that are almost those of a checkpoint or a temporary file.
const FOREIGN: [&str; 17] = [
    "README",
    "0000000000000000003.checkpoint",
    "000000000000000000003.checkpoint",
    "99999999999999999999.checkpoint",
    "+0000000000000000003.checkpoint",
    "00000000000000000003checkpoint",
    "00000000000000000003.checkpoint.bak",
    "00000000000000000003.Checkpoint",
    "00000000000000000003.checkpoint.temp",
    "00000000000000000003.checkpoint.temp-",
    "00000000000000000003.checkpoint.temp-1",
    "00000000000000000003.checkpoint.temp-1-",
    "00000000000000000003.checkpoint.temp--1",
    "00000000000000000003.checkpoint.temp-1-1-1",
    "00000000000000000003.checkpoint.temp-1-x",
    "3.checkpoint.temp-1-1",
    "notes.temp-1-1",
];

#[test]
fn foreign_files_are_left_alone_and_never_read() {
    let dir = tempfile::tempdir().unwrap();
    for name in FOREIGN {
        fs::write(dir.path().join(name), "mine").unwrap();
    }
    fs::create_dir(dir.path().join("archive")).unwrap();
    let before = contents(dir.path());
    let mut follower = recovered(dir.path(), &[1]);
    for mark in 1..=4 {
        follower.state.advance(repl_core::ShardId(1), mark);
        follower.checkpointer.checkpoint(durable).unwrap();
    }
    let mut after = contents(dir.path());
    after.retain(|name, _| before.contains_key(name));
    assert_eq!(after, before);
    assert_eq!(names(dir.path()).len(), before.len() + 2);
}

#[test]
fn a_directory_where_a_checkpoint_should_be_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(file(dir.path(), 3)).unwrap();
    let mut opened = store(dir.path());
    let refused = loaded(&mut opened).unwrap_err();
    assert!(
        matches!(&refused, LoadError::NotAFile { path, found: "a directory" } if *path == file(dir.path(), 3)),
        "{refused}"
    );
    assert!(file(dir.path(), 3).is_dir());
}

#[test]
fn a_symbolic_link_where_a_checkpoint_should_be_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = dir.path().join("elsewhere");
    fs::write(&elsewhere, sealed(3, &marks(&[(1, 2)]))).unwrap();
    let whole = fs::read(&elsewhere).unwrap();
    for target in ["elsewhere", "nowhere"] {
        let link = file(dir.path(), 3);
        std::os::unix::fs::symlink(target, &link).unwrap();
        let mut opened = store(dir.path());
        let refused = loaded(&mut opened).unwrap_err();
        assert!(
            matches!(&refused, LoadError::NotAFile { path, found: "a symbolic link" } if *path == link),
            "{refused}"
        );
        assert_eq!(fs::read(&elsewhere).unwrap(), whole);
        assert!(link.is_symlink());
        fs::remove_file(link).unwrap();
    }
}

#[test]
fn a_socket_where_a_checkpoint_should_be_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let _socket = UnixListener::bind(file(dir.path(), 3)).unwrap();
    let mut opened = store(dir.path());
    let refused = loaded(&mut opened).unwrap_err();
    let found = "neither a file nor a directory";
    assert!(matches!(&refused, LoadError::NotAFile { found: f, .. } if *f == found));
}
