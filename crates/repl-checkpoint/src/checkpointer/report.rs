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
    /// The generation that the saved delta builds on; `None` if all marks were saved.
    ///
    /// A [`SlotStore`](crate::SlotStore) takes deltas, from the third save of a process on.
    pub base: Option<Generation>,
    /// The number of bytes given to the store. It may write some more, to fill a sector.
    pub bytes: u64,
    /// The time between `begin` and `save`, which includes the flush.
    pub flush_time: Duration,
    /// The time to encode, seal and store the marks, or what has changed.
    pub save_time: Duration,
}
