//! Opening a store that another one may hold, and opening it again at once.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use repl_checkpoint::{FileStore, OpenStoreError, SlotStore, StoreId, open_timeout};

use crate::support::{AnyStore, STORE, eventually, opened, recovered_from, save, watched};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

fn open(dir: &Path) -> impl FnMut() -> Result<FileStore, OpenStoreError> + Send + use<> {
    let dir = dir.to_owned();
    move || FileStore::open(&dir, STORE)
}

#[test]
fn a_wait_for_the_lock_ends_when_the_lock_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let before: FileStore = opened(dir.path());
    let tries = AtomicUsize::new(0);
    let counted = || {
        tries.fetch_add(1, SeqCst);
        FileStore::open(dir.path(), STORE)
    };
    thread::scope(|s| {
        s.spawn(|| {
            eventually("a second try", || tries.load(SeqCst) > 1);
            drop(before);
        });
        open_timeout(LONG, counted).wait().unwrap();
    });
}

#[test]
fn a_wait_for_the_lock_ends_when_its_time_is_up() {
    let dir = tempfile::tempdir().unwrap();
    let _held: FileStore = opened(dir.path());
    let began = Instant::now();
    let refused = open_timeout(SHORT, open(dir.path())).wait().unwrap_err();
    assert!(matches!(&refused, OpenStoreError::Locked { path } if path == dir.path()));
    assert!(began.elapsed() >= SHORT);
    let refused = smol::block_on(open_timeout(SHORT, open(dir.path()))).unwrap_err();
    assert!(matches!(refused, OpenStoreError::Locked { .. }));
}

#[test]
fn another_error_ends_the_wait_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let refused = open_timeout(LONG, open(&file)).wait().unwrap_err();
    assert!(matches!(refused, OpenStoreError::NotADirectory { .. }));
    let refused = smol::block_on(open_timeout(LONG, open(&file))).unwrap_err();
    assert!(matches!(refused, OpenStoreError::NotADirectory { .. }));
}

#[test]
fn the_lock_can_be_awaited_without_blocking_the_runtime() {
    let dir = tempfile::tempdir().unwrap();
    watched("awaiting the lock", move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let before: FileStore = opened(dir.path());
            let waiting = tokio::spawn(open_timeout(LONG, open(dir.path())));
            tokio::task::yield_now().await; // it has been polled
            assert!(!waiting.is_finished());
            drop(before);
            waiting.await.unwrap().unwrap();
        });
    });
}

#[test]
fn a_dropped_wait_stops_trying_and_leaves_the_lock_free() {
    static STOPPED: AtomicBool = AtomicBool::new(false);
    struct OnDrop;
    impl Drop for OnDrop {
        fn drop(&mut self) {
            STOPPED.store(true, SeqCst);
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let before: FileStore = opened(dir.path());
    let (mut open, held_by_the_thread) = (open(dir.path()), OnDrop);
    let mut waiting = open_timeout(LONG, move || {
        let _ = &held_by_the_thread;
        open()
    });
    smol::block_on(async { assert!(smol::future::poll_once(&mut waiting).await.is_none()) });
    drop(waiting);
    eventually("the end of the thread", || STOPPED.load(SeqCst));
    drop(before);
    opened::<FileStore>(dir.path());
}

#[test]
fn a_panic_while_opening_ends_the_wait() {
    let dir = tempfile::tempdir().unwrap();
    let _held: FileStore = opened(dir.path());
    let (mut open, mut tries) = (open(dir.path()), 0);
    let waiting = open_timeout(LONG, move || {
        tries += 1;
        assert!(tries < 3, "the third try panics");
        open()
    });
    let ended = watched("a panic while opening", || smol::block_on(waiting));
    assert!(matches!(ended, Err(OpenStoreError::Io { .. })));
}

/// A child process has a copy of every open file between its fork and its exec.
fn reopens_beside_processes_that_start<S: AnyStore>(times: usize) {
    let dir = tempfile::tempdir().unwrap();
    save(&mut recovered_from::<S>(dir.path(), &[1]).checkpointer);
    let done = AtomicBool::new(false);
    thread::scope(|s| {
        for _ in 0..3 {
            s.spawn(|| {
                while !done.load(SeqCst) {
                    assert!(Command::new("/bin/true").status().unwrap().success());
                }
            });
        }
        let refused = (0..times).filter(|_| S::open_at(dir.path()).is_err()).count();
        done.store(true, SeqCst);
        assert_eq!(refused, 0);
    });
}

#[test]
fn a_store_can_be_opened_again_at_once_beside_processes_that_start() {
    reopens_beside_processes_that_start::<FileStore>(1500);
    reopens_beside_processes_that_start::<SlotStore>(1500);
}

#[test]
fn a_store_that_was_dropped_can_be_opened_under_another_id() {
    let dir = tempfile::tempdir().unwrap();
    drop(FileStore::open(dir.path(), StoreId(1)).unwrap());
    drop(FileStore::open(dir.path(), StoreId(2)).unwrap());
}
