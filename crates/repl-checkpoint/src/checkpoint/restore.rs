//! A running state from a checkpoint.

use repl_core::{AppliedSet, ReplicationState, ShardId, Snapshot, SnapshotBuilder, SnapshotEntry};

use super::{Checkpoint, Track};

impl Checkpoint {
    /// The marks of every shard, with its epochs and what was completed above them.
    pub(super) fn marks(&self) -> Snapshot {
        let marks: Snapshot = self.shards.iter().map(SnapshotEntry::from).collect();
        marks.with_next_incarnation(self.next_incarnation)
    }
}

/// Returns a state at the saved marks, and its shards that were not saved, ascending.
pub(crate) fn restored(saved: &Snapshot, track: Track) -> (ReplicationState, Vec<ShardId>) {
    let new = track.missing(saved.shards());
    let mut tracked = track.look_up();
    if new.is_empty() && saved.shards().all(|shard| tracked.includes(shard)) {
        drop(track); // before the state takes its memory
        return (ReplicationState::restore(saved), Vec::new());
    }
    let mut tracked = track.look_up();
    let tracked = saved.entries().filter(|entry| tracked.includes(entry.shard));
    // Orphaned shards keep their incarnations: the next one stays above those too.
    let incarnation = saved.next_incarnation();
    let next = if new.is_empty() { incarnation } else { incarnation.next() };
    let begun = new.iter().map(|new| {
        SnapshotEntry::new(new.shard, AppliedSet::up_to(new.mark))
            .with_log(new.log)
            .with_epochs(new.epochs.clone())
            .with_incarnation(incarnation)
    });
    let marks = merged(tracked, begun).with_next_incarnation(next);
    let missing = new.iter().map(|new| new.shard).collect();
    drop((track, new));
    (ReplicationState::restore(&marks), missing)
}

/// The entries of both, which ascend and have no shard in common.
fn merged(
    entries: impl Iterator<Item = SnapshotEntry>,
    others: impl Iterator<Item = SnapshotEntry>,
) -> Snapshot {
    let mut others = others.peekable();
    let mut both = SnapshotBuilder::new();
    for entry in entries {
        while let Some(other) = others.next_if(|other| other.shard < entry.shard) {
            both.push(other);
        }
        both.push(entry);
    }
    others.for_each(|other| both.push(other));
    both.build()
}
