//! The places in the logs that seqnos stand for, and those of saved marks.
//!
//! A seqno holds the number of the log in its high 32 bits, and the frame in its low 32 bits.
//!
//! The places of saved marks are in a file, which must match the checkpoint after a crash at any
//! instant. So it holds the places of several marks, and recovery looks up the mark that it
//! returned. Before mark *n* is saved, the file is replaced by one with the places of all saved
//! marks from the retention floor on, and of *n*, and synced. The floor is the mark of the
//! generation before the newest, so the file holds each mark that recovery may return, before and
//! after the save. Until a process has saved two generations itself it has no floor, and drops
//! nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use example_support::{Error, files, lock};
use repl_checkpoint::Floors;
use repl_core::{LogId, SeqNo, ShardId, Snapshot};
use serde::{Deserialize, Serialize};

use crate::wal::LogPoint;

/// A new id for the sequence of logs since a base copy at a place. Its low 32 bits are the first
/// salt of the log before.
pub(crate) fn new_base(at: &LogPoint) -> LogId {
    LogId(fastrand::u128(..) << 32 | u128::from(at.salts[0].wrapping_sub(1)))
}

/// The seqno of a place in the logs since a base copy, or 0 if its log ended before that copy,
/// which holds all of it.
pub(crate) fn seqno_of(base: LogId, place: &LogPoint) -> SeqNo {
    let before = u32::try_from(base.0 & u128::from(u32::MAX)).unwrap_or(0);
    // Each restart raises the first salt by one.
    let log = place.salts[0].wrapping_sub(before);
    if log.cast_signed() > 0 { u64::from(log) << 32 | u64::from(place.frame) } else { 0 }
}

/// Displays a seqno as `log.frame`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark(pub(crate) SeqNo);

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 >> 32, self.0 & u64::from(u32::MAX))
    }
}

/// The positions of the marks of every shard.
#[derive(Debug)]
pub(crate) struct Positions {
    path: PathBuf,
    shards: Mutex<BTreeMap<u64, ShardPositions>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct ShardPositions {
    /// The newest mark in the file.
    saved: SeqNo,
    /// The positions up to `saved` that the file holds, and those of all marks reached since.
    known: BTreeMap<SeqNo, LogPoint>,
}

impl Positions {
    /// Loads the positions at `path`, none if there is no file.
    pub(crate) fn load(path: &Path) -> Result<Positions, Error> {
        let shards = files::load(path)?.unwrap_or_default();
        Ok(Positions { path: path.to_owned(), shards: Mutex::new(shards) })
    }

    /// Replaces all places of a shard by that of a new base copy.
    pub(crate) fn begin(&self, shard: ShardId, base: LogId, at: LogPoint) {
        let known = BTreeMap::from([(seqno_of(base, &at), at)]);
        lock(&self.shards).insert(shard.0, ShardPositions { saved: 0, known });
    }

    /// The place of a mark since a base copy, if it is known.
    pub(crate) fn of(&self, shard: ShardId, base: LogId, mark: SeqNo) -> Option<LogPoint> {
        let at = *lock(&self.shards).get(&shard.0)?.known.get(&mark)?;
        (seqno_of(base, &at) == mark).then_some(at)
    }

    /// Records the place of a mark. Call it before the mark moves there.
    pub(crate) fn reached(&self, shard: ShardId, mark: SeqNo, at: LogPoint) {
        if let Some(positions) = lock(&self.shards).get_mut(&shard.0) {
            positions.known.insert(mark, at);
        }
    }

    /// Makes the positions of the marks in `snapshot` durable. Call it before the marks are saved.
    pub(crate) fn save(&self, snapshot: &Snapshot, floors: &Floors) -> Result<(), Error> {
        let mut document = BTreeMap::new();
        for (shard, mark) in snapshot {
            let mut shards = lock(&self.shards);
            let positions = shards.get_mut(&shard.0).filter(|p| p.known.contains_key(&mark));
            let positions = positions.ok_or_else(|| {
                format!("shard {shard}: the position of mark {} is not known", Mark(mark))
            })?;
            let (floor, saved) = (floors.retention_floor(shard).unwrap_or(0), positions.saved);
            positions.known.retain(|m, _| (floor..=saved).contains(m) || *m >= mark);
            positions.saved = mark;
            let known = positions.known.range(..=mark).map(|(m, p)| (*m, *p)).collect();
            document.insert(shard.0, ShardPositions { known, ..*positions });
        }
        files::save(&self.path, &document)
    }
}

#[cfg(test)]
mod tests {
    use repl_checkpoint::{Checkpointer, FileStore, JsonCodec, OnCorrupt, StoreId, recover};
    use repl_core::{NewShard, Shard};
    use tempfile::TempDir;

