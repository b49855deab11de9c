//! A running state from a checkpoint.

use repl_core::{NewShard, ReplicationState, ShardId, Snapshot, SnapshotEntry};

use super::{Checkpoint, ShardCheckpoint, Track};

/// A state restored from a checkpoint, and the shards that only one of the two has.
pub(crate) struct Restored {
    pub(crate) state: ReplicationState,
    /// Shards of the checkpoint that the state does not track, ascending.
    pub(crate) orphaned: Vec<ShardCheckpoint>,
    /// Shards of the state that the checkpoint lacks, ascending.
    pub(crate) missing: Vec<ShardId>,
}

impl Restored {
    pub(crate) fn of(checkpoint: &Checkpoint, track: &Track) -> Self {
        let (tracked, orphaned): (Vec<_>, Vec<_>) =
            checkpoint.shards.iter().partition(|s| track.includes(s.shard));
        let tracked: Snapshot = tracked.into_iter().map(SnapshotEntry::from).collect();
        // Orphaned shards keep their incarnations, and the next one is above those too.
        let tracked = tracked.with_next_incarnation(checkpoint.next_incarnation);
        let state = ReplicationState::restore(&tracked);
        let new: Vec<NewShard> =
            track.starts().filter(|new| checkpoint.shard(new.shard).is_none()).collect();
        if !new.is_empty() {
            // Cannot fail: none of them is in the checkpoint, and a map holds none twice.
            let _ = state.add_shards(&new);
        }
        Restored {
            state,
            orphaned: orphaned.into_iter().cloned().collect(),
            missing: new.into_iter().map(|new| new.shard).collect(),
        }
    }
}
