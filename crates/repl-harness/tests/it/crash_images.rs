//! `SimDisk::may_leave` accepts what a power cut may leave, and nothing else.

use std::path::{Path, PathBuf};

use repl_checkpoint::{Disk, FileStore, JsonCodec, OnCorrupt, StoreId, recover};
use repl_core::ShardId;
use repl_harness::crash::{Entry, Fault, FaultKind, NotAnImage, SimDisk, Tree};

/// Three sectors.
const LONG: usize = 1500;

fn root(disk: &SimDisk) -> <SimDisk as Disk>::Dir {
    disk.open_dir(Path::new("/")).unwrap()
}

/// A disk with a synced `/f` whose sector 1 is overwritten in place, and an unsynced `/new`.
fn disk() -> SimDisk {
    let disk = SimDisk::new();
    disk.put(Path::new("/f"), &[b'o'; LONG]).unwrap();
    disk.put(Path::new("/gone"), b"gone").unwrap();
    let file = disk.open_write(Path::new("/f")).unwrap();
    disk.write_at(&file, 600, &[b'n'; 100]).unwrap();
    let mut new = disk.create_new(Path::new("/temp")).unwrap();
    disk.write(&mut new, &[b'n'; LONG]).unwrap();
    disk.rename(Path::new("/temp"), Path::new("/new")).unwrap();
    disk.remove(Path::new("/gone")).unwrap();
    disk
}

fn file(tree: &mut Tree, path: &str) -> Vec<u8> {
    let file = tree.remove(Path::new(path)).and_then(|entry| match entry {
        Entry::File(bytes) => Some(bytes),
        Entry::Dir => None,
    });
    file.unwrap()
}

fn with(mut tree: Tree, path: &str, change: impl FnOnce(&mut Vec<u8>)) -> Tree {
    let mut bytes = file(&mut tree, path);
    change(&mut bytes);
    tree.insert(PathBuf::from(path), Entry::File(bytes));
    tree
}

fn without(mut tree: Tree, path: &str) -> Tree {
    file(&mut tree, path);
    tree
}

/// The disk of a store whose process ended after this many calls; `None` if it makes fewer.
fn ended(calls: usize) -> Option<SimDisk> {
    let disk = SimDisk::new();
    disk.fail(Some(Fault { call: calls, kind: FaultKind::Errno(5), permanent: false }));
    let store = FileStore::open_on(disk.clone(), Path::new("/marks"), StoreId(1)).ok();
    let recovered = store.and_then(|s| recover(s, JsonCodec, &[ShardId(1)], OnCorrupt::Fail).ok());
    if let Some(mut recovered) = recovered {
        for mark in 1..4 {
            recovered.state.advance(ShardId(1), mark);
            if recovered.checkpointer.checkpoint(|_| Ok(())).is_err() {
                break;
            }
        }
    }
    disk.has_failed().then_some(disk)
}

#[test]
fn every_enumerated_image_may_be_left() {
    let disks: Vec<SimDisk> = [disk()].into_iter().chain((0..).map_while(ended)).collect();
    assert!(disks.len() > 20, "{}", disks.len());
    let mut garbage = 0;
    for disk in disks {
        for image in disk.after_power_cut().unwrap() {
            let left = disk.may_leave(&image.tree());
            garbage += left.unwrap_or_else(|why| panic!("{why}: {:?}", image.tree())).garbage;
        }
    }
    assert!(garbage > 0, "garbage is among what is enumerated");
}

#[test]
fn a_settled_disk_may_only_be_left_as_it_is() {
    let settled = SimDisk::from_tree(&disk().tree()).unwrap();
    assert_eq!(settled.tree(), disk().tree());
    assert_eq!(settled.may_leave(&disk().tree()).unwrap().unsettled, 0);
    let images = disk().after_power_cut().unwrap();
    let others: Vec<_> =
        images.iter().map(SimDisk::tree).filter(|t| *t != settled.tree()).collect();
    assert!(others.len() > 100);
    assert!(others.iter().all(|other| settled.may_leave(other).is_err()));
}

#[test]
fn a_sector_that_was_not_written_stays_as_it_was_synced() {
    let changed = |at: usize| with(disk().tree(), "/f", |bytes| bytes[at] = b'x');
    let sector = |sector| NotAnImage::Sector { path: PathBuf::from("/f"), sector };
    assert_eq!(disk().may_leave(&changed(511)), Err(sector(0)));
    assert_eq!(disk().may_leave(&changed(1024)), Err(sector(2)));
    assert_eq!(disk().may_leave(&changed(LONG - 1)), Err(sector(2)));
    // A sector that was written may hold anything, which is counted as garbage.
    assert_eq!(disk().may_leave(&changed(512)).unwrap().garbage, 1);
    assert_eq!(disk().may_leave(&disk().tree()).unwrap().garbage, 0);
}

