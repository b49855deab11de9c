//! The states of the sequence numbers just above a mark: two bits each, in chunks of 512 seqnos. A
//! chunk comes when the first of its seqnos is claimed or completed, and goes when the mark has
//! passed its last. So memory follows what is in flight, whatever the capacity of the window.
//!
//! # One place for each seqno
//! The chunks of one time are listed in a *directory*, which is immutable. It is replaced under a
//! lock: with another chunk, or without those that the mark has passed. It is read without one, and
//! a thread may read an older one.
//! - A thread that finds no chunk for its seqno looks again under the lock, in the newest directory,
//!   before it adds one. Otherwise two threads add the same chunk, and what is in one of them is
//!   lost: the loom twin `a_chunk_added_without_a_second_look_loses_a_completion`.
//! - A chunk is dropped only when the mark has passed all of it, and the number of the first chunk
//!   never falls: no chunk is added twice. A thread that still has a dropped chunk changes bits that
//!   no longer matter. With a chunk dropped earlier, a completion is lost: the loom twin
//!   `a_chunk_dropped_before_the_mark_has_passed_it_loses_a_completion`.
//!
//! # Orderings
//! Completing is a `Release`, finding a seqno completed an `Acquire`: a thread that moves the mark
//! over it passes on what its applier wrote. With either `Relaxed` it does not (the loom twin
//! `a_bit_completed_or_looked_at_relaxed_publishes_nothing`). Every write to a word is a
//! read-modify-write, so a thread that finds several bits in a word observes all their appliers.
//! Claiming is `Acquire` and releasing a claim `Release`: the next claimer observes what the one
//! before did. `cell/prefix.rs` argues which thread moves the mark.
//!
//! A directory is stored with `Release` and loaded with `Acquire`.
//! - A completer adds the chunk and sets the bit before its synchronized load of the mark. So a
//!   raise that comes after that load finds the chunk.
//! - A thread drops chunks after it has read a mark beyond them. So a thread that finds a chunk gone
//!   ([`State::Passed`]) reads that mark or a later one next. With either `Relaxed` it may read an
//!   older one, and look at the same gap for ever: the loom twin
//!   `a_directory_stored_or_loaded_relaxed_leads_to_an_older_mark`.
//!
//! The mark at which chunks are dropped is `Relaxed`: a thread that reads an older value leaves the
//! chunks to the next call.

mod directory;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::ids::SeqNo;
use crate::range_set::RangeSet;
use crate::seq_range::SeqRange;
use crate::sync::{AtomicU64, Mutex, Ordering, Swap, interleave, locked};

use self::directory::{Bit, Chunk, Directory, Found};

/// The state of a seqno.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Free,
    Claimed,
    Completed,
    /// Its chunk is gone: the mark is at the seqno or above.
    Passed,
}

pub(crate) struct Chunks {
    directory: Swap<Directory>,
    /// Held by a thread that replaces the directory.
    replacing: Mutex<()>,
    drop_at: AtomicU64,
}

impl Chunks {
    /// How far above a mark seqnos are kept in chunks.
    pub(crate) const REACH: u64 = if cfg!(loom_models) { 4 } else { 1 << 14 };

    pub(crate) fn new() -> Self {
        let directory = Directory::empty();
        Chunks {
            drop_at: AtomicU64::new(directory.drop_at()),
            directory: Swap::new(directory.into()),
            replacing: Mutex::default(),
        }
    }

    /// Whether a seqno is known to be completed.
    pub(crate) fn is_completed(&self, seqno: SeqNo) -> bool {
        self.directory.with(|directory| match directory.find(seqno) {
            Found::Passed => true,
            Found::Missing => false,
            Found::Chunk(chunk) => {
                let bit = Chunk::bit(seqno);
                chunk.completed[bit.word].load(Ordering::Acquire) & bit.mask() != 0
            }
        })
    }

    /// The last of the seqnos that are completed side by side above `at`, and the state of the next.
    #[inline]
    pub(crate) fn prefix(&self, at: SeqNo) -> (SeqNo, State) {
        let result = self.directory.with(|directory| {
            let mut end = at;
            while let Some(next) = end.checked_add(1) {
                let chunk = match directory.find(next) {
                    Found::Passed => return (end, State::Passed),
                    Found::Missing => break,
                    Found::Chunk(chunk) => chunk,
                };
                let Bit { word, shift } = Chunk::bit(next);
                let word = chunk.completed[word].load(Ordering::Acquire) >> shift;
                let run = word.trailing_ones();
                end += u64::from(run);
                if run + shift < 1 << Chunk::WORD_LOG2 {
                    break;
                }
            }
            (end, State::Free)
        });
        interleave();
        result
    }

