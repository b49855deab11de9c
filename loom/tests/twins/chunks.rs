//! A twin of the chunks of src/chunks.rs: a directory that is replaced under a lock and read without.

use std::sync::Arc;

use loom::sync::Mutex;

use super::{loom_rejects, raise};
use crate::{AtomicU64, Ordering, check, check_within, thread};

/// A chunk has the seqnos 0 and 1, or 2 and 3, and so on.
const LEN: u64 = 2;

#[derive(Clone, Copy)]
struct Steps {
    storing: Ordering,
    loading: Ordering,
    looks_again: bool,
    /// The number of the first chunk that a mark has not passed.
    passed: fn(u64) -> u64,
}

const REAL: Steps = Steps {
    storing: Ordering::Release,
    loading: Ordering::Acquire,
    looks_again: true,
    passed: |mark| (mark + 1) / LEN,
};

type Chunk = Arc<AtomicU64>;

#[derive(Clone, Default)]
struct Directory {
    first: u64,
    chunks: Vec<(u64, Chunk)>,
}

enum Found {
    Passed,
    Missing,
    Chunk(Chunk),
}

impl Directory {
    fn find(&self, seqno: u64) -> Found {
        let number = seqno / LEN;
        if number < self.first {
            return Found::Passed;
        }
        let chunk = self.chunks.iter().find(|(of, _)| *of == number);
        chunk.map_or(Found::Missing, |(_, chunk)| Found::Chunk(Arc::clone(chunk)))
    }
}

struct Twin {
    steps: Steps,
    mark: AtomicU64,
    /// The place of the newest directory among all.
    newest: AtomicU64,
    directories: std::sync::Mutex<Vec<Directory>>,
    replacing: Mutex<()>,
}

impl Twin {
    fn new(steps: Steps) -> Arc<Self> {
        Arc::new(Twin {
            steps,
            mark: AtomicU64::new(0),
            newest: AtomicU64::new(0),
            directories: std::sync::Mutex::new(vec![Directory::default()]),
            replacing: Mutex::new(()),
        })
    }

    fn directory(&self) -> Directory {
        let newest = self.newest.load(self.steps.loading);
        self.directories.lock().unwrap()[usize::try_from(newest).unwrap()].clone()
    }

    fn replace(&self, directory: Directory) {
        let mut directories = self.directories.lock().unwrap();
        directories.push(directory);
        let newest = directories.len() as u64 - 1;
        drop(directories);
        self.newest.store(newest, self.steps.storing);
    }

    fn chunk(&self, seqno: u64) -> Option<Chunk> {
        let before = self.directory();
        match before.find(seqno) {
            Found::Passed => return None,
            Found::Chunk(chunk) => return Some(chunk),
            Found::Missing => {}
        }
        let _lock = self.replacing.lock().unwrap();
        let mut directory = if self.steps.looks_again { self.directory() } else { before };
        match directory.find(seqno) {
            Found::Passed => None,
            Found::Chunk(chunk) => Some(chunk),
            Found::Missing => {
                let chunk = Chunk::default();
                directory.chunks.push((seqno / LEN, Arc::clone(&chunk)));
                self.replace(directory);
                Some(chunk)
            }
        }
    }

    fn complete(&self, seqno: u64) {
        if let Some(chunk) = self.chunk(seqno) {
            chunk.fetch_or(1 << (seqno % LEN), Ordering::AcqRel);
        }
        let at = self.mark.fetch_add(0, Ordering::AcqRel);
        if at + 1 >= seqno {
            self.advance_prefix(at);
        }
    }

    fn advance_prefix(&self, mut at: u64) {
        loop {
            let goes_on = match self.directory().find(at + 1) {
                Found::Passed => {
                    let now = self.mark.load(Ordering::Acquire);
                    assert!(now > at, "the chunk is gone, and the mark is not beyond it");
                    at = now - 1;
                    true
                }
                Found::Missing => false,
                Found::Chunk(chunk) => chunk.load(Ordering::Acquire) & (1 << ((at + 1) % LEN)) != 0,
            };
            if !goes_on {
                return self.drop_passed(at);
            }
            raise(&self.mark, at + 1);
            at = self.mark.load(Ordering::Acquire);
        }
    }

    fn drop_passed(&self, at: u64) {
        let first = (self.steps.passed)(at);
        let _lock = self.replacing.lock().unwrap();
        let mut directory = self.directory();
        if first > directory.first {
            directory.first = first;
            directory.chunks.retain(|(number, _)| *number >= first);
            self.replace(directory);
        }
    }
}

fn spawn<R: 'static>(
    twin: &Arc<Twin>,
    f: impl FnOnce(&Twin) -> R + 'static,
) -> thread::JoinHandle<R> {
    let twin = Arc::clone(twin);
    thread::spawn(move || f(&twin))
}

/// Two seqnos of one chunk, and one of the next, are completed at once. Two preemptions find both
/// weak twins.
fn completions_of(steps: Steps) {
    check_within(2, move || {
        let twin = Twin::new(steps);
        let completers = [3, 2].map(|seqno| spawn(&twin, move |twin| twin.complete(seqno)));
        twin.complete(1);
        for completer in completers {
            completer.join().unwrap();
        }
        assert_eq!(twin.mark.load(Ordering::Acquire), 3, "left behind");
    });
}

/// A thread that finds a chunk gone finds the mark beyond it.
fn dropping_of(steps: Steps) {
    check(move || {
        let twin = Twin::new(steps);
        let other = spawn(&twin, |twin| {
            raise(&twin.mark, 1);
            twin.drop_passed(1);
        });
        twin.advance_prefix(0);
        other.join().unwrap();
    });
}

#[test]
fn the_twin_without_a_weakness_passes() {
    completions_of(REAL);
    dropping_of(REAL);
}

#[test]
fn a_chunk_added_without_a_second_look_loses_a_completion() {
    assert!(loom_rejects(|| completions_of(Steps { looks_again: false, ..REAL })));
}

#[test]
fn a_chunk_dropped_before_the_mark_has_passed_it_loses_a_completion() {
    assert!(loom_rejects(|| completions_of(Steps { passed: |mark| mark / LEN + 1, ..REAL })));
}

#[test]
fn a_directory_stored_or_loaded_relaxed_leads_to_an_older_mark() {
    let weak = Ordering::Relaxed;
    assert!(loom_rejects(|| dropping_of(Steps { storing: weak, ..REAL })));
    assert!(loom_rejects(|| dropping_of(Steps { loading: weak, ..REAL })));
}
