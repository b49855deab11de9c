//! Which directory a store opens and locks.

use std::fs;

use repl_checkpoint::{FileStore, OpenStoreError, StoreId};

use crate::support::{STORE, names, recovered, relative_dir, save};

#[test]
fn deep_missing_directories_are_created() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("a/b/c");
    let mut follower = recovered(&deep, &[1]);
    assert_eq!(save(&mut follower.checkpointer), 1);
    assert_eq!(names(&deep), ["00000000000000000001.checkpoint"]);
}

#[test]
fn a_relative_directory_is_made_absolute() {
    let (dir, relative) = relative_dir();
    // It does not exist yet.
    let opened = FileStore::open(relative.join("new"), STORE).unwrap();
    assert_eq!(opened.dir(), dir.path().canonicalize().unwrap().join("new"));
}

#[test]
fn a_directory_behind_a_symbolic_link_is_used() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("real")).unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink("real", &link).unwrap();
    let mut follower = recovered(&link, &[1]);
    save(&mut follower.checkpointer);
    assert_eq!(names(&dir.path().join("real")).len(), 1);
}

#[test]
fn a_file_where_the_directory_should_be_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "mine").unwrap();
    for place in [path.clone(), path.join("below"), path.join("far/below")] {
        let refused = FileStore::open(&place, STORE).unwrap_err();
        assert!(matches!(refused, OpenStoreError::NotADirectory { .. }), "{refused}");
    }
    assert_eq!(fs::read(&path).unwrap(), b"mine");
}

#[test]
fn the_error_names_the_file_in_place_of_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "mine").unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink("file", &link).unwrap();
    for place in [path.clone(), path.join("below"), path.join("far/below"), link.clone()] {
        match FileStore::open(&place, STORE).unwrap_err() {
            OpenStoreError::NotADirectory { path: named } => {
                assert!(
                    named == path || named == link,
                    "{} for {}",
                    named.display(),
                    place.display()
                );
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn two_directories_can_be_open_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let one = FileStore::open(dir.path().join("one"), STORE).unwrap();
    let two = FileStore::open(dir.path().join("two"), StoreId(2)).unwrap();
    assert_ne!(one.dir(), two.dir());
}

/// Deployments switch a link from one directory to another.
#[test]
fn a_link_that_is_switched_does_not_move_the_saves_of_an_open_store() {
    let dir = tempfile::tempdir().unwrap();
    let [a, b, current] = ["a", "b", "current"].map(|name| dir.path().join(name));
    for real in [&a, &b] {
        std::fs::create_dir(real).unwrap();
    }
    std::os::unix::fs::symlink(&a, &current).unwrap();
    let mut follower = recovered(&current.join("marks"), &[1]);
    std::fs::remove_file(&current).unwrap();
    std::os::unix::fs::symlink(&b, &current).unwrap();
    save(&mut follower.checkpointer);
    assert!(!b.join("marks").exists());
    drop(follower);
    assert_eq!(recovered(&a.join("marks"), &[1]).report.missing, []);
}