#[test]
fn synced_bytes_and_names_are_not_lost() {
    let disk = disk();
    let new = disk.open_write(Path::new("/new")).unwrap();
    disk.sync_file(&new).unwrap();
    disk.sync_dir(&root(&disk)).unwrap();
    let tree = disk.tree();
    disk.may_leave(&tree).unwrap();
    let refused = |tree: Tree| disk.may_leave(&tree).unwrap_err();
    let old = refused(with(tree.clone(), "/new", |bytes| bytes.fill(0)));
    assert!(matches!(old, NotAnImage::Sector { sector: 0, .. }), "{old}");
    let empty = refused(with(tree.clone(), "/new", Vec::clear));
    assert!(matches!(empty, NotAnImage::Length { length: 0, .. }), "{empty}");
    let lost = refused(without(tree.clone(), "/new"));
    assert!(matches!(lost, NotAnImage::Names { .. }), "{lost}");
    let mut back = tree;
    back.insert(PathBuf::from("/gone"), Entry::File(b"gone".to_vec()));
    assert!(matches!(refused(back), NotAnImage::Names { .. }));
}

#[test]
fn a_length_lies_between_the_durable_and_the_greatest_one() {
    let length = |n: usize| with(disk().tree(), "/new", |bytes| bytes.resize(n, b'n'));
    for n in [0, 1, 511, 700, LONG] {
        let left = disk().may_leave(&length(n)).unwrap();
        assert_eq!((left.garbage, left.unsettled), (0, 2), "{n}");
        // Only the old and the new length are not in between.
        assert_eq!(left.between, u64::from(n != 0 && n != LONG), "{n}");
    }
    assert!(matches!(disk().may_leave(&length(LONG + 1)), Err(NotAnImage::Length { .. })));
    let longer = with(disk().tree(), "/f", |bytes| bytes.push(b'o'));
    assert!(matches!(disk().may_leave(&longer), Err(NotAnImage::Length { .. })));
}

#[test]
fn the_names_are_those_of_a_subset_of_the_pending_changes() {
    let names = |names: &[&str]| {
        let mut tree = disk().tree();
        let new = file(&mut tree, "/new");
        for name in names {
            tree.insert(PathBuf::from(name), Entry::File(new.clone()));
        }
        disk().may_leave(&tree)
    };
    for left in [&[][..], &["/temp"], &["/new"], &["/temp", "/new"]] {
        names(left).unwrap_or_else(|why| panic!("{left:?}: {why}"));
    }
    assert!(matches!(names(&["/never"]), Err(NotAnImage::Names { .. })));
    assert!(matches!(
        disk().may_leave(&without(disk().tree(), "/f")),
        Err(NotAnImage::Names { .. })
    ));
}

#[test]
fn two_names_of_one_file_hold_the_same_bytes() {
    let mut tree = disk().tree();
    tree.insert(PathBuf::from("/temp"), Entry::File(Vec::new()));
    let apart = disk().may_leave(&tree).unwrap_err();
    assert!(matches!(apart, NotAnImage::Apart { .. }), "{apart}");
}

#[test]
fn a_file_never_replaces_a_directory() {
    let disk = SimDisk::new();
    disk.create_dir(Path::new("/d")).unwrap();
    disk.may_leave(&Tree::new()).unwrap();
    disk.may_leave(&disk.tree()).unwrap();
    let file = Tree::from([(PathBuf::from("/d"), Entry::File(Vec::new()))]);
    assert!(matches!(disk.may_leave(&file), Err(NotAnImage::Kind { .. })));
}

#[test]
fn hundreds_of_pending_changes_are_checked() {
    let disk = SimDisk::new();
    for n in 0..200 {
        let temp = PathBuf::from(format!("/temp-{n}"));
        disk.create_new(&temp).unwrap();
        disk.rename(&temp, &PathBuf::from(format!("/{n}"))).unwrap();
    }
    let all = disk.tree();
    disk.may_leave(&all).unwrap();
    disk.may_leave(&without(all.clone(), "/77")).unwrap();
    let mut never = all;
    never.insert(PathBuf::from("/200"), Entry::File(Vec::new()));
    assert!(matches!(disk.may_leave(&never), Err(NotAnImage::Names { .. })));
}
