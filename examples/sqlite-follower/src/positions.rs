//! The positions of saved marks: the place in the log that each mark stands for.
//!
//! The checkpoint holds marks only, numbers that mean nothing without the salts and the checksum of
//! their frame. Those are in a separate file, which must match the checkpoint after a crash at any
//! instant. So the file holds the positions of several marks, and recovery looks up the mark that
//! it returned. The flush, before mark *n* is saved,
//! 1. replaces the file by one with the positions of *n*, of the newest acknowledged generation,
//!    and of the one before it (the retention floor);
//! 2. syncs the file. Only then does the save begin.
//!
//! A crash during 1 leaves the older file, which holds the two existing generations. A crash
//! between 2 and the save leaves one position too many. After the save, recovery returns *n* or
//! falls back to the generation before, and the file holds both. A failed save leaves a position
//! that the next flush drops. After a save in doubt there is no next one. Until a process has saved
//! two generations itself, it does not know which marks of its predecessor recovery could return,
//! so it drops nothing.
//!
//! The same mark means different places after different base copies. The log id of the shard, which
//! the checkpoint also holds, identifies the base copy.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use repl_checkpoint::Floors;
use repl_core::{LogId, SeqNo, ShardId, Snapshot};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::durable::{self, Durability, FileError};
use crate::position::{Mark, Position};
use crate::wal::LogPoint;

/// The positions of the marks of every shard.
#[derive(Debug)]
pub(crate) struct Positions {
    path: PathBuf,
    shards: Mutex<BTreeMap<ShardId, ShardPositions>>,
}

#[derive(Debug, Default, Clone)]
struct ShardPositions {
    base: u128,
    /// The positions that the file holds.
    saved: BTreeMap<SeqNo, Position>,
    /// The positions of marks reached since the last save.
    reached: BTreeMap<SeqNo, Position>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    shards: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    shard: u64,
    /// In hexadecimal, as it exceeds a JSON number.
    base: String,
    positions: Vec<Position>,
}

/// An error while saving positions.
#[derive(Debug, Error)]
pub(crate) enum PositionsError {
    #[error("shard {shard}: the position of mark {} is not recorded", Mark(*mark))]
    Unknown { shard: ShardId, mark: SeqNo },
    #[error(transparent)]
    File(#[from] FileError),
}

impl Positions {
    /// Loads the positions at `path`, none if there is no file.
    pub(crate) fn load(path: &Path) -> Result<Positions, FileError> {
        let document: Option<Document> = durable::load(path)?;
        let mut shards = BTreeMap::new();
        for entry in document.map_or_else(Vec::new, |d| d.shards) {
            let base = u128::from_str_radix(&entry.base, 16).map_err(|e| FileError::Corrupt {
                path: path.to_owned(),
                reason: format!("base {:?}: {e}", entry.base),
            })?;
            let saved = entry.positions.into_iter().map(|p| (p.seqno(), p)).collect();
            let positions = ShardPositions { base, saved, ..ShardPositions::default() };
            shards.insert(ShardId(entry.shard), positions);
        }
        Ok(Positions { path: path.to_owned(), shards: Mutex::new(shards) })
    }

    /// Replaces all positions of a shard by that of a new base copy.
    pub(crate) fn begin(&self, shard: ShardId, base: LogId, position: Position) {
        let reached = BTreeMap::from([(position.seqno(), position)]);
        let positions = ShardPositions { base: base.0, reached, ..ShardPositions::default() };
        self.lock().insert(shard, positions);
    }

    /// The position of a mark since a base copy, if it is known.
    pub(crate) fn of(&self, shard: ShardId, base: LogId, mark: SeqNo) -> Option<Position> {
        let shards = self.lock();
        let positions = shards.get(&shard).filter(|p| p.base == base.0)?;
        positions.known(mark)
    }

    /// The seqno of a place in the logs since a base copy, if any position since then is known.
    pub(crate) fn seqno_of(&self, shard: ShardId, base: LogId, place: &LogPoint) -> Option<SeqNo> {
        let shards = self.lock();
        let positions = shards.get(&shard).filter(|p| p.base == base.0)?;
        let (_, known) = positions.reached.last_key_value().or(positions.saved.last_key_value())?;
        Some(known.seqno_of(*place))
    }

    /// Records the position of a mark. Call it before the mark moves there.
    pub(crate) fn reached(&self, shard: ShardId, position: Position) {
        let mut shards = self.lock();
        shards.entry(shard).or_default().reached.insert(position.seqno(), position);
    }

