//! The marks that checkpoints hold, in memory and on the disk.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use repl_checkpoint::{Checkpoint, Generation, JsonCodec, ShardCheckpoint, StoreId};
use repl_core::{AppliedSet, Incarnation, SeqNo, ShardId, Snapshot};

/// The content of a checkpoint: the incarnation of each shard, and what is completed of it.
pub(crate) type Marks = BTreeMap<ShardId, (Incarnation, AppliedSet)>;

/// What the next round may recover.
#[derive(Debug, Clone)]
pub(crate) struct LastRound {
    pub(crate) acknowledged: Marks,
    pub(crate) attempted: Marks,
    /// Incarnations of a shard below this were unreferenced.
    pub(crate) gone: Gone,
}

/// Per shard, the incarnation below which no checkpoint holds it.
pub(crate) type Gone = BTreeMap<ShardId, Incarnation>;

impl LastRound {
    /// Reads what an earlier run has left.
    pub(crate) fn found_in(dir: &Path) -> io::Result<Self> {
        let newest = on_disk(dir)?.into_iter().next();
        let marks = newest.map(|(_, marks)| marks).unwrap_or_default();
        Ok(LastRound { acknowledged: marks.clone(), attempted: marks, gone: Gone::new() })
    }
}

pub(crate) fn marks(snapshot: &Snapshot) -> Marks {
    snapshot.entries().map(|e| (e.shard, (e.incarnation, e.applied_set))).collect()
}

fn of_checkpoint(checkpoint: &Checkpoint) -> Marks {
    let of = |s: &ShardCheckpoint| {
        let above = s.completed.iter().copied();
        (s.shard, (s.incarnation, AppliedSet::new(s.mark, above)))
    };
    checkpoint.shards.iter().map(of).collect()
}

/// Reads what a crash at this instant would leave: whole checkpoints, the newest first. A file that
/// a save removes in the meantime is left out.
pub(crate) fn on_disk(dir: &Path) -> io::Result<Vec<(Generation, Marks)>> {
    let mut found = Vec::new();
    for file in fs::read_dir(dir)? {
        let path = file?.path();
        if path.extension().is_none_or(|e| e != "checkpoint") {
            continue;
        }
        let bytes = match fs::read(&path) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => continue,
            bytes => bytes?,
        };
        if let Ok((header, checkpoint)) = Checkpoint::unseal(&JsonCodec, StoreId::UNNAMED, &bytes) {
            found.push((header.generation, of_checkpoint(&checkpoint)));
        }
    }
    found.sort_by_key(|(generation, _)| std::cmp::Reverse(*generation));
    Ok(found)
}

/// The lowest seqno of `set` that is not in `other`.
pub(crate) fn first_outside(set: &AppliedSet, other: &AppliedSet) -> Option<SeqNo> {
    let begin = set.above().map(|range| range.first());
    let ends = other.above().map(|range| range.last()).chain([other.mark()]);
    let after = ends.filter_map(|last| last.checked_add(1));
    begin.chain(after).filter(|seqno| set.contains(*seqno) && !other.contains(*seqno)).min()
}

#[cfg(test)]
mod tests {
    use repl_core::{AppliedSet, SeqRange};

    use super::first_outside;

    fn set(mark: u64, above: &[(u64, u64)]) -> AppliedSet {
        AppliedSet::new(mark, above.iter().map(|(first, last)| SeqRange::new(*first, *last)))
    }

    #[test]
    fn first_outside_is_the_lowest_seqno_that_only_the_first_set_holds() {
        let one = set(3, &[(5, 7), (9, u64::MAX)]);
        assert_eq!(first_outside(&one, &one), None);
        assert_eq!(first_outside(&one, &set(3, &[(9, u64::MAX)])), Some(5));
        assert_eq!(first_outside(&one, &set(3, &[(5, 6), (9, u64::MAX)])), Some(7));
        assert_eq!(first_outside(&one, &set(2, &[(5, 7)])), Some(3));
        assert_eq!(first_outside(&one, &set(7, &[(9, 9)])), Some(10));
        assert_eq!(first_outside(&set(7, &[]), &one), Some(4));
    }
}
