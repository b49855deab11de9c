//! Shards of the recovered checkpoint that the state does not track.

use std::sync::Arc;

use repl_core::{ShardId, Snapshot};

use super::Checkpointer;
use crate::checkpoint::ShardCheckpoint;
use crate::content::Carried;

impl Checkpointer {
    /// Returns the shards of the recovered checkpoint that the state does not track.
    ///
    /// Every save keeps them as they are, until [`drop_orphan`](Checkpointer::drop_orphan) drops
    /// them or a save includes them as tracked shards. A shard that is added and removed again
    /// between two saves stays an orphan; do not drop its data before [`Floors::is_unreferenced`].
    ///
    /// To continue with one, add it to the state at its mark and log, and pass its completed ranges
    /// to [`Shard::complete`].
    ///
    /// [`Shard::complete`]: repl_core::Shard::complete
    /// [`Floors::is_unreferenced`]: crate::Floors::is_unreferenced
    pub fn orphaned_shards(&self) -> &[ShardCheckpoint] {
        &self.carried.orphaned
    }

    /// Leaves an orphaned shard out of all later saves; returns whether the shard was an orphan.
    ///
    /// Drop its data once [`Floors::is_unreferenced`] returns true. O(orphans).
    ///
    /// [`Floors::is_unreferenced`]: crate::Floors::is_unreferenced
    pub fn drop_orphan(&mut self, shard: ShardId) -> bool {
        let orphan = self.carried.orphan(shard);
        if let Some(i) = orphan {
            Arc::make_mut(&mut self.carried).orphaned.remove(i);
        }
        orphan.is_some()
    }

    /// What is carried beside `marks`: a shard that they hold is no orphan from then on.
    pub(super) fn carried_beside(&self, marks: &Snapshot) -> Arc<Carried> {
        let tracked = |s: &ShardCheckpoint| marks.mark(s.shard).is_some();
        let mut carried = Arc::clone(&self.carried);
        if carried.orphaned.iter().any(tracked) {
            Arc::make_mut(&mut carried).orphaned.retain(|s| !tracked(s));
        }
        carried
    }
}
