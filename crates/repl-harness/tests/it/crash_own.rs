//! The enumeration accepts and rejects stores of other crates.

use std::cmp::Reverse;
use std::io;
use std::path::{Path, PathBuf};

use repl_checkpoint::{
    Candidate, Candidates, CheckpointStore, Disk, LoadError, OpenStoreError, Save, SaveError,
    StoreId,
};
use repl_harness::crash::{Config, Invariant, OpenStore, SimDisk, SimLock, StoreKind, explore_own};

/// A store with one file per generation that never removes any.
struct Own<const WRONG: char> {
    disk: SimDisk,
    dir: PathBuf,
    id: StoreId,
    _lock: SimLock,
    in_doubt: bool,
}

fn open<const WRONG: char>(
    disk: SimDisk,
    dir: &Path,
    id: StoreId,
) -> Result<Box<dyn CheckpointStore>, OpenStoreError> {
    let failed = |source| OpenStoreError::Io { act: "open", path: dir.to_owned(), source };
    let up = [dir.parent(), Some(dir)];
    let sync = |path: &Path| disk.sync_dir(&disk.open_dir(path)?);
    for new in up.into_iter().flatten() {
        match disk.create_dir(new) {
            Err(err) if err.kind() != io::ErrorKind::AlreadyExists => return Err(failed(err)),
            _ => new.parent().map_or(Ok(()), sync).map_err(failed)?,
        }
    }
    let lock = disk.try_lock(&dir.join("lock")).map_err(failed)?;
    let lock = lock.ok_or_else(|| OpenStoreError::Locked { path: dir.to_owned() })?;
    let temp = dir.join("new");
    match disk.remove(&temp) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(failed(err)),
        _ => {}
    }
    Ok(Box::new(Own::<WRONG> { disk, dir: dir.to_owned(), id, _lock: lock, in_doubt: false }))
}

impl<const WRONG: char> Own<WRONG> {
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.disk.create_new(path)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.disk.write(&mut file, rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(taken) => rest = &rest[taken..],
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(err) => return Err(err),
            }
        }
        if WRONG == 'f' { Ok(()) } else { self.disk.sync_file(&file) }
    }

    fn publish(&self, temp: &Path, path: &Path) -> io::Result<()> {
        self.disk.rename(temp, path)?;
        if WRONG == 'd' { Ok(()) } else { self.disk.sync_dir(&self.disk.open_dir(&self.dir)?) }
    }
}

impl<const WRONG: char> CheckpointStore for Own<WRONG> {
    fn store_id(&self) -> StoreId {
        self.id
    }

    fn load(&mut self) -> Result<Candidates<'_>, LoadError> {
        let names = self.disk.list(&self.dir).map_err(|err| LoadError::Store(err.into()))?;
        let number = |name: &std::ffi::OsString| name.to_str()?.parse::<u64>().ok();
        let mut all: Vec<u64> = names.iter().filter_map(number).collect();
        all.sort_by_key(|generation| Reverse(*generation));
        let candidate = move |generation: u64| {
            let path = self.dir.join(generation.to_string());
            let bytes = self.disk.read_at(&path, 0, usize::MAX);
            Candidate { path, generation: Some(generation), bytes, deltas: Vec::new() }
        };
        Ok(Box::new(all.into_iter().map(candidate)))
    }

    fn save(&mut self, save: Save<'_>) -> Result<(), SaveError> {
        if self.in_doubt {
            return Err(SaveError::Poisoned { path: self.dir.clone() });
        }
        let (temp, path) = (self.dir.join("new"), self.dir.join(save.generation.to_string()));
        if let Err(source) = self.write(&temp, save.bytes) {
            // A leftover file would block the next save.
            let _ = self.disk.remove(&temp);
            return Err(SaveError::NotSaved { act: "write", path: temp, source });
        }
        self.in_doubt = WRONG != 'n';
        if let Err(source) = self.publish(&temp, &path) {
            if WRONG == 'n' {
                let _ = self.disk.remove(&temp);
                return Err(SaveError::NotSaved { act: "rename to", path, source });
            }
            return Err(SaveError::InDoubt { act: "rename to", path, source });
        }
        self.in_doubt = false;
        Ok(())
    }
}

/// Two processes that save and a third that recovers. A save takes one sector.
const SMALL: Config = Config {
    store: StoreKind::Files,
    saves: 2,
    later_saves: 1,
    shards: 2,
    completed: [0; 3],
    moved: [0; 8],
    turns: [usize::MAX; 3],
    lengths: [0; 3],
    deltas: [0; 3],
    crashes: 2,
    faults: 1,
    stride: 1,
    threads: 2,
    sector: 512,
    prune: true,
};

#[test]
fn a_correct_store_of_another_crate_passes() {
    let report = explore_own(&SMALL, open::<' '>, |_| ());
    assert!(report.violation.is_none(), "{report}");
    assert!(report.images > 1000 && report.not_enumerated == 0, "{report}");
}

#[test]
fn a_wrong_store_of_another_crate_is_caught() {
    let wrong = [
        (open::<'f'> as OpenStore, Invariant::RecoverySucceeds),
        (open::<'d'>, Invariant::AcknowledgedSurvives),
        (open::<'n'>, Invariant::NotSavedIsAbsent),
    ];
    for (open, expected) in wrong {
        let violation = explore_own(&SMALL, open, |_| ()).violation.unwrap();
        assert_eq!(violation.invariant, expected, "{violation}");
    }
}
