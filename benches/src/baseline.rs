//! The baseline, the obvious design: a `HashMap` of `Arc<AtomicU64>`, a compare-and-swap loop, and
//! `serde_json` of the map.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

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

/// The marks behind a lock, so that shards can be added and removed.
#[derive(Debug, Default)]
pub struct Locked {
    marks: RwLock<HashMap<ShardId, Arc<AtomicU64>>>,
}

impl Locked {
    /// Creates marks at 0.
    pub fn new(ids: &[ShardId]) -> Self {
        Locked { marks: RwLock::new(Marks::new(ids).marks) }
    }

    /// Adds a shard.
    pub fn add(&self, shard: ShardId) {
        self.marks.write().unwrap_or_else(PoisonError::into_inner).insert(shard, Arc::default());
    }

    /// Removes a shard.
    pub fn remove(&self, shard: ShardId) {
        self.marks.write().unwrap_or_else(PoisonError::into_inner).remove(&shard);
    }

    /// Returns all marks.
    pub fn snapshot(&self) -> HashMap<ShardId, u64> {
        let marks = self.marks.read().unwrap_or_else(PoisonError::into_inner);
        marks.iter().map(|(id, mark)| (*id, mark.load(Ordering::Acquire))).collect()
    }
}

/// The marks in an `Arc` that a change replaces by a changed copy: readers take no lock for long.
#[derive(Debug, Default)]
pub struct Copied {
    marks: RwLock<Arc<HashMap<ShardId, Arc<AtomicU64>>>>,
}

impl Copied {
    /// Creates marks at 0.
    pub fn new(ids: &[ShardId]) -> Self {
        Copied { marks: RwLock::new(Arc::new(Marks::new(ids).marks)) }
    }

    /// Adds a shard.
    pub fn add(&self, shard: ShardId) {
        self.change(|marks| drop(marks.insert(shard, Arc::default())));
    }

    /// Removes a shard.
    pub fn remove(&self, shard: ShardId) {
        self.change(|marks| drop(marks.remove(&shard)));
    }

    fn change(&self, change: impl FnOnce(&mut HashMap<ShardId, Arc<AtomicU64>>)) {
        let mut current = self.marks.write().unwrap_or_else(PoisonError::into_inner);
        let mut copy = HashMap::clone(&current);
        change(&mut copy);
        *current = Arc::new(copy);
    }
}
