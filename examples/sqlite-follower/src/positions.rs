//! Which log, and which content of it, stands behind a saved mark?
//!
//! The checkpoint holds marks alone, numbers that mean nothing without the salts and the checksum
//! of their frame. Those lie in a file of their own beside it, and the two must be in step whatever
//! the instant of a crash. So the file holds the positions of several marks at once, and the mark
//! that recovery comes back with picks its own. In the flush, before the mark *n* is saved:
//! 1. the file is replaced by one that holds the positions of *n*, of the newest acknowledged
//!    generation, and of the one before it (the retention floor);
//! 2. it is synced, and only then does the save begin.
//!
//! A crash before 1 ends leaves the older file, which holds the two generations that exist. One
//! between 2 and the save leaves one position too many. After the save, recovery returns *n*, or
//! falls back to the generation before, and both are there. A save that failed is forgotten with
//! the next one, and one in doubt allows no next one. Until this process has two generations of its
//! own it does not know which of its predecessor's marks recovery could return, and drops nothing.
//!
//! Marks of different base copies mean different things: the log id that the shard was added with,
//! which the checkpoint holds too, names the base copy.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use repl_checkpoint::Floors;
use repl_core::{LogId, SeqNo, ShardId, Snapshot};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::durable::{self, FileError, Reach};
use crate::position::{Mark, Position};
use crate::wal::LogPoint;

/// The positions behind the marks of every shard.
#[derive(Debug)]
pub(crate) struct Positions {
    path: PathBuf,
    shards: Mutex<BTreeMap<ShardId, ShardPositions>>,
}

#[derive(Debug, Default, Clone)]
struct ShardPositions {
    base: u128,
    /// What the file holds.
    saved: BTreeMap<SeqNo, Position>,
    /// Marks that the shard has reached since the last one that was saved.
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
    /// In hexadecimal, as a JSON number has no room for it.
    base: String,
    positions: Vec<Position>,
}

/// The positions of some marks could not be saved.
#[derive(Debug, Error)]
pub(crate) enum PositionsError {
    #[error("shard {shard}: nobody has noted the position of mark {}", Mark(*mark))]
    Unknown { shard: ShardId, mark: SeqNo },
    #[error(transparent)]
    File(#[from] FileError),
}

impl Positions {
    /// The positions at `path`, none where there is no file.
    pub(crate) fn load(path: &Path) -> Result<Positions, FileError> {
        let document: Option<Document> = durable::load(path)?;
        let mut shards = BTreeMap::new();
        for entry in document.map_or_else(Vec::new, |d| d.shards) {
            let base = u128::from_str_radix(&entry.base, 16).map_err(|e| FileError::Damaged {
                path: path.to_owned(),
                reason: format!("base {:?}: {e}", entry.base),
            })?;
            let saved = entry.positions.into_iter().map(|p| (p.seqno(), p)).collect();
            let positions = ShardPositions { base, saved, ..ShardPositions::default() };
            shards.insert(ShardId(entry.shard), positions);
        }
        Ok(Positions { path: path.to_owned(), shards: Mutex::new(shards) })
    }

    /// Begins a shard anew with the position of a base copy.
    pub(crate) fn begin(&self, shard: ShardId, base: LogId, position: Position) {
        let reached = BTreeMap::from([(position.seqno(), position)]);
        let positions = ShardPositions { base: base.0, reached, ..ShardPositions::default() };
        self.lock().insert(shard, positions);
    }

    /// The position behind a mark of a base copy, where it is known.
    pub(crate) fn of(&self, shard: ShardId, base: LogId, mark: SeqNo) -> Option<Position> {
        let shards = self.lock();
        let positions = shards.get(&shard).filter(|p| p.base == base.0)?;
        positions.known(mark)
    }

    /// The seqno of a place in the logs since a base copy, where any position since is known.
    pub(crate) fn seqno_of(&self, shard: ShardId, base: LogId, place: &LogPoint) -> Option<SeqNo> {
        let shards = self.lock();
        let positions = shards.get(&shard).filter(|p| p.base == base.0)?;
        let (_, known) = positions.reached.last_key_value().or(positions.saved.last_key_value())?;
        Some(known.seqno_of(*place))
    }

    /// Notes the position behind a mark, before the mark moves there.
    pub(crate) fn reached(&self, shard: ShardId, position: Position) {
        let mut shards = self.lock();
        shards.entry(shard).or_default().reached.insert(position.seqno(), position);
    }

    /// Makes the positions of the marks in `snapshot` durable, before the marks are saved.
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
        durable::save(&self.path, &document, Reach::Disk)?;

        let mut shards = self.lock();
        for (shard, (base, saved)) in next {
            let Some(positions) = shards.get_mut(&shard).filter(|p| p.base == base) else {
                continue;
            };
            if let Some(mark) = snapshot.get(shard) {
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
    use std::convert::Infallible;

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

    /// What a process that starts now would find behind each mark.
    fn found(path: &Path, frames: std::ops::RangeInclusive<u32>) -> Vec<u32> {
        let positions = Positions::load(path).unwrap();
        let is_there = |f: &u32| positions.of(SHARD, BASE, position(*f).seqno()).is_some();
        frames.filter(is_there).collect()
    }

    #[test]
    fn the_file_holds_the_mark_to_be_saved_and_both_generations_before_it() {
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
                .checkpoint(|snapshot| {
                    positions.save(snapshot, &floors)?;
                    in_flush.push(found(&path, 1..=6));
                    Ok::<(), PositionsError>(())
                })
                .unwrap();
        }
        assert_eq!(in_flush[0], [1]);
        assert_eq!(in_flush[1], [1, 2]);
        assert_eq!(in_flush[2], [1, 2, 3]);
        assert_eq!(in_flush[5], [4, 5, 6], "the floor 4, the newest 5, and the next");
    }

    #[test]
    fn a_new_process_keeps_the_positions_of_the_old_one_until_its_own_second_save() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("positions");
        {
            let positions = Positions::load(&path).unwrap();
            let mut checkpointer = checkpointer(folder.path());
            let floors = checkpointer.floors();
            positions.begin(SHARD, BASE, position(1));
            let new = NewShard::new(SHARD).with_mark(position(1).seqno()).with_log(BASE);
            checkpointer.state().add_shard(new).unwrap();
            checkpointer.checkpoint(|s| positions.save(s, &floors)).unwrap();
        }
        let positions = Positions::load(&path).unwrap();
        let store = FileStore::open(folder.path().join("checkpoint"), StoreId::UNNAMED).unwrap();
        let mut recovered = recover(store, JsonCodec, &[SHARD], OnCorrupt::Fail).unwrap();
        let floors = recovered.checkpointer.floors();
        for frame in 2..=4 {
            positions.reached(SHARD, position(frame));
            recovered.state.advance(SHARD, position(frame).seqno());
            recovered.checkpointer.checkpoint(|s| positions.save(s, &floors)).unwrap();
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
        assert!(checkpointer.checkpoint(|s| positions.save(s, &floors)).is_err());
        assert_eq!(floors.checkpointed(SHARD), None);
        let flushed = checkpointer.checkpoint(|_| Ok::<(), Infallible>(()));
        assert!(flushed.is_ok(), "without the rule it would be");
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
