//! The design that this project grew from, as its plan had it: a `HashMap` of `Arc<AtomicU64>`, a
//! compare-and-swap loop, and `serde_json` of the map.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use repl_core::ShardId;

/// One atomic a shard, by id. Shards cannot come or go.
#[derive(Debug)]
pub struct Marks {
    marks: HashMap<ShardId, Arc<AtomicU64>>,
}

impl Marks {
    /// Every mark at 0.
    pub fn new(ids: &[ShardId]) -> Self {
        Marks { marks: ids.iter().map(|id| (*id, Arc::default())).collect() }
    }

    /// The mark.
    #[inline]
    pub fn applied(&self, shard: ShardId) -> Option<u64> {
        self.marks.get(&shard).map(|mark| mark.load(Ordering::Acquire))
    }

    /// Moves the mark forward.
    #[inline]
    pub fn advance(&self, shard: ShardId, to: u64) {
        let Some(mark) = self.marks.get(&shard) else {
            return;
        };
        let mut at = mark.load(Ordering::Acquire);
        while at < to {
            match mark.compare_exchange_weak(at, to, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(now) => at = now,
            }
        }
    }

    /// All marks.
    pub fn snapshot(&self) -> HashMap<ShardId, u64> {
        self.marks.iter().map(|(id, mark)| (*id, mark.load(Ordering::Acquire))).collect()
    }

    /// The bytes of a checkpoint.
    ///
    /// # Errors
    /// None of a map of numbers.
    pub fn encode(marks: &HashMap<u64, u64>) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(marks)
    }

    /// The map of a checkpoint; the seed makes atomics of it afterwards, which is not counted.
    ///
    /// # Errors
    /// Where the bytes are no such map.
    pub fn decode(bytes: &[u8]) -> serde_json::Result<HashMap<u64, u64>> {
        serde_json::from_slice(bytes)
    }
}