    /// Makes the positions of the marks in `snapshot` durable. Call it before the marks are saved.
    pub(crate) fn save(&self, snapshot: &Snapshot, floors: &Floors) -> Result<(), PositionsError> {
        let mut next = BTreeMap::new();
        {
            let shards = self.lock();
            for (shard, mark) in snapshot {
                let unknown = PositionsError::Unknown { shard, mark };
                let Some(positions) = shards.get(&shard) else { return Err(unknown) };
                let Some(position) = positions.known(mark) else { return Err(unknown) };
                let mut saved = positions.saved.clone();
                if let Some(floor) = floors.retention_floor(shard) {
                    let newest = floors.checkpointed(shard);
                    saved.retain(|m, _| *m == floor || Some(*m) == newest);
                }
                saved.insert(mark, position);
                next.insert(shard, (positions.base, saved));
            }
        }
        let entry = |(shard, (base, saved)): (&ShardId, &(u128, BTreeMap<_, _>))| Entry {
            shard: shard.0,
            base: format!("{base:032x}"),
            positions: saved.values().copied().collect(),
        };
        let document = Document { shards: next.iter().map(entry).collect() };
        durable::save(&self.path, &document, Durability::Disk)?;

        let mut shards = self.lock();
        for (shard, (base, saved)) in next {
            let Some(positions) = shards.get_mut(&shard).filter(|p| p.base == base) else {
                continue;
            };
            if let Some(mark) = snapshot.mark(shard) {
                positions.reached.retain(|m, _| *m > mark);
            }
            positions.saved = saved;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ShardId, ShardPositions>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ShardPositions {
    fn known(&self, mark: SeqNo) -> Option<Position> {
        self.reached.get(&mark).or_else(|| self.saved.get(&mark)).copied()
    }
}

#[cfg(test)]
mod tests {
    use repl_checkpoint::{Checkpointer, FileStore, JsonCodec, OnCorrupt, StoreId, recover};
    use repl_core::NewShard;

    use super::*;

    const SHARD: ShardId = ShardId(3);
    const BASE: LogId = LogId(0xba5e);

    fn position(frame: u32) -> Position {
        Position { log: 1, at: LogPoint { salts: [1, 2], frame, checksum: [frame, 7] } }
    }

    fn checkpointer(folder: &Path) -> Checkpointer {
        let store = FileStore::open(folder.join("checkpoint"), StoreId::UNNAMED).unwrap();
        recover(store, JsonCodec, &[], OnCorrupt::Fail).unwrap().checkpointer
    }

    /// The frames whose positions a process that starts now finds.
    fn found(path: &Path, frames: std::ops::RangeInclusive<u32>) -> Vec<u32> {
        let positions = Positions::load(path).unwrap();
        let is_there = |f: &u32| positions.of(SHARD, BASE, position(*f).seqno()).is_some();
        frames.filter(is_there).collect()
    }

    #[test]
    fn the_file_holds_the_mark_to_save_and_those_of_both_generations_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("positions");
        let positions = Positions::load(&path).unwrap();
        let mut checkpointer = checkpointer(folder.path());
        let floors = checkpointer.floors();
        positions.begin(SHARD, BASE, position(1));
        let new = NewShard::new(SHARD).with_mark(position(1).seqno()).with_log(BASE);
        let shard = checkpointer.state().add_shard(new).unwrap();

        let mut in_flush = Vec::new();
        for frame in 1..=6 {
            positions.reached(SHARD, position(frame));
            shard.advance(position(frame).seqno());
            checkpointer
                .checkpoint(|attempt| {
                    positions.save(attempt.marks(), &floors)?;
                    in_flush.push(found(&path, 1..=6));
                    Ok(())
                })
                .unwrap();
        }
        assert_eq!(in_flush[0], [1]);
        assert_eq!(in_flush[1], [1, 2]);
        assert_eq!(in_flush[2], [1, 2, 3]);
        assert_eq!(in_flush[5], [4, 5, 6], "the floor 4, the newest 5, and the next");
    }

    #[test]
    fn a_process_keeps_the_positions_of_its_predecessor_until_its_second_save() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("positions");
        {
            let positions = Positions::load(&path).unwrap();
            let mut checkpointer = checkpointer(folder.path());
            let floors = checkpointer.floors();
            positions.begin(SHARD, BASE, position(1));
            let new = NewShard::new(SHARD).with_mark(position(1).seqno()).with_log(BASE);
            checkpointer.state().add_shard(new).unwrap();
            checkpointer.checkpoint(|a| Ok(positions.save(a.marks(), &floors)?)).unwrap();
        }
        let positions = Positions::load(&path).unwrap();
        let store = FileStore::open(folder.path().join("checkpoint"), StoreId::UNNAMED).unwrap();
        let mut recovered = recover(store, JsonCodec, &[SHARD], OnCorrupt::Fail).unwrap();
        let floors = recovered.checkpointer.floors();
        for frame in 2..=4 {
            positions.reached(SHARD, position(frame));
            recovered.state.advance(SHARD, position(frame).seqno());
            recovered.checkpointer.checkpoint(|a| Ok(positions.save(a.marks(), &floors)?)).unwrap();
            assert_eq!(found(&path, 1..=1).len(), usize::from(frame < 4), "at {frame}");
        }
    }

    #[test]
    fn a_mark_without_a_position_is_never_saved() {
        let folder = tempfile::tempdir().unwrap();
        let positions = Positions::load(&folder.path().join("positions")).unwrap();
        let mut checkpointer = checkpointer(folder.path());
        let floors = checkpointer.floors();
        checkpointer.state().add_shard(NewShard::new(SHARD).with_mark(9)).unwrap();
        assert!(checkpointer.checkpoint(|a| Ok(positions.save(a.marks(), &floors)?)).is_err());
        assert_eq!(floors.checkpointed(SHARD), None);
        let flushed = checkpointer.checkpoint(|_| Ok(()));
        assert!(flushed.is_ok(), "only the missing position prevents the save");
    }

    #[test]
    fn a_mark_of_another_base_copy_has_no_position() {
        let folder = tempfile::tempdir().unwrap();
        let positions = Positions::load(&folder.path().join("positions")).unwrap();
        positions.begin(SHARD, BASE, position(1));
        assert_eq!(positions.of(SHARD, BASE, position(1).seqno()), Some(position(1)));
        assert_eq!(positions.of(SHARD, LogId(1), position(1).seqno()), None);
        let place = position(9).at;
        assert_eq!(positions.seqno_of(SHARD, BASE, &place), Some(position(9).seqno()));
        assert_eq!(positions.seqno_of(SHARD, LogId(1), &place), None);
    }
}
