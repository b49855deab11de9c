//! Bytes that were not written, made of bytes that were.

use crate::rng::Rng;

/// More than so many places are not all tried.
const MOST: usize = 256;

/// Numbers blown up, wherever they may stand and however they may be written. Those at multiples of
/// eight come first: there a length is blown up whole, and reserving memory for it fails at once.
pub(super) fn lengths(written: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let aligned = (0..written.len().min(MOST)).filter(|at| at % 8 == 0);
    let others = (0..written.len().min(MOST)).filter(|at| at % 8 != 0);
    aligned.chain(others).flat_map(move |at| {
        let ones = |length: usize| {
            let mut bytes = written.to_vec();
            let end = bytes.len().min(at + length);
            bytes[at..end].fill(0xff);
            bytes
        };
        // The greatest number of 64 bits, seven bits a byte.
        let varint = [&written[..at], &[0xff; 9], &[1], &written[at + 1..]].concat();
        [ones(8), varint, ones(4), ones(2), ones(1)]
    })
}

/// Every bit flipped; every byte removed, doubled, and followed by one that adds nothing to a number;
/// every truncation; every byte added.
pub(super) fn small(written: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let places = (0..written.len()).step_by(written.len() / MOST + 1);
    let cuts = places.clone().map(|length| written[..length].to_vec());
    let flips = places.clone().flat_map(move |at| {
        (0..8).map(move |bit| {
            let mut bytes = written.to_vec();
            bytes[at] ^= 1 << bit;
            bytes
        })
    });
    let others = places.flat_map(move |at| {
        let (before, byte, after) = (&written[..at], written[at], &written[at + 1..]);
        [
            [before, after].concat(),
            [before, &[byte, byte], after].concat(),
            // As numbers of seven bits a byte can be padded.
            [before, &[byte | 0x80, 0], after].concat(),
            [before, &[byte | 0x80, 0x80, 0], after].concat(),
        ]
    });
    let longer = (0..=u8::MAX).map(move |byte| [written, &[byte]].concat());
    let twice = std::iter::once([written, written].concat());
    // What a doubled byte at the end is was written once already.
    let all = cuts.chain(flips).chain(others).chain(longer).chain(twice);
    all.filter(move |bytes| bytes != written)
}

/// The beginning of one and the end of the other.
pub(super) fn spliced(rng: &mut Rng, one: &[u8], other: &[u8]) -> Vec<Vec<u8>> {
    let cut = |rng: &mut Rng, bytes: &[u8]| below(rng, bytes.len() + 1);
    let splice = |_| {
        let (from, to) = (cut(rng, one), cut(rng, other));
        [&one[..from], &other[to..]].concat()
    };
    let mut all: Vec<_> = (0..8).map(splice).collect();
    all.push([one, other].concat());
    all
}

/// A few bytes: of any value, or small ones.
pub(super) fn junk(rng: &mut Rng) -> Vec<u8> {
    let (length, small) = (below(rng, 65), rng.one_in(2));
    let byte = |_| {
        let byte = rng.next().to_le_bytes()[0];
        if small { byte % 4 } else { byte }
    };
    (0..length).map(byte).collect()
}

fn below(rng: &mut Rng, n: usize) -> usize {
    usize::try_from(rng.below(n as u64)).unwrap_or(0)
}
