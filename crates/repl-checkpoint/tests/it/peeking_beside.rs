//! Reading beside a process that saves a thousand times a second.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use repl_checkpoint::{
    CheckpointStore, FileStore, JsonCodec, NoSync, OnCorrupt, OpenStoreError, SlotStore, peek,
    recover, survey,
};
use repl_core::{SeqNo, ShardId};

use crate::support::{AnyStore, STORE, eventually, save};

/// The variables with the directory and the store of the process that saves.
const DIR: &str = "REPL_CHECKPOINT_TEST_SAVER_DIR";
const KIND: &str = "REPL_CHECKPOINT_TEST_SAVER_STORE";
const SAYS: &str = "saved: ";

const SHARDS: u64 = 1024;
/// A little more often than a thousand times a second.
const BETWEEN: Duration = Duration::from_micros(950);

/// A process that saves, and the mark that it acknowledged last. Dropping it kills it.
struct Saver {
    child: Child,
    acknowledged: Arc<AtomicU64>,
}

impl Saver {
    fn start<S: AnyStore>(dir: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "peeking_beside::a_process_that_saves", "--ignored"])
            .args(["--nocapture", "--test-threads=1"])
            .env(DIR, dir)
            .env(KIND, S::NAME)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let acknowledged = Arc::new(AtomicU64::new(0));
        let (says, newest) = (child.stdout.take().unwrap(), Arc::clone(&acknowledged));
        thread::spawn(move || listen(says, &newest));
        let saver = Saver { child, acknowledged };
        eventually("a first save", || saver.acknowledged() > 0);
        saver
    }

    /// The mark of the last acknowledged save that this process has heard of.
    fn acknowledged(&self) -> SeqNo {
        self.acknowledged.load(SeqCst)
    }
}

impl Drop for Saver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn listen(says: ChildStdout, newest: &AtomicU64) {
    for line in BufReader::new(says).lines().map_while(Result::ok) {
        if let Some((_, mark)) = line.split_once(SAYS) {
            newest.store(mark.parse().unwrap(), SeqCst);
        }
    }
}

/// The number of saves a second beside the reads, each of which is a peek and a survey.
fn reads_beside_saves<S: AnyStore>(reads: u32) -> (f64, Duration) {
    let dir = tempfile::tempdir().unwrap();
    let process = Saver::start::<S>(dir.path());
    let (began, first) = (Instant::now(), process.acknowledged());
    let mut newest = 0;
    for read in 0..reads {
        let before = process.acknowledged();
        let found = peek(dir.path()).unwrap_or_else(|error| panic!("read {read}: {error:?}"));
        let marks = found.checkpoint.unwrap().shards;
        let mark = marks[0].mark;
        assert!(before <= mark && newest <= mark, "{read}: {mark} after {before} and {newest}");
        assert!(marks.len() as u64 == SHARDS && marks.iter().all(|shard| shard.mark == mark));
        newest = mark;
        let found = survey(dir.path()).unwrap_or_else(|error| panic!("survey {read}: {error:?}"));
        for generation in &found.found {
            assert!(generation.checked.is_ok(), "survey {read}: {generation:?}");
        }
        let mark = found.newest.and_then(|marks| marks.mark(ShardId(1)));
        assert!(mark >= Some(newest), "survey {read}: {mark:?} after {newest}");
    }
    let time = began.elapsed();
    let saved = process.acknowledged() - first;
    assert!(saved > 1, "nothing was saved beside the reads");
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    (saved as f64 / time.as_secs_f64(), time)
}

#[test]
fn beside_saves_of_another_process_no_read_falls_behind_what_was_acknowledged() {
    reads_beside_saves::<FileStore>(300);
    reads_beside_saves::<SlotStore>(300);
}

/// CONTRIBUTING.md has the command.
#[test]
#[ignore = "takes minutes without optimization"]
fn a_hundred_thousand_reads_beside_a_thousand_saves_a_second_give_no_false_alarm() {
    const READS: u32 = 50_000;
    for (name, run) in [
        (FileStore::NAME, reads_beside_saves::<FileStore> as fn(u32) -> (f64, Duration)),
        (SlotStore::NAME, reads_beside_saves::<SlotStore>),
    ] {
        let (rate, time) = run(READS);
        println!("{name}: {READS} reads in {time:.1?}, beside {rate:.0} saves a second");
        assert!(rate >= 1000.0, "{name}: {rate:.0} saves a second are too few");
    }
}

#[test]
#[ignore = "run by other tests as a process of its own"]
fn a_process_that_saves() {
    let (Some(dir), Ok(store)) = (std::env::var_os(DIR), std::env::var(KIND)) else {
        return;
    };
    let dir = Path::new(&dir);
    match store.as_str() {
        FileStore::NAME => save_often(FileStore::open_on(NoSync, dir, STORE)),
        SlotStore::NAME => save_often(SlotStore::open_on(NoSync, dir, STORE)),
        other => panic!("{other}"),
    }
}

/// Saves until it is killed. Without syncs, so that the disk does not limit the rate.
#[expect(clippy::print_stdout, reason = "so it says what it does")]
fn save_often(store: Result<impl CheckpointStore + 'static, OpenStoreError>) {
    let shards: Vec<ShardId> = (1..=SHARDS).map(ShardId).collect();
    let mut follower = recover(store.unwrap(), JsonCodec, &shards, OnCorrupt::Fail).unwrap();
    let began = Instant::now();
    let mut due = Duration::ZERO;
    for mark in 1.. {
        for shard in &shards {
            follower.state.advance(*shard, mark);
        }
        save(&mut follower.checkpointer);
        println!("{SAYS}{mark}");
        due += BETWEEN;
        thread::sleep(due.saturating_sub(began.elapsed()));
    }
}
