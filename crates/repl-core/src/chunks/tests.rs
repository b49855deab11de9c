//! Which chunks there are, and what is found in them.

use super::*;

const CHUNK: u64 = 1 << Chunk::LEN_LOG2;

impl Chunks {
    pub(crate) fn count(&self) -> usize {
        self.directory.with(Directory::count)
    }
}

fn completed(chunks: &Chunks, at: SeqNo, last: SeqNo) -> Vec<(SeqNo, SeqNo)> {
    let mut set = RangeSet::default();
    chunks.add_completed(at, last, &mut set);
    set.iter().map(|range| (range.first(), range.last())).collect()
}

#[test]
fn only_chunks_with_a_seqno_in_use_take_memory() {
    let chunks = Chunks::new();
    assert_eq!(chunks.claim(0, 1), Ok(()));
    assert_eq!(chunks.complete(0, Chunks::REACH), State::Free);
    assert_eq!(chunks.claim(0, 2), Ok(()));
    assert_eq!(chunks.count(), 2);
}

#[test]
fn chunks_are_dropped_once_the_mark_has_passed_half_of_them() {
    let chunks = Chunks::new();
    for number in 0..8 {
        chunks.complete(0, number * CHUNK + 1);
    }
    chunks.drop_passed(4 * CHUNK - 2);
    assert_eq!(chunks.count(), 8);
    chunks.drop_passed(4 * CHUNK - 1);
    assert_eq!(chunks.count(), 4);
    chunks.drop_passed(SeqNo::MAX);
    assert_eq!(chunks.count(), 0);
}

#[test]
fn a_dropped_chunk_is_not_added_again() {
    let chunks = Chunks::new();
    chunks.complete(0, 2);
    chunks.drop_passed(CHUNK - 1);
    assert_eq!(chunks.complete(0, 2), State::Passed);
    assert_eq!(chunks.claim(0, 3), Err(State::Passed));
    assert_eq!(chunks.prefix(1), (1, State::Passed));
    assert_eq!(chunks.count(), 0);
}

#[test]
fn what_is_completed_is_found_across_words_and_chunks() {
    let chunks = Chunks::new();
    let last = 2 * CHUNK + 3;
    for seqno in (1..=last).filter(|seqno| ![100, CHUNK].contains(seqno)) {
        assert_eq!(chunks.complete(0, seqno), State::Free);
    }
    assert_eq!(chunks.complete(0, 1), State::Completed);
    let ranges = [(1, 99), (101, CHUNK - 1), (CHUNK + 1, last)];
    assert_eq!(completed(&chunks, 0, last), ranges);
    assert_eq!(completed(&chunks, 150, last), [(151, CHUNK - 1), (CHUNK + 1, last)]);
    assert_eq!(chunks.prefix(0), (99, State::Free));
    assert_eq!(chunks.prefix(100), (CHUNK - 1, State::Free));
    assert_eq!(chunks.prefix(CHUNK), (last, State::Free));
}

#[test]
fn the_highest_seqnos_have_their_places() {
    let chunks = Chunks::new();
    let at = SeqNo::MAX - 3;
    assert_eq!(chunks.claim(at, SeqNo::MAX), Ok(()));
    assert_eq!(chunks.claim(at, SeqNo::MAX), Err(State::Claimed));
    assert_eq!(chunks.complete(at, SeqNo::MAX), State::Free);
    chunks.complete(at, SeqNo::MAX - 1);
    assert_eq!(completed(&chunks, at, SeqNo::MAX), [(SeqNo::MAX - 1, SeqNo::MAX)]);
    assert_eq!(chunks.prefix(SeqNo::MAX - 2), (SeqNo::MAX, State::Free));
    chunks.drop_passed(SeqNo::MAX);
    assert_eq!(chunks.count(), 0);
}
