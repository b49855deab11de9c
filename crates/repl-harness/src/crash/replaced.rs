//! Files that are removed or replaced under an open store, at every call of its save.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use repl_checkpoint::{
    Checkpoint, CheckpointStore, Generation, Header, JsonCodec, OnCorrupt, Save, SaveError,
    ShardCheckpoint, Source,
};
use repl_core::{AppliedSet, Incarnation, ShardId, SnapshotEntry};

use super::disk::{Call, SimDisk};
use super::invariant::{Invariant, Violation};
use super::kind::StoreKind;
use super::layout::{DIR, STORE_ID, lock_file, short, slot_file};
use super::mutants::Mutant;
use super::protocol::Protocol;
use crate::panics::caught;

const SHARD: ShardId = ShardId(1);

/// The result of replacing files under an open store.
#[derive(Debug, Clone)]
pub struct ReplacedReport {
    /// The number of cases: what is replaced, and before which call.
    pub cases: u64,
    /// The duration.
    pub elapsed: Duration,
    /// The first broken promise.
    pub violation: Option<Violation>,
}

impl fmt::Display for ReplacedReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        write!(f, "{} cases; {seconds:.1} s", self.cases)?;
        match &self.violation {
            Some(violation) => write!(f, "\n{violation}"),
            None => write!(f, "; no violation"),
        }
    }
}

/// What happens to the files of an open store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    /// The lock file is removed, and another store opens, recovers and saves.
    LockRemoved,
    /// The directory is replaced by an empty one, into which the lock file is moved.
    DirReplaced,
    /// The directory is replaced by another, into which all of its files are moved. Their names
    /// there are not durable.
    FilesMoved,
    /// The file with the checkpoint is replaced by an older one, or removed.
    FileReplaced,
    /// A copy of that file is renamed over it, and the name of the copy is not durable.
    CopyRenamed,
}

impl Event {
    const ALL: [Event; 5] = [
        Event::LockRemoved,
        Event::DirReplaced,
        Event::FilesMoved,
        Event::FileReplaced,
        Event::CopyRenamed,
    ];

    fn is_of_file(self) -> bool {
        matches!(self, Event::FileReplaced | Event::CopyRenamed)
    }

    /// The last call before which it is tried: that by which the store notices it. A lock file may
    /// also go between the checks of a save in place and its sync, and a copy may come.
    fn last(self, calls: &[Call]) -> usize {
        let verbs = match self {
            Event::LockRemoved => ["lock_is_in", "sync_data"],
            Event::DirReplaced | Event::FilesMoved => ["dir_is_at"; 2],
            Event::FileReplaced => ["file_is_in"; 2],
            Event::CopyRenamed => ["file_is_in", "sync_data"],
        };
        calls.iter().rposition(|call| verbs.contains(&call.verb)).unwrap_or(0)
    }
}

/// Replaces files before every call of a save, up to the check that has to notice it.
///
/// - A save is not acknowledged after another store has opened that did not find it, and not if a
///   power cut loses it.
/// - What the other store has acknowledged stays.
pub fn replaced(store: StoreKind, mutant: Option<Mutant>) -> ReplacedReport {
    let started = Instant::now();
    let mut run = Run { protocol: Protocol::of(store, mutant), cases: 0 };
    let violation = run.all().err();
    ReplacedReport { cases: run.cases, elapsed: started.elapsed(), violation }
}

struct Run {
    protocol: Protocol,
    cases: u64,
}

/// A disk, an open store, and the newest generation, which was saved before.
struct Prepared {
    disk: SimDisk,
    store: Box<dyn CheckpointStore>,
    newest: Generation,
    /// The file of the newest checkpoint.
    file: Vec<u8>,
}

impl Run {
    fn all(&mut self) -> Result<(), Violation> {
        for is_first in [true, false] {
            let calls = self.calls(is_first)?;
            for event in Event::ALL {
                for before in 0..=event.last(&calls) {
                    self.cases += 1;
                    let case = || self.case(is_first, event, before);
                    let found = caught(case)
                        .unwrap_or_else(|panic| Err(Violation::new(Invariant::NoPanic, panic)));
                    let script = || {
                        let made = calls.iter().take(before);
                        let made = made.map(|c| format!("{} {}", c.verb, short(&c.path)));
                        made.chain([format!("-- {event:?}")]).collect()
                    };
                    found.map_err(|broken| broken.after(script()))?;
                }
            }
        }
        Ok(())
    }

    /// A store that has saved, or whose next save is its first.
    fn prepared(&self, is_first: bool) -> Result<Prepared, Violation> {
        let disk = SimDisk::new();
        let mut store = self.open(&disk)?;
        for generation in 1..=3 {
            save(&mut *store, generation, generation - 1).map_err(|err| works(&err))?;
        }
        if is_first {
            drop(store);
            store = self.open(&disk)?;
        }
        let file = disk.files().get(&self.file(3)).cloned().unwrap_or_default();
        disk.fail(None);
        Ok(Prepared { disk, store, newest: 3, file })
    }

    fn open(&self, disk: &SimDisk) -> Result<Box<dyn CheckpointStore>, Violation> {
        self.protocol.open(disk).map_err(|err| works(&err))
    }

