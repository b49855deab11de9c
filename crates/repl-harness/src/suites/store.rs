//! Tests the promises of a store.

mod damage;
mod ledger;
mod promise;

use std::fmt::Display;
use std::path::Path;

use repl_checkpoint::{CheckpointStore, JsonCodec, OnCorrupt, Save, recover};
use repl_core::ShardId;
use tempfile::TempDir;

use self::ledger::{Ledger, Size};
pub use self::promise::{StoreOptions, StorePromise, StoreReport, StoreViolation};
use crate::panics::caught;

/// Tests the promises of a [`CheckpointStore`] when nothing fails, and after damage.
///
/// `open` opens the store in a directory, which exists and is empty the first time. The suite saves
/// many checkpoints of all sizes, and opens the store again between them. After each save it checks
/// what [`load`](CheckpointStore::load) returns: everything that must be kept, the newest first, byte
/// for byte. The confirmed generation of a save is at most two saves old. Then it recovers marks from
/// the store and saves them with a [`Checkpointer`](repl_checkpoint::Checkpointer). At last it
/// damages the files in the directory, one at a time.
///
/// The suite tries no crashes and no failing calls. For a store that reaches its disk through
/// [`Disk`](repl_checkpoint::Disk), [`explore_own`](crate::crash::explore_own) does.
///
/// Takes seconds: it writes a few thousand files.
///
/// # Errors
/// The first broken promise, with what was observed.
///
/// # Example
/// A store with one file per generation, written with the standard library alone:
/// ```
/// use std::fs::{self, File};
/// use std::io::{self, Write};
/// use std::path::{Path, PathBuf};
/// use repl_checkpoint::{
///     Candidate, Candidates, CheckpointStore, LoadError, Save, SaveError, StoreId,
/// };
/// use repl_harness::suites::{StoreOptions, store_suite};
///
/// /// The directory, and its lock; `true` after a save in doubt.
/// struct Files(PathBuf, #[expect(dead_code)] File, bool);
///
/// fn open(dir: &Path) -> io::Result<Files> {
///     let lock = File::create(dir.join("lock"))?;
///     lock.try_lock()?;
///     Ok(Files(dir.to_owned(), lock, false))
/// }
///
/// impl CheckpointStore for Files {
///     fn store_id(&self) -> StoreId {
///         StoreId(7)
///     }
///
///     fn load(&mut self) -> Result<Candidates<'_>, LoadError> {
///         let failed = |err: io::Error| LoadError::Store(err.into());
///         let mut found = Vec::new();
///         for entry in fs::read_dir(&self.0).map_err(failed)? {
///             let path = entry.map_err(failed)?.path();
///             let name = path.file_name().and_then(|name| name.to_str()?.parse().ok());
///             if let Some(generation) = name {
///                 found.push((generation, path));
///             }
///         }
///         found.sort_by(|a, b| b.cmp(a));
///         Ok(Box::new(found.into_iter().map(|(generation, path)| Candidate {
///             bytes: fs::read(&path),
///             deltas: Vec::new(),
///             generation: Some(generation),
///             path,
///         })))
///     }
///
///     fn save(&mut self, save: Save<'_>) -> Result<(), SaveError> {
///         if self.2 {
///             return Err(SaveError::Poisoned { path: self.0.clone() });
///         }
///         let (temp, path) = (self.0.join("temp"), self.0.join(save.generation.to_string()));
///         let written = File::create(&temp).and_then(|mut file| {
///             file.write_all(save.bytes)?;
///             file.sync_all()
///         });
///         written.map_err(|source| SaveError::NotSaved { act: "write", path: temp.clone(), source })?;
///         let named = fs::rename(&temp, &path).and_then(|()| File::open(&self.0)?.sync_all());
///         self.2 = named.is_err();
///         named.map_err(|source| SaveError::InDoubt { act: "rename to", path, source })
///     }
/// }
///
/// let report = store_suite(StoreOptions::default(), open)?;
/// assert!(report.saves > 40 && report.damaged > 100, "{report}");
/// # Ok::<(), repl_harness::suites::StoreViolation>(())
/// ```
/// (It keeps every generation. Removing those before `confirmed` takes three more lines. It offers no
/// base for deltas, so every save is a whole checkpoint.)
pub fn store_suite<S, E>(
    options: StoreOptions,
    mut open: impl FnMut(&Path) -> Result<S, E>,
) -> Result<StoreReport, StoreViolation>
where
    S: CheckpointStore + 'static,
    E: Display,
{
    let mut run = Run {
        options,
        open: &mut |dir| match open(dir) {
            Ok(store) => Ok(Box::new(store)),
            Err(err) => Err(err.to_string()),
        },
        report: StoreReport::default(),
    };
    // Dropping the store may also panic.
    guarded(|| run.all())??;
    Ok(run.report)
}

type AnyStore = Box<dyn CheckpointStore>;

