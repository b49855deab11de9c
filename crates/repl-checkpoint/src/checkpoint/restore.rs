//! A running state from a checkpoint.

use repl_core::{NewShard, ReplicationState, ShardId, Snapshot, SnapshotEntry};

use super::{Checkpoint, ShardCheckpoint, Track};

impl Checkpoint {
    /// The marks of every shard, with what was completed above them.
    pub(crate) fn marks(&self) -> Snapshot {
        let marks: Snapshot = self.shards.iter().map(SnapshotEntry::from).collect();
        marks.with_next_incarnation(self.next_incarnation)
    }

    /// The shards that the state does not track, ascending.
    pub(crate) fn into_orphaned(self, track: &Track) -> Vec<ShardCheckpoint> {
        let mut orphaned = self.shards;
        orphaned.retain(|s| !track.includes(s.shard));
        orphaned.shrink_to_fit(); // most often there are none
        orphaned
    }
}

/// Returns a state at the saved marks, and its shards that were not saved, ascending.
pub(crate) fn restored(saved: &Snapshot, track: &Track) -> (ReplicationState, Vec<ShardId>) {
    let state = if saved.shards().all(|shard| track.includes(shard)) {
        ReplicationState::restore(saved)
    } else {
        // Orphaned shards keep their incarnations: the next one stays above those too.
        let mut tracked = saved.clone();
        tracked.retain(|shard| track.includes(shard));
        ReplicationState::restore(&tracked)
    };
    let new: Vec<NewShard> = track.starts().filter(|new| saved.mark(new.shard).is_none()).collect();
    if !new.is_empty() {
        // Cannot fail: none of them was saved, and a map holds none twice.
        let _ = state.add_shards(&new);
    }
    (state, new.into_iter().map(|new| new.shard).collect())
}
