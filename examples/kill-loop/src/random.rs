//! Random choices, reproducible from a seed.

/// Returns a number that depends on all of `words`, by splitmix64 over each in turn.
pub fn random(words: &[u64]) -> u64 {
    words.iter().fold(0, |state: u64, word| {
        let z = (state ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

/// Returns a number below `bound` that depends on all of `words`, or 0 if `bound` is 0.
pub fn below(bound: u64, words: &[u64]) -> u64 {
    random(words).checked_rem(bound).unwrap_or(0)
}
