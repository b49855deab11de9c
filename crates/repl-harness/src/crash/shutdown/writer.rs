//! The process that saves until its filesystem is gone.

use std::convert::Infallible;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use repl_checkpoint::{
    Candidate, CheckpointError, CheckpointStore, Generation, LoadError, Recovered, Save, SaveError,
    Saved, Source, StoreId,
};

use super::super::disk::hash_bytes;
use super::super::protocol::Refused;
use super::event::{Event, Pipe};
use super::follower::{Follower, mark, stamp};
use super::logged::{Logged, Wrong};

/// Opens the store of `follower` in a directory of its own in `root`, recovers, and saves as
/// fast as it can until a save fails or all of `stamps` are saved; tells on `out` what it does and
/// sees. No two writers of a follower are given the same stamps, and later ones higher ones.
///
/// # Errors
/// Where nobody reads `out` any more.
pub fn write(
    root: &Path,
    follower: Follower,
    wrong: Option<Wrong>,
    stamps: Range<u64>,
    out: impl io::Write + Send + 'static,
) -> io::Result<()> {
    let pipe = Pipe::new(out);
    let disk = Logged::new(pipe.clone(), root, wrong);
    let dir = root.join(follower.name());
    let told = Told { pipe: pipe.clone(), stamp: Arc::default(), loaded: Arc::default() };
    let opened = follower.open(disk, &dir).map_err(Refused::from);
    let recovered = opened.and_then(|store| follower.recover(Watched(store, told.clone())));
    let mut recovered = match recovered {
        Ok(recovered) => recovered,
        Err(refused) => return pipe.tell(&Event::Refused { why: refused.to_string() }, &[]),
    };
    let found = found(&recovered, follower, &told, &dir);
    pipe.tell(&found.unwrap_or_else(|what| Event::Broken { what }), &[])?;
    for at in stamps {
        for (i, shard) in follower.ids().into_iter().enumerate() {
            recovered.state.advance(shard, mark(at, i));
        }
        told.stamp.store(at, Relaxed);
        let event = saved(&mut recovered, follower);
        pipe.tell(&event, &[])?;
        if !matches!(event, Event::Saved { .. }) {
            break;
        }
    }
    Ok(())
}

/// What was recovered.
fn found(
    recovered: &Recovered,
    follower: Follower,
    told: &Told,
    dir: &Path,
) -> Result<Event, String> {
    let (generation, passed_over) = match &recovered.found.origin {
        Source::Fresh => (0, 0),
        Source::Resumed { generation } => (*generation, 0),
        Source::FellBack { generation, damaged } => (*generation, damaged.len()),
    };
    let ids = follower.ids().into_iter();
    let stamp = stamp(ids.map(|id| recovered.state.applied_seqno(id).unwrap_or(u64::MAX)))?;
    let loaded = told.loaded.lock().unwrap_or_else(PoisonError::into_inner);
    let bytes = loaded.iter().find(|(of, _)| *of == generation).map(|(_, bytes)| *bytes);
    let bytes = match bytes {
        _ if generation == 0 => 0,
        Some(bytes) => bytes,
        None => return Err(format!("generation {generation} was found, and no file holds it")),
    };
    // Where the filesystem is gone already, nothing is there to be seen.
    let names = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let temps = names.filter(|name| name.contains(".temp-")).collect();
    Ok(Event::Recovered { generation, stamp, bytes, passed_over, temps })
}

/// One save, and what it may be held to.
fn saved(recovered: &mut Recovered, follower: Follower) -> Event {
    let why = match recovered.checkpointer.checkpoint(|_| Ok::<(), Infallible>(())) {
        Ok(Saved::Written { .. }) => {
            return claims(recovered, follower).unwrap_or_else(|what| Event::Broken { what });
        }
        Ok(Saved::Unchanged) => return Event::Broken { what: "no mark was new".to_owned() },
        Err(why) => why,
    };
    let not_saved = matches!(why, CheckpointError::Save(SaveError::NotSaved { .. }));
    Event::Failed { not_saved, why: why.to_string() }
}

fn claims(recovered: &Recovered, follower: Follower) -> Result<Event, String> {
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
    Ok(Event::Saved { checkpointed, floor })
}

/// What a store is given and gives back is told and noted here.
#[derive(Clone)]
struct Told {
    pipe: Pipe,
    /// What the marks of the next save bear.
    stamp: Arc<AtomicU64>,
    /// Each checkpoint's generation, and the hash of its bytes.
    loaded: Arc<Mutex<Vec<(Generation, u128)>>>,
}

struct Watched(Box<dyn CheckpointStore>, Told);

impl CheckpointStore for Watched {
    fn store_id(&self) -> StoreId {
        self.0.store_id()
    }

    fn load(&mut self) -> Result<Vec<Candidate>, LoadError> {
        let candidates = self.0.load()?;
        let note = |candidate: &Candidate| {
            let bytes = candidate.bytes.as_ref().ok()?;
            Some((candidate.generation?, hash_bytes(bytes)))
        };
        *self.1.loaded.lock().unwrap_or_else(PoisonError::into_inner) =
            candidates.iter().filter_map(note).collect();
        Ok(candidates)
    }

    fn save(&mut self, save: Save<'_>) -> Result<(), SaveError> {
        let (generation, bytes) = (save.generation, hash_bytes(save.bytes));
        let event = Event::Attempt { generation, stamp: self.1.stamp.load(Relaxed), bytes };
        if let Err(source) = self.1.pipe.tell(&event, &[]) {
            return Err(SaveError::NotSaved { act: "tell of", path: "a save".into(), source });
        }
        self.0.save(save)
    }

    fn max_torn(&self) -> usize {
        self.0.max_torn()
    }
}
