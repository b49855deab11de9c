//! What a checkpoint returns.

use std::time::Duration;

use crate::ids::Generation;

/// The result of a successful checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Saved {
    /// The marks were saved.
    Written(SaveReport),
    /// Nothing was written: the last two saves of this process hold exactly these marks.
    ///
    /// So the checkpointed mark and the retention floor of each shard are at the mark that the
    /// attempt holds.
    Unchanged,
}

/// What one save wrote, and how long it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SaveReport {
    /// The generation of the save.
    pub generation: Generation,
    /// The generation that a delta builds on; `None` for a whole checkpoint.
    ///
    /// A whole checkpoint holds all marks, a delta only what has changed since that generation. A
    /// [`SlotStore`](crate::SlotStore) takes deltas from the third save of a process on, a
    /// [`FileStore`](crate::FileStore) takes none.
    pub base: Option<Generation>,
    /// The length of the whole checkpoint or of the delta, in bytes, as the store got it.
    ///
    /// A `SlotStore` writes some more, up to the end of a sector or of a longer older checkpoint.
    pub bytes: u64,
    /// The time between `begin` and `save`, which includes the flush.
    pub flush_time: Duration,
    /// The time to encode, seal and store the marks, or what has changed.
    pub save_time: Duration,
}

impl SaveReport {
    /// Returns whether the save was a delta: it wrote only what has changed.
    pub fn is_delta(&self) -> bool {
        self.base.is_some()
    }
}
