//! Random numbers that one seed decides.

/// `SplitMix64`: small, quick, and good enough to choose what to do next.
#[derive(Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    /// The generator of one of several streams of the same seed.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut rng = Rng(seed);
        let base = rng.next();
        let mut rng = Rng(base ^ stream.wrapping_mul(0xa076_1d64_78bd_642f));
        rng.next();
        rng
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, or 0 where `n` is 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        let scaled = (u128::from(self.next()) * u128::from(n)) >> 64;
        u64::try_from(scaled).unwrap_or(0)
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn the_seed_and_the_stream_decide() {
        let first = |seed, stream| Rng::new(seed, stream).next();
        assert_eq!(first(1, 2), first(1, 2));
        assert_ne!(first(1, 2), first(1, 3));
        assert_ne!(first(1, 2), first(2, 2));
    }

    #[test]
    fn below_reaches_every_number_and_no_other() {
        let mut rng = Rng::new(7, 0);
        let mut seen = [false; 6];
        for _ in 0..1000 {
            seen[usize::try_from(rng.below(6)).unwrap()] = true;
        }
        assert_eq!(seen, [true; 6]);
        assert_eq!(rng.below(0), 0);
    }
}
