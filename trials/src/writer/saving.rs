//! What a writer process does: it saves until it is killed or its filesystem is gone.

use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use repl_checkpoint::{
    Candidate, Candidates, CheckpointError, CheckpointStore, DeltaBase, Generation, LoadError,
    Recovered, Save, SaveError, Saved, Source, StoreId,
};

use super::event::{Event, Pipe};
use super::follower::{Follower, mark, stamp};
use super::logged_disk::{LoggedDisk, WriterMutant};

/// Recovers a follower and saves until a save fails or every stamp is saved.
///
/// The store is in a directory of its own in `root`. Every call and result is reported on `out`.
/// Later writers of a follower must be given higher stamps.
///
/// # Errors
/// If `out` cannot be written.
pub(crate) fn write(
    root: &Path,
    follower: Follower,
    mutant: Option<WriterMutant>,
    stamps: Range<u64>,
    out: impl io::Write + Send + 'static,
) -> io::Result<()> {
    let pipe = Pipe::new(out);
    let disk = LoggedDisk::new(pipe.clone(), root, mutant);
    let dir = root.join(follower.name());
    let reports = Reports {
        pipe: pipe.clone(),
        stamp: Arc::default(),
        loaded: Arc::default(),
        saves: Arc::default(),
    };
    let opened = follower.open(disk, &dir).map_err(|err| err.to_string());
    let recovered = opened.and_then(|store| {
        let recovered = follower.recover(ReportingStore(store, reports.clone()));
        recovered.map_err(|err| err.to_string())
    });
    let mut recovered = match recovered {
        Ok(recovered) => recovered,
        Err(why) => return pipe.send(&Event::Refused { why }, &[]),
    };
    let found = found(&recovered, follower, &reports, &dir);
    pipe.send(&found.unwrap_or_else(|what| Event::Broken { what }), &[])?;
    for at in stamps {
        for (i, shard) in follower.ids().into_iter().enumerate() {
            recovered.state.advance(shard, mark(at, i));
        }
        reports.stamp.store(at, Relaxed);
        let event = saved(&mut recovered, follower);
        pipe.send(&event, &[])?;
        if !matches!(event, Event::Saved { .. }) {
            break;
        }
    }
    Ok(())
}

/// The event of a recovery.
fn found(
    recovered: &Recovered,
    follower: Follower,
    reports: &Reports,
    dir: &Path,
) -> Result<Event, String> {
    let (generation, passed_over) = match &recovered.report.source {
        Source::Fresh => (0, 0),
        Source::Resumed { generation } => (*generation, 0),
        Source::FellBack { generation, damaged } => (*generation, damaged.len()),
    };
    let ids = follower.ids().into_iter();
    let stamp = stamp(ids.map(|id| recovered.state.applied_seqno(id).unwrap_or(u64::MAX)))?;
    let loaded = reports.loaded();
    let bytes = loaded.iter().rfind(|(of, _)| *of == generation).map(|(_, bytes)| *bytes);
    let bytes = match bytes {
        _ if generation == 0 => 0,
        Some(bytes) => bytes,
        None => return Err(format!("generation {generation} was found, and no file holds it")),
    };
    // After the shutdown the directory cannot be read: then no name is reported.
    let names = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let temps = names.filter(|name| is_temp(name)).collect();
    Ok(Event::Recovered { generation, stamp, bytes, passed_over, temps })
}

/// Saves once and returns the event of its result.
fn saved(recovered: &mut Recovered, follower: Follower) -> Event {
    let why = match recovered.checkpointer.checkpoint(|_| Ok(())) {
        Ok(Saved::Written(report)) => {
            let is_delta = report.base.is_some();
            return claims(recovered, follower, is_delta)
                .unwrap_or_else(|what| Event::Broken { what });
        }
        Ok(Saved::Unchanged) => return Event::Broken { what: "no mark has changed".to_owned() },
        Err(why) => why,
    };
    let not_saved = matches!(why, CheckpointError::Save(SaveError::NotSaved { .. }));
    Event::Failed { not_saved, why: why.to_string() }
}

