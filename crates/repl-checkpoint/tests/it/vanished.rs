//! A directory that has lost its checkpoints is not taken for a new one, and neither is a copy
//! that was made beside a saving store.

mod copies;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use repl_checkpoint::{
    CheckpointStore, FileStore, JsonCodec, LoadError, OnCorrupt, OpenStoreError, OsDisk,
    RecoverError, RecoverErrorKind, Recovered, SlotStore, Source, recover,
};
use repl_core::ShardId;

use crate::support::follower::ONE;
use crate::support::hooked::Hooked;
use crate::support::{STORE, chain, save};

type Opened = Result<Box<dyn CheckpointStore>, OpenStoreError>;

/// A way to keep checkpoints in a directory.
#[derive(Clone, Copy)]
struct Kind {
    marker: &'static str,
    open: fn(Hooked<OsDisk>, &Path) -> Opened,
}

const FILES: Kind = Kind {
    marker: "repl-checkpoint.marker",
    open: |disk, dir| Ok(Box::new(FileStore::open_on(disk, dir, STORE)?)),
};
const SLOTS: Kind = Kind {
    marker: "repl-checkpoint.marker",
    open: |disk, dir| Ok(Box::new(SlotStore::open_on(disk, dir, STORE)?)),
};
/// A slot file beside others.
const ONE_FILE: Kind = Kind {
    marker: "follower.marks.marker",
    open: |disk, dir| {
        Ok(Box::new(SlotStore::open_file_on(disk, &dir.join("follower.marks"), STORE)?))
    },
};
const KINDS: [Kind; 3] = [FILES, SLOTS, ONE_FILE];

impl Kind {
    fn recovered(self, dir: &Path, shards: &[ShardId]) -> Result<Recovered, RecoverError> {
        let store = (self.open)(Hooked::look(OsDisk, |_| ()), dir).unwrap();
        recover(store, JsonCodec, shards, OnCorrupt::Fail)
    }

    /// A directory in which marks 1 to `saves` of one shard were saved.
    fn saved(self, saves: u64) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut follower = self.recovered(dir.path(), &[ONE]).unwrap();
        for mark in 1..=saves {
            advance_and_save(&mut follower, mark);
        }
        dir
    }

    /// Recovery finds that the checkpoints are gone; returns the message.
    fn vanished(self, dir: &Path) -> String {
        let error = self.recovered(dir, &[ONE]).unwrap_err();
        assert!(is_vanished(&error), "{}", chain(&error));
        chain(&error)
    }
}

fn is_vanished(error: &RecoverError) -> bool {
    matches!(error.kind(), RecoverErrorKind::Load(LoadError::Vanished { .. }))
}

fn advance_and_save(follower: &mut Recovered, mark: u64) {
    follower.state.advance(ONE, mark);
    save(&mut follower.checkpointer);
}

/// The paths of the checkpoints: all but lock and marker.
fn checkpoints(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|path| !path.extension().is_some_and(|end| end == "lock" || end == "marker"));
    paths.sort();
    paths
}

fn remove_checkpoints(dir: &Path) {
    for path in checkpoints(dir) {
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_directory_that_lost_its_checkpoints_is_refused_and_the_message_names_the_marker_and_the_way_on()
 {
    for kind in KINDS {
        for saves in 1..=3 {
            let dir = kind.saved(saves);
            let marker = dir.path().join(kind.marker);
            remove_checkpoints(dir.path());
            let message = kind.vanished(dir.path());
            assert_eq!(message, kind.vanished(dir.path()), "refusing changes nothing");
            let named = format!("{} says that a store has saved some", marker.display());
            let way_on = format!("remove {} to begin again", marker.display());
            for part in [&*named, "restore a copy", &*way_on] {
                assert!(message.contains(part) && !message.contains('\n'), "{message}");
            }
            assert!(fs::read_to_string(&marker).unwrap().contains("remove this file"));
        }
    }
}

#[test]
fn without_the_marker_the_directory_begins_again() {
    for kind in KINDS {
        let dir = kind.saved(2);
        remove_checkpoints(dir.path());
        fs::remove_file(dir.path().join(kind.marker)).unwrap();
        let mut follower = kind.recovered(dir.path(), &[ONE]).unwrap();
        assert!(matches!(follower.report.source, Source::Fresh));
        advance_and_save(&mut follower, 1);
        drop(follower);
        remove_checkpoints(dir.path());
        kind.vanished(dir.path());
    }
}

#[test]
fn a_restored_checkpoint_heals_the_directory_however_old_it_is() {
    for kind in KINDS {
        for backup_after in 1..=3 {
            let dir = kind.saved(backup_after);
            let backup: Vec<_> = checkpoints(dir.path())
                .into_iter()
                .map(|path| (path.clone(), fs::read(path).unwrap()))
                .collect();
            let mut follower = kind.recovered(dir.path(), &[ONE]).unwrap();
            for mark in 4..=6 {
                advance_and_save(&mut follower, mark);
            }
            drop(follower);
            remove_checkpoints(dir.path());
            kind.vanished(dir.path());
            for (path, bytes) in &backup {
                fs::write(path, bytes).unwrap();
            }
            let mut follower = kind.recovered(dir.path(), &[ONE]).unwrap();
            assert_eq!(follower.state.applied_seqno(ONE), Some(backup_after));
            advance_and_save(&mut follower, 9);
            drop(follower);
            let follower = kind.recovered(dir.path(), &[ONE]).unwrap();
            assert_eq!(follower.state.applied_seqno(ONE), Some(9));
        }
    }
}

#[test]
fn a_death_before_the_first_acknowledged_save_leaves_no_directory_that_vanished() {
    for kind in KINDS {
        let calls = dies(kind, usize::MAX);
        for call in 0..calls {
            assert!(dies(kind, call) > call);
        }
    }
}

/// Opens, recovers and saves once; dies at a call of the disk, unless there are fewer. What is left
/// is new or holds the save. Returns the number of calls.
fn dies(kind: Kind, at: usize) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let disk = Hooked::look(OsDisk, move |call| {
        let number = counted.fetch_add(1, SeqCst);
        // Nothing is cleaned up: all later calls die too.
        if number >= at {
            std::panic::resume_unwind(Box::new(call.name));
        }
    });
    let lived = catch_unwind(AssertUnwindSafe(|| {
        let store = (kind.open)(disk, dir.path()).unwrap();
        let mut follower = recover(store, JsonCodec, &[ONE], OnCorrupt::Fail).unwrap();
        advance_and_save(&mut follower, 1);
    }));
    assert_eq!(lived.is_ok(), at == usize::MAX);
    let found = kind.recovered(dir.path(), &[ONE]).unwrap_or_else(|error| {
        panic!("dead at call {at}: {}", chain(&error));
    });
    let mark = found.state.applied_seqno(ONE).unwrap();
    let expected = u64::from(matches!(found.report.source, Source::Resumed { generation: 1 }));
    assert_eq!(mark, expected);
    calls.load(SeqCst)
}
