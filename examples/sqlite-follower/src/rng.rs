//! Random numbers by splitmix64: small, fast, and the same on every machine.

/// A reproducible sequence of random numbers.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    /// The sequence of a seed, and of words that distinguish it from others of that seed.
    pub(crate) fn new(seed: u64, words: &[u64]) -> Rng {
        let mut rng = Rng(seed);
        for word in words {
            rng = Rng(rng.next() ^ word.wrapping_mul(0xd6e8_feb8_6659_fd93));
        }
        rng
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, or 0 if `bound` is 0. The bias is negligible here.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    /// At least `len` random bytes.
    pub(crate) fn bytes(&mut self, len: u64) -> Vec<u8> {
        (0..len.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).collect()
    }
}
