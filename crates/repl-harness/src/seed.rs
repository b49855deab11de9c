//! Random numbers that depend on a seed alone.

use fastrand::Rng;

/// The generator of one stream of a seed. Equal arguments give equal numbers.
pub(crate) fn stream(seed: u64, stream: u64) -> Rng {
    let base = Rng::with_seed(seed).u64(..);
    // An odd factor, so that no two streams of a seed begin alike.
    Rng::with_seed(base ^ stream.wrapping_mul(0xa076_1d64_78bd_642f))
}

/// Whether a choice with probability 1 in `n` is taken.
pub(crate) fn one_in(rng: &mut Rng, n: u64) -> bool {
    rng.u64(..n) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_and_stream_decide_every_number() {
        let numbers = |seed, number| {
            let mut rng = stream(seed, number);
            [(); 4].map(|()| rng.u64(..))
        };
        assert_eq!(numbers(1, 2), numbers(1, 2));
        assert_ne!(numbers(1, 2), numbers(1, 3));
        assert_ne!(numbers(1, 2), numbers(2, 2));
    }
}
