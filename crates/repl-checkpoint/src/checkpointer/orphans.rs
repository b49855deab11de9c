//! Shards of the recovered checkpoint that the state does not track.

use std::sync::Arc;

use repl_core::{ShardId, Snapshot};

use super::Checkpointer;
use crate::checkpoint::ShardCheckpoint;
use crate::content::orphan;

impl Checkpointer {
    /// Returns the shards of the recovered checkpoint that the state does not track.
    ///
    /// Every save keeps them as they are, until [`drop_orphan`](Checkpointer::drop_orphan) drops
    /// them or a save includes them as tracked shards. A shard that is added and removed again
    /// between two saves stays an orphan; do not drop its data before [`Floors::is_unreferenced`].
    ///
    /// To continue with one, add it to the state at its mark and log, with its epochs, and pass its
    /// completed ranges to [`Shard::complete`].
    ///
    /// [`Shard::complete`]: repl_core::Shard::complete
    /// [`Floors::is_unreferenced`]: crate::Floors::is_unreferenced
    pub fn orphaned_shards(&self) -> &[ShardCheckpoint] {
        &self.orphaned
    }

    /// Leaves an orphaned shard out of all later saves; returns whether the shard was an orphan.
    ///
    /// Drop its data once [`Floors::is_unreferenced`] returns true. O(orphans).
    ///
    /// [`Floors::is_unreferenced`]: crate::Floors::is_unreferenced
    pub fn drop_orphan(&mut self, shard: ShardId) -> bool {
        let orphan = orphan(&self.orphaned, shard);
        if let Some(i) = orphan {
            Arc::make_mut(&mut self.orphaned).remove(i);
        }
        orphan.is_some()
    }

    /// The orphans beside `marks`: a shard that they hold is none from then on.
    pub(super) fn orphans_beside(&self, marks: &Snapshot) -> Arc<Vec<ShardCheckpoint>> {
        let tracked = |s: &ShardCheckpoint| marks.mark(s.shard).is_some();
        let mut orphaned = Arc::clone(&self.orphaned);
        if orphaned.iter().any(tracked) {
            Arc::make_mut(&mut orphaned).retain(|s| !tracked(s));
        }
        orphaned
    }
}
