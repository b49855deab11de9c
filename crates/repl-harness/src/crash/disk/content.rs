//! Bytes that are hashed once and shared by every disk that holds them.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};

/// The bytes of a file or of a sector. Two contents are equal if their 128-bit hashes are.
#[derive(Clone)]
pub(crate) struct Content(Arc<Inner>);

struct Inner {
    bytes: Vec<u8>,
    hash: u128,
    /// The verdict of the reader.
    verdict: OnceLock<u128>,
}

impl Content {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let hash = hash_bytes(&bytes);
        Content(Arc::new(Inner { bytes, hash, verdict: OnceLock::new() }))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.0.bytes.len()
    }

    pub(crate) fn hash(&self) -> u128 {
        self.0.hash
    }

    /// Calls `reader` the first time and returns its verdict. Every caller passes the same reader.
    pub(crate) fn verdict(&self, reader: impl FnOnce(&[u8]) -> u128) -> u128 {
        *self.0.verdict.get_or_init(|| reader(&self.0.bytes))
    }
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        self.hash() == other.hash()
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, {:032x}", self.len(), self.hash())
    }
}

/// A 128-bit hash: two runs of the standard hasher with different prefixes.
pub(crate) fn hash128(value: &(impl Hash + ?Sized)) -> u128 {
    let half = |salt: u64| {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        value.hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0x9e37_79b9_7f4a_7c15) << 64 | half(0xa076_1d64_78bd_642f)
}

/// A 128-bit hash of bytes, several times as fast as [`hash128`]. Not for input chosen by an
/// attacker.
pub(crate) fn hash_bytes(bytes: &[u8]) -> u128 {
    let fold = |a: u64, b: u64| {
        let product = (u128::from(a) * u128::from(b)).to_le_bytes();
        let (low, high) = product.split_at(8);
        word(low) ^ word(high)
    };
    let mut left = 0x9e37_79b9_7f4a_7c15 ^ bytes.len() as u64;
    let mut right = 0xd1b5_4a32_d192_ed03_u64;
    for chunk in bytes.chunks(8) {
        let next = word(chunk);
        left = fold(left ^ next, 0xa076_1d64_78bd_642f).wrapping_add(next.rotate_left(29));
        right = fold(right.wrapping_add(next), 0xe703_7ed1_a0b4_28db) ^ next;
    }
    hash128(&(left, right))
}

/// Up to eight bytes as a little-endian number.
fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}