fn claims(recovered: &Recovered, follower: Follower, is_delta: bool) -> Result<Event, String> {
    let floors = recovered.checkpointer.floors();
    for shard in follower.ids() {
        let (floor, saved) = (floors.retention_floor(shard), floors.checkpointed(shard));
        let applied = recovered.state.applied_seqno(shard);
        if !(floor <= saved && saved <= applied) {
            return Err(format!("floor {floor:?}, checkpointed {saved:?}, applied {applied:?}"));
        }
    }
    let ids = || follower.ids().into_iter();
    let checkpointed = stamp(ids().filter_map(|shard| floors.checkpointed(shard)))?;
    let of_all: Vec<u64> = ids().filter_map(|shard| floors.retention_floor(shard)).collect();
    let floor = match of_all.len() {
        0 => None,
        some if some == follower.shards => Some(stamp(of_all.into_iter())?),
        some => return Err(format!("{some} of {} shards have a floor", follower.shards)),
    };
    Ok(Event::Saved { checkpointed, floor, is_delta })
}

/// The reports of a store. Clones share them.
#[derive(Clone)]
struct Reports {
    pipe: Pipe,
    /// The stamp of the next save.
    stamp: Arc<AtomicU64>,
    /// Each loaded checkpoint's generation, and the hash of its bytes and deltas.
    loaded: Arc<Mutex<Vec<(Generation, u128)>>>,
    /// The same of each save.
    saves: Arc<Mutex<Vec<(Generation, u128)>>>,
}

impl Reports {
    fn loaded(&self) -> MutexGuard<'_, Vec<(Generation, u128)>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn saves(&self) -> MutexGuard<'_, Vec<(Generation, u128)>> {
        self.saves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hash of an earlier save.
    fn saved(&self, generation: Generation) -> u128 {
        let saves = self.saves();
        saves.iter().rfind(|(of, _)| *of == generation).map_or(0, |(_, bytes)| *bytes)
    }
}

/// Whether this is the name of a temporary file of a store.
pub(crate) fn is_temp(name: &str) -> bool {
    name.contains(".temp-")
}

/// A hash of a checkpoint's bytes, the same in every process of this program.
fn hash(bytes: &[u8]) -> u128 {
    let half = |key: u8| {
        let mut hasher = DefaultHasher::new();
        hasher.write_u8(key);
        hasher.write(bytes);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

/// The hash of a chain with one more delta.
fn add(chain: u128, delta: &[u8]) -> u128 {
    hash(&[&chain.to_le_bytes(), delta].concat())
}

/// A store that reports its saves and records its loads.
struct ReportingStore(Box<dyn CheckpointStore>, Reports);

impl CheckpointStore for ReportingStore {
    fn store_id(&self) -> StoreId {
        self.0.store_id()
    }

    fn load(&mut self) -> Result<Candidates<'_>, LoadError> {
        let candidates = self.0.load()?;
        let note = |candidate: &Candidate| {
            let bytes = candidate.bytes.as_ref().ok()?;
            let chain = candidate.deltas.iter().fold(hash(bytes), |chain, delta| add(chain, delta));
            Some((candidate.generation?, chain))
        };
        let reports = &self.1;
        reports.loaded().clear();
        Ok(Box::new(candidates.inspect(move |read| reports.loaded().extend(note(read)))))
    }

    fn save(&mut self, save: Save<'_>) -> Result<(), SaveError> {
        let generation = save.generation;
        let bytes = match save.base {
            None => hash(save.bytes),
            Some(base) => add(self.1.saved(base), save.bytes),
        };
        self.1.saves().push((generation, bytes));
        let event = Event::Attempt { generation, stamp: self.1.stamp.load(Relaxed), bytes };
        if let Err(source) = self.1.pipe.send(&event, &[]) {
            return Err(SaveError::NotSaved { act: "report", path: "a save".into(), source });
        }
        self.0.save(save)
    }

    fn delta_base(&self) -> Option<DeltaBase> {
        self.0.delta_base()
    }

    fn max_torn(&self) -> usize {
        self.0.max_torn()
    }
}