    /// The file of a generation.
    fn file(&self, generation: Generation) -> PathBuf {
        match self.protocol.store {
            StoreKind::Files => Path::new(DIR).join(format!("{generation:020}.checkpoint")),
            StoreKind::Slots => slot_file(),
        }
    }

    fn calls(&self, is_first: bool) -> Result<Vec<Call>, Violation> {
        let Prepared { disk, mut store, newest, .. } = self.prepared(is_first)?;
        save(&mut *store, newest + 1, newest).map_err(|err| works(&err))?;
        Ok(disk.calls())
    }

    fn case(&self, is_first: bool, event: Event, before: usize) -> Result<(), Violation> {
        let Prepared { disk, mut store, newest, file: old } = self.prepared(is_first)?;
        let (file, other) = (self.file(newest + 1), Protocol::of(self.protocol.store, None));
        let (sender, receiver) = std::sync::mpsc::channel();
        disk.before_call(before, move |disk| match event {
            Event::LockRemoved => {
                disk.lose(&lock_file());
                let _ = sender.send(takes_over(other, disk));
            }
            Event::DirReplaced => disk.replace_dir(Path::new(DIR), &lock_file()),
            Event::FilesMoved => disk.move_into_new_dir(Path::new(DIR)),
            Event::FileReplaced if file == slot_file() => {
                let _ = disk.put(&file, &old);
            }
            Event::FileReplaced => disk.lose(&file),
            Event::CopyRenamed => disk.rename_copy_over(&file),
        });
        let saved = save(&mut *store, newest + 1, newest);
        drop(store);
        let taken_over = receiver.try_recv().ok().transpose()?;
        match (&saved, taken_over) {
            (Ok(()), Some((found, _))) if found <= newest => {
                let what =
                    format!("acknowledged, though another store had opened and found {found}");
                return Err(Violation::new(Invariant::OneOwner, what));
            }
            (Ok(()), Some(_)) => {} // the other store has gone on from this save
            // A call on a file that is gone may fail before the check.
            (Err(error), _) if is_replaced(error) || !event.is_of_file() => {}
            (Err(other), _) => return Err(works(other)),
            (Ok(()), _) => self.is_kept(&disk, newest + 1, Invariant::AcknowledgedSurvives)?,
        }
        match taken_over {
            Some((_, saved)) => self.is_kept(&disk, saved, Invariant::OneOwner),
            None => Ok(()),
        }
    }

    /// Checks that a process finds this generation, whether it begins with the cache or after a
    /// power cut.
    fn is_kept(
        &self,
        disk: &SimDisk,
        generation: Generation,
        invariant: Invariant,
    ) -> Result<(), Violation> {
        let images = disk.after_power_cut_to_read().unwrap_or_default();
        for image in images.into_iter().chain([disk.after_process_death()]) {
            let real = Protocol::of(self.protocol.store, None);
            let found = real.recover(&image, &[SHARD], OnCorrupt::Fail);
            let (found, _) = found.map_err(|err| Violation::new(invariant, err.to_string()))?;
            let mark = found.state.applied_seqno(SHARD);
            if mark != Some(mark_of(generation)) {
                let what = format!("mark {mark:?}, not that of generation {generation}");
                return Err(Violation::new(invariant, what));
            }
        }
        Ok(())
    }
}

fn is_replaced(error: &SaveError) -> bool {
    matches!(error, SaveError::Replaced { .. })
}

/// Another store opens, recovers and saves once. Returns the generations that it finds and saves.
fn takes_over(protocol: Protocol, disk: &SimDisk) -> Result<(Generation, Generation), Violation> {
    let recovered = protocol.recover(disk, &[SHARD], OnCorrupt::Fail);
    let (mut recovered, _) = recovered.map_err(|err| works(&err))?;
    let found = match recovered.report.source {
        Source::Fresh => 0,
        Source::Resumed { generation } | Source::FellBack { generation, .. } => generation,
    };
    recovered.state.advance(SHARD, mark_of(OTHERS + found + 1));
    recovered.checkpointer.checkpoint(|_| Ok(())).map_err(|err| works(&err))?;
    Ok((found, OTHERS + found + 1))
}

/// Added to the generations of the other store, to tell its marks.
const OTHERS: Generation = 1000;

fn mark_of(generation: Generation) -> u64 {
    generation * 10
}

fn works(error: &dyn fmt::Display) -> Violation {
    Violation::new(Invariant::NextSaveSucceeds, error.to_string())
}

fn save(
    store: &mut dyn CheckpointStore,
    generation: Generation,
    confirmed: Generation,
) -> Result<(), SaveError> {
    let set = AppliedSet::up_to(mark_of(generation));
    let shards = vec![ShardCheckpoint::from(SnapshotEntry::new(SHARD, set))];
    let checkpoint = Checkpoint { next_incarnation: Incarnation(1), shards };
    let header = Header { store: STORE_ID, generation, confirmed };
    let bytes = checkpoint.seal(&JsonCodec, header).unwrap_or_default();
    store.save(Save { generation, confirmed, bytes: &bytes, base: None })
}
