//! A chunk, and the directory of the chunks of one time.

use std::sync::Arc;

use crate::ids::SeqNo;
use crate::sync::AtomicU64;

/// The number of the chunk after the one of the highest seqno.
const END: u64 = Chunk::number(SeqNo::MAX) + 1;

pub(super) struct Chunk {
    pub(super) completed: [AtomicU64; Chunk::WORDS],
    pub(super) claimed: [AtomicU64; Chunk::WORDS],
}

/// The place of a seqno in its chunk.
#[derive(Clone, Copy)]
pub(super) struct Bit {
    pub(super) word: usize,
    pub(super) shift: u32,
}

impl Bit {
    #[inline]
    pub(super) fn mask(self) -> u64 {
        1 << self.shift
    }
}

impl Chunk {
    /// A chunk has 128 bytes. Loom's models need chunks that they can go past.
    pub(super) const LEN_LOG2: u32 = if cfg!(loom_models) { 2 } else { 9 };
    pub(super) const WORD_LOG2: u32 = if cfg!(loom_models) { 1 } else { 6 };
    const WORDS: usize = 1 << (Chunk::LEN_LOG2 - Chunk::WORD_LOG2);

    fn new() -> Self {
        let words = || std::array::from_fn(|_| AtomicU64::new(0));
        Chunk { completed: words(), claimed: words() }
    }

    #[inline]
    pub(super) const fn number(seqno: SeqNo) -> u64 {
        seqno >> Chunk::LEN_LOG2
    }

    #[inline]
    pub(super) const fn bit(seqno: SeqNo) -> Bit {
        let word = (seqno >> Chunk::WORD_LOG2) as usize & (Chunk::WORDS - 1);
        Bit { word, shift: (seqno & ((1 << Chunk::WORD_LOG2) - 1)) as u32 }
    }
}

/// The chunks at one time. Immutable.
pub(super) struct Directory {
    /// The mark has passed every chunk below this number.
    first: u64,
    /// From that number on.
    chunks: Box<[Option<Arc<Chunk>>]>,
}

pub(super) enum Found<'a> {
    Passed,
    Missing,
    Chunk(&'a Chunk),
}

impl Directory {
    pub(super) fn empty() -> Self {
        Directory { first: 0, chunks: Box::default() }
    }

    #[inline]
    pub(super) fn find(&self, seqno: SeqNo) -> Found<'_> {
        let Some(index) = Chunk::number(seqno).checked_sub(self.first) else {
            return Found::Passed;
        };
        match usize::try_from(index).ok().and_then(|index| self.chunks.get(index)) {
            Some(Some(chunk)) => Found::Chunk(chunk),
            _ => Found::Missing,
        }
    }

    /// These chunks without those that a mark of `at` has passed, and with a new one.
    pub(super) fn above(&self, at: SeqNo, new: Option<u64>) -> Self {
        let passed = at.checked_add(1).map_or(END, Chunk::number);
        let first = self.first.max(passed);
        let end = (self.first + self.chunks.len() as u64).max(new.map_or(first, |new| new + 1));
        let mut chunks = Vec::new();
        chunks.reserve_exact(usize::try_from(end.saturating_sub(first)).unwrap_or(0));
        for number in first..end {
            let index = usize::try_from(number - self.first).ok();
            let chunk = index.and_then(|index| self.chunks.get(index)).and_then(Option::clone);
            let is_new = new == Some(number);
            chunks.push(chunk.or_else(|| is_new.then(|| Arc::new(Chunk::new()))));
        }
        Directory { first, chunks: chunks.into() }
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.chunks.iter().flatten().count()
    }

    /// The mark at which half of the chunks are passed.
    pub(super) fn drop_at(&self) -> SeqNo {
        let half = (self.chunks.len() as u64).div_ceil(2);
        if half == 0 {
            SeqNo::MAX
        } else {
            ((self.first + half) << Chunk::LEN_LOG2).wrapping_sub(1)
        }
    }
}
