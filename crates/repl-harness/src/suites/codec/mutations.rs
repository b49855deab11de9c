//! Mutations of written bytes, and arbitrary bytes.

use fastrand::Rng;

use crate::seed::one_in;

/// The greatest number of places that are all tried.
const MOST: usize = 256;

/// Large numbers at every place and in every encoding. Multiples of eight come first: they overwrite
/// a whole length, so that reserving memory for it fails at once.
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

/// Every bit flipped; every byte removed, doubled, and padded as a number; every truncation; every
/// byte added at the end.
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
            // Numbers with seven bits a byte can be padded with zeros.
            [before, &[byte | 0x80, 0], after].concat(),
            [before, &[byte | 0x80, 0x80, 0], after].concat(),
        ]
    });
    let longer = (0..=u8::MAX).map(move |byte| [written, &[byte]].concat());
    let twice = std::iter::once([written, written].concat());
    // A mutation that changes nothing is what was written.
    let all = cuts.chain(flips).chain(others).chain(longer).chain(twice);
    all.filter(move |bytes| bytes != written)
}

/// The beginning of one byte string before the end of another.
pub(super) fn spliced(rng: &mut Rng, one: &[u8], other: &[u8]) -> Vec<Vec<u8>> {
    let cut = |rng: &mut Rng, bytes: &[u8]| rng.usize(..=bytes.len());
    let splice = |_| {
        let (from, to) = (cut(rng, one), cut(rng, other));
        [&one[..from], &other[to..]].concat()
    };
    let mut all: Vec<_> = (0..8).map(splice).collect();
    all.push([one, other].concat());
    all
}

/// A few arbitrary bytes, of any value or small.
pub(super) fn junk(rng: &mut Rng) -> Vec<u8> {
    let (length, small) = (rng.usize(..65), one_in(rng, 2));
    let byte = |_| {
        let byte = rng.u8(..);
        if small { byte % 4 } else { byte }
    };
    (0..length).map(byte).collect()
}
