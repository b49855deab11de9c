//! The baseline, the obvious design: a `HashMap` of `Arc<AtomicU64>`, a compare-and-swap loop, and
//! `serde_json` of the map.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use repl_core::ShardId;

/// One atomic per shard, by id. Shards cannot be added or removed.
#[derive(Debug)]
pub struct Marks {
    marks: HashMap<ShardId, Arc<AtomicU64>>,
}

impl Marks {
    /// Creates marks at 0.
    pub fn new(ids: &[ShardId]) -> Self {
        Marks { marks: ids.iter().map(|id| (*id, Arc::default())).collect() }
    }

    /// Returns the mark of a shard.
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

    /// Returns all marks.
    pub fn snapshot(&self) -> HashMap<ShardId, u64> {
        self.marks.iter().map(|(id, mark)| (*id, mark.load(Ordering::Acquire))).collect()
    }

    /// Encodes a checkpoint.
    ///
    /// # Errors
    /// Never, for a map of numbers.
    pub fn encode(marks: &HashMap<u64, u64>) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(marks)
    }

    /// Decodes a checkpoint, without the conversion to atomics.
    ///
    /// # Errors
    /// If the bytes are not a map of numbers.
    pub fn decode(bytes: &[u8]) -> serde_json::Result<HashMap<u64, u64>> {
        serde_json::from_slice(bytes)
    }
}