    use super::*;

    const SHARD: ShardId = ShardId(3);
    const BASE: LogId = LogId(0xba5e << 32 | 7);

    fn place(frame: u32) -> LogPoint {
        LogPoint { salts: [8, 2], frame, checksum: [frame, 7] }
    }

    fn mark(frame: u32) -> SeqNo {
        seqno_of(BASE, &place(frame))
    }

    struct Process {
        positions: Positions,
        checkpointer: Checkpointer,
        shard: Shard,
    }

    impl Process {
        /// A process that makes a base copy at frame 1, or continues.
        fn start(folder: &TempDir) -> Process {
            let positions = Positions::load(&folder.path().join("positions")).unwrap();
            let store =
                FileStore::open(folder.path().join("checkpoint"), StoreId::UNNAMED).unwrap();
            let shards = lock(&positions.shards).keys().map(|id| ShardId(*id)).collect::<Vec<_>>();
            let checkpointer =
                recover(store, JsonCodec, &shards[..], OnCorrupt::Fail).unwrap().checkpointer;
            let shard = checkpointer.state().shard(SHARD).unwrap_or_else(|| {
                positions.begin(SHARD, BASE, place(1));
                let new = NewShard::new(SHARD).with_mark(mark(1)).with_log(BASE);
                checkpointer.state().add_shard(new).unwrap()
            });
            Process { positions, checkpointer, shard }
        }

        /// Reaches a frame and saves its mark. Returns the frames whose places another process
        /// would find if this one was killed between the flush and the save.
        fn save(&mut self, frame: u32) -> Vec<u32> {
            self.positions.reached(SHARD, mark(frame), place(frame));
            self.shard.advance(mark(frame));
            let (floors, mut found) = (self.checkpointer.floors(), Vec::new());
            let saved = self.checkpointer.checkpoint(|attempt| {
                self.positions.save(attempt.marks(), &floors)?;
                let later = Positions::load(&self.positions.path)?;
                found = (1..9).filter(|f| later.of(SHARD, BASE, mark(*f)).is_some()).collect();
                Ok(())
            });
            saved.unwrap();
            found
        }
    }

    #[test]
    fn the_file_holds_the_mark_to_save_and_those_of_both_generations_before() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = Process::start(&folder);
        assert_eq!(process.save(1), [1]);
        assert_eq!(process.save(2), [1, 2]);
        process.positions.reached(SHARD, mark(3), place(3));
        assert_eq!(process.save(4), [1, 2, 4], "3 was never saved");
        assert_eq!(process.save(5), [2, 4, 5], "the floor 2, the newest 4, and the next");
    }

    #[test]
    fn a_process_keeps_the_positions_of_its_predecessor_until_its_second_save() {
        let folder = tempfile::tempdir().unwrap();
        Process::start(&folder).save(1);
        let mut process = Process::start(&folder);
        assert_eq!(process.save(2), [1, 2]);
        assert_eq!(process.save(3), [1, 2, 3]);
        assert_eq!(process.save(4), [2, 3, 4]);
    }

    #[test]
    fn a_mark_without_a_position_is_never_saved() {
        let folder = tempfile::tempdir().unwrap();
        let Process { positions, mut checkpointer, shard } = Process::start(&folder);
        shard.advance(mark(9));
        let floors = checkpointer.floors();
        assert!(checkpointer.checkpoint(|a| positions.save(a.marks(), &floors)).is_err());
        assert_eq!(floors.checkpointed(SHARD), None);
        let flushed = checkpointer.checkpoint(|_| Ok(()));
        assert!(flushed.is_ok(), "only the missing position prevents the save");
    }

    #[test]
    fn a_mark_of_another_base_copy_has_no_position() {
        let folder = tempfile::tempdir().unwrap();
        let positions = Process::start(&folder).positions;
        assert_eq!(positions.of(SHARD, BASE, mark(1)), Some(place(1)));
        assert_eq!(positions.of(SHARD, LogId(BASE.0 - 1), mark(1)), None);
    }

    #[test]
    fn seqnos_rise_with_the_frame_and_the_log_and_are_never_zero() {
        let first = u32::MAX - 1; // wraps on the way
        let at = |log: u32, frame| LogPoint { salts: [first.wrapping_add(log), 9], ..place(frame) };
        let base = new_base(&at(1, 9));
        let seqno = |log, frame| seqno_of(base, &at(log, frame));
        assert_eq!(Mark(seqno(1, 0)).to_string(), "1.0");
        assert_eq!(Mark(seqno(3, 17)).to_string(), "3.17");
        assert!(seqno(1, 1) > seqno(1, 0) && seqno(2, 0) > seqno(1, u32::MAX));
        assert_eq!(seqno(0, 50), 0, "before the base copy");
    }
}