struct Run<'a> {
    options: StoreOptions,
    open: &'a mut dyn FnMut(&Path) -> Result<AnyStore, String>,
    report: StoreReport,
}

impl Run<'_> {
    fn all(&mut self) -> Result<(), StoreViolation> {
        self.fresh()?;
        self.saves()?;
        self.marks()?;
        if self.options.in_files { self.damage() } else { Ok(()) }
    }

    /// A new store holds nothing, keeps its id, and refuses a second open.
    fn fresh(&mut self) -> Result<(), StoreViolation> {
        let dir = directory()?;
        let mut store = self.opened(dir.path())?;
        let id = guarded(|| store.store_id())?;
        let found = Ledger::new(id).load(&mut store)?;
        if !found.is_empty() {
            let what = format!("a new store holds {} checkpoints", found.len());
            return Err(StoreViolation::new(StorePromise::FreshIsEmpty, what));
        }
        if self.options.locks && guarded(|| (self.open)(dir.path()))?.is_ok() {
            let what = "it is opened a second time while the first store is open";
            return Err(StoreViolation::new(StorePromise::OneOwner, what));
        }
        drop(store);
        let store = self.opened(dir.path())?;
        let again = guarded(|| store.store_id())?;
        if again != id {
            let what = format!("its id is {id}, and {again} when it is opened again");
            return Err(StoreViolation::new(StorePromise::IdStays, what));
        }
        Ok(())
    }

    /// Makes many saves of all sizes, and opens the store again after some of them.
    fn saves(&mut self) -> Result<(), StoreViolation> {
        let dir = directory()?;
        let store = self.opened(dir.path())?;
        let mut ledger = Ledger::new(guarded(|| store.store_id())?);
        drop(store);
        let sizes = [Size::Tiny, Size::Large, Size::Small, Size::Tiny, Size::Small, Size::Large];
        let mut sizes = sizes.into_iter().cycle();
        for open in 1..=8 {
            let mut store = self.opened(dir.path())?;
            ledger.check(&mut store, StorePromise::SurvivesReopen)?;
            // A process begins with what the newest checkpoint says, as recovery does.
            let mut confirmed = ledger.confirmed();
            for save in 0..=open {
                // Some numbers are skipped, as after a failed save.
                let generation = ledger.newest() + if save % 3 == 1 { 2 } else { 1 };
                let size = sizes.next().unwrap_or(Size::Tiny);
                ledger.save(&mut store, generation, confirmed, size)?;
                self.report.saves += 1;
                ledger.check(&mut store, StorePromise::SavedIsLoaded)?;
                confirmed = generation;
            }
        }
        let mut store = self.opened(dir.path())?;
        ledger.check(&mut store, StorePromise::SurvivesReopen)
    }

    /// Marks are recovered by one process after the other.
    fn marks(&mut self) -> Result<(), StoreViolation> {
        let broken = |what: String| StoreViolation::new(StorePromise::MarksComeBack, what);
        let dir = directory()?;
        let shards = [ShardId(1), ShardId(2)];
        for process in 0..4_u64 {
            let store = self.opened(dir.path())?;
            let recovered = guarded(|| recover(store, JsonCodec, &shards, OnCorrupt::Fail))?;
            let mut follower = recovered.map_err(|err| broken(err.to_string()))?;
            for shard in shards {
                let found = follower.state.applied_seqno(shard);
                if found != Some(process * 30 * shard.0) {
                    let saved = process * 30 * shard.0;
                    return Err(broken(format!("{saved} was saved, and {found:?} is found")));
                }
            }
            for save in 1..=3 {
                for shard in shards {
                    follower.state.advance(shard, (process * 30 + save * 10) * shard.0);
                }
                let saved = guarded(|| follower.checkpointer.checkpoint(|_| Ok(())))?;
                saved.map_err(|err| broken(err.to_string()))?;
                self.report.saves += 1;
            }
        }
        Ok(())
    }

    fn opened(&mut self, dir: &Path) -> Result<AnyStore, StoreViolation> {
        let refused = |err| StoreViolation::new(StorePromise::Works, format!("the open: {err}"));
        guarded(|| (self.open)(dir))?.map_err(refused)
    }
}

fn directory() -> Result<TempDir, StoreViolation> {
    tempfile::tempdir().map_err(|err| {
        StoreViolation::new(StorePromise::Works, format!("a temporary directory: {err}"))
    })
}

/// Saves a checkpoint; a panic is a broken promise.
fn saved(store: &mut AnyStore, save: Save<'_>) -> Result<(), StoreViolation> {
    let failed = |err| {
        let what = format!("the save of generation {}: {err}", save.generation);
        StoreViolation::new(StorePromise::Works, what)
    };
    guarded(|| store.save(save))?.map_err(failed)
}

/// Calls `call`; a panic is a broken promise.
fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, StoreViolation> {
    caught(call).map_err(|panic| StoreViolation::new(StorePromise::NoPanic, panic))
}
