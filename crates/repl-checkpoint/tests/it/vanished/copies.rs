//! A copy that lists the names first and reads the contents later, beside a store that saves.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;

use repl_checkpoint::{RecoverErrorKind, Source};
use repl_core::{ReplicationState, Shard, ShardId};

use super::{FILES, Kind, ONE_FILE, SLOTS, advance_and_save, is_vanished};
use crate::support::chain;
use crate::support::follower::ONE;

/// A store that saves on a thread of its own, as fast as it can.
struct Saving {
    /// The number of acknowledged saves.
    saves: Shard,
    /// The mark of the save that was tried last.
    tried: Arc<AtomicU64>,
    /// The retention floor of the shard.
    floor: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

/// So many shards that a checkpoint is copied in several blocks.
fn shards() -> Vec<ShardId> {
    (1..=500).map(ShardId).collect()
}

impl Saving {
    fn start(kind: Kind, dir: &Path) -> Self {
        let counter = ReplicationState::new(&[ONE]);
        let mut follower = kind.recovered(dir, &shards()).unwrap();
        let saving = Saving {
            saves: counter.shard(ONE).unwrap(),
            tried: Arc::default(),
            floor: Arc::default(),
            stop: Arc::default(),
            thread: None,
        };
        let (saves, stop) = (saving.saves.clone(), Arc::clone(&saving.stop));
        let (tried, floor) = (Arc::clone(&saving.tried), Arc::clone(&saving.floor));
        let thread = thread::spawn(move || {
            let floors = follower.checkpointer.floors();
            for mark in (1..).take_while(|_| !stop.load(SeqCst)) {
                tried.store(mark, SeqCst);
                advance_and_save(&mut follower, mark);
                floor.store(floors.retention_floor(ONE).unwrap_or(0), SeqCst);
                saves.advance(mark);
            }
        });
        Saving { thread: Some(thread), ..saving }
    }

    /// Waits until so many saves more are acknowledged.
    fn after(&self, saves: u64) {
        self.saves.reached(self.saves.applied() + saves).wait().unwrap();
    }

    /// Returns the mark of the last save.
    fn end(mut self) -> u64 {
        self.stop.store(true, SeqCst);
        self.thread.take().unwrap().join().unwrap();
        self.tried.load(SeqCst)
    }
}

/// Copies a file in blocks; one that is gone is passed over, as tar and rsync do.
fn copied(from: &Path, to: &Path) -> io::Result<()> {
    let (mut from, mut to) = (File::open(from)?, File::create(to)?);
    let mut block = [0; 4096];
    loop {
        match from.read(&mut block)? {
            0 => return Ok(()),
            length => to.write_all(&block[..length])?,
        }
    }
}

/// Lists the names, and copies the contents once the store has saved a few times more. Returns how
/// many copies held a checkpoint, lost it, and were damaged.
fn copies(kind: Kind, runs: u64, between: impl Fn(u64) -> u64) -> [u32; 3] {
    let dir = tempfile::tempdir().unwrap();
    let saving = Saving::start(kind, dir.path());
    saving.after(1);
    let mut outcomes = [0; 3];
    for run in 0..runs {
        let copy = tempfile::tempdir().unwrap();
        let floor = saving.floor.load(SeqCst);
        let names: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        saving.after(between(run));
        for name in names {
            let _ = copied(&dir.path().join(&name), &copy.path().join(&name));
        }
        let tried = saving.tried.load(SeqCst);
        match kind.recovered(copy.path(), &shards()) {
            Ok(found) => {
                assert!(!matches!(found.report.source, Source::Fresh), "run {run}");
                let mark = found.state.applied_seqno(ONE).unwrap();
                assert!((floor..=tried).contains(&mark), "run {run}: {floor}, {mark}, {tried}");
                outcomes[0] += 1;
            }
            Err(error) if is_vanished(&error) => outcomes[1] += 1,
            Err(error) => {
                let is_damage = matches!(error.kind(), RecoverErrorKind::Corrupt { .. });
                assert!(is_damage, "run {run}: {}", chain(&error));
                outcomes[2] += 1;
            }
        }
    }
    let tried = saving.end();
    let found = kind.recovered(dir.path(), &shards()).unwrap();
    assert_eq!(found.state.applied_seqno(ONE), Some(tried));
    outcomes
}

#[test]
fn a_copy_of_files_that_lists_first_and_reads_later_is_never_fresh() {
    let [whole, vanished, _] = copies(FILES, 25, |run| run % 5);
    assert!(whole + vanished > 0);
    // All files of the listing are gone after three saves.
    let [_, vanished, _] = copies(FILES, 25, |_| 4);
    assert_eq!(vanished, 25);
}

#[test]
fn a_copy_of_slots_that_lists_first_and_reads_later_is_never_fresh() {
    for kind in [SLOTS, ONE_FILE] {
        let [whole, vanished, _] = copies(kind, 25, |run| run % 5);
        assert!(whole > 0 && vanished == 0, "the slot file has one name: {whole}, {vanished}");
    }
}