    /// Adds what is completed above a mark of `at`, up to `last`.
    pub(crate) fn add_completed(&self, at: SeqNo, last: SeqNo, completed: &mut RangeSet) {
        self.directory.with(|directory| {
            let mut seqno = at;
            while seqno < last {
                let next = seqno + 1;
                let (skip, bits) = match directory.find(next) {
                    Found::Chunk(chunk) => {
                        let Bit { word, shift } = Chunk::bit(next);
                        let bits = chunk.completed[word].load(Ordering::Acquire) >> shift;
                        (Chunk::WORD_LOG2, bits)
                    }
                    Found::Passed | Found::Missing => (Chunk::LEN_LOG2, 0),
                };
                if bits == 0 {
                    seqno = next | ((1 << skip) - 1);
                    continue;
                }
                let first = next + u64::from(bits.trailing_zeros());
                seqno = first + u64::from((bits >> bits.trailing_zeros()).trailing_ones() - 1);
                completed.insert(SeqRange::new(first, seqno));
            }
        });
    }

    /// Claims a free seqno above a mark of `at`; otherwise returns its state.
    pub(crate) fn claim(&self, at: SeqNo, seqno: SeqNo) -> Result<(), State> {
        let bit = Chunk::bit(seqno);
        let claim = |chunk: &Chunk| {
            let claimed = &chunk.claimed[bit.word];
            let before = claimed.fetch_or(bit.mask(), Ordering::AcqRel) & bit.mask();
            if chunk.completed[bit.word].load(Ordering::Acquire) & bit.mask() != 0 {
                return Err(State::Completed);
            }
            if before == 0 { Ok(()) } else { Err(State::Claimed) }
        };
        self.in_chunk(at, seqno, claim).unwrap_or(Err(State::Passed))
    }

    /// Releases a claim.
    pub(crate) fn release(&self, seqno: SeqNo) {
        self.directory.with(|directory| {
            if let Found::Chunk(chunk) = directory.find(seqno) {
                let bit = Chunk::bit(seqno);
                chunk.claimed[bit.word].fetch_and(!bit.mask(), Ordering::Release);
            }
        });
    }

    /// Completes a seqno above a mark of `at`, and returns the state before: whether it was
    /// completed, not whether it was claimed.
    #[inline]
    pub(crate) fn complete(&self, at: SeqNo, seqno: SeqNo) -> State {
        let bit = Chunk::bit(seqno);
        let complete = |chunk: &Chunk| {
            let before = chunk.completed[bit.word].fetch_or(bit.mask(), Ordering::AcqRel);
            if before & bit.mask() == 0 { State::Free } else { State::Completed }
        };
        self.in_chunk(at, seqno, complete).unwrap_or(State::Passed)
    }

    /// Runs `f` on the chunk of a seqno above a mark of `at`; `None` if the mark has passed it.
    #[inline]
    fn in_chunk<R>(&self, at: SeqNo, seqno: SeqNo, f: impl Fn(&Chunk) -> R) -> Option<R> {
        let found = self.directory.with(|directory| match directory.find(seqno) {
            Found::Passed => Some(None),
            Found::Missing => None,
            Found::Chunk(chunk) => Some(Some(f(chunk))),
        });
        match found {
            Some(result) => result,
            None => self.in_new_chunk(at, seqno, f),
        }
    }

    #[cold]
    fn in_new_chunk<R>(&self, at: SeqNo, seqno: SeqNo, f: impl Fn(&Chunk) -> R) -> Option<R> {
        locked(&self.replacing, |()| {
            let mut directory = self.directory.get();
            if let Found::Missing = directory.find(seqno) {
                directory = Arc::new(directory.above(at, Some(Chunk::number(seqno))));
                self.replace(&directory);
            }
            match directory.find(seqno) {
                Found::Chunk(chunk) => Some(f(chunk)),
                Found::Passed | Found::Missing => None,
            }
        })
    }

    /// Drops the chunks that a mark of `at` has passed, if they are half of all.
    #[inline]
    pub(crate) fn drop_passed(&self, at: SeqNo) {
        if at >= self.drop_at.load(Ordering::Relaxed) {
            self.drop_passed_now(at);
        }
    }

    #[cold]
    fn drop_passed_now(&self, at: SeqNo) {
        locked(&self.replacing, |()| {
            let directory = self.directory.get();
            if at >= directory.drop_at() {
                self.replace(&Arc::new(directory.above(at, None)));
            }
        });
    }

    fn replace(&self, directory: &Arc<Directory>) {
        self.directory.replace(Arc::clone(directory));
        self.drop_at.store(directory.drop_at(), Ordering::Relaxed);
    }
}
