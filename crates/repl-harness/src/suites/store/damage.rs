//! Damage to the files of a store.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use repl_checkpoint::Candidate;

use super::ledger::{Ledger, Size};
use super::{Run, StorePromise, StoreViolation, directory, guarded};

/// The greatest number of places of a file that are all tried.
const MOST: usize = 250;

/// The files below a directory, by relative path.
type Tree = BTreeMap<PathBuf, Vec<u8>>;

impl Run<'_> {
    /// Damages each file in every way, and checks what is loaded.
    pub(super) fn damage(&mut self) -> Result<(), StoreViolation> {
        let dir = directory()?;
        let mut store = self.opened(dir.path())?;
        let mut ledger = Ledger::new(guarded(|| store.store_id())?);
        for generation in 1..=5 {
            ledger.save(&mut store, generation, generation - 1, Size::Small)?;
            self.report.saves += 1;
        }
        drop(store);
        let tree = read(dir.path()).map_err(|err| failed(&err))?;
        if tree.values().all(Vec::is_empty) {
            let what = "`in_files` is set, and there is no file below its directory";
            return Err(StoreViolation::new(StorePromise::Works, what));
        }
        for (path, bytes) in tree.iter().filter(|(_, bytes)| !bytes.is_empty()) {
            let others = tree.iter().filter(|(other, _)| *other != path);
            for (how, damaged) in damaged(bytes, others.map(|(_, bytes)| bytes.as_slice())) {
                let mut image = tree.clone();
                let is_gone = damaged.is_none();
                match damaged {
                    Some(bytes) => image.insert(path.clone(), bytes),
                    None => image.remove(path),
                };
                self.report.damaged += 1;
                self.after_damage(&image, &ledger, is_gone)
                    .map_err(|broken| broken.after(format!("{}: {how}", path.display())))?;
            }
        }
        Ok(())
    }

    fn after_damage(
        &mut self,
        image: &Tree,
        ledger: &Ledger,
        is_gone: bool,
    ) -> Result<(), StoreViolation> {
        let dir = directory()?;
        write(dir.path(), image).map_err(|err| failed(&err))?;
        // An error reports the damage.
        let Ok(mut store) = guarded(|| (self.open)(dir.path()))? else { return Ok(()) };
        let loaded = guarded(|| store.load().map(Iterator::collect::<Vec<_>>))?;
        let Ok(found) = loaded else { return Ok(()) };
        let forged = |bytes: &&Vec<u8>| ledger.is_forged(bytes);
        if let Some(bytes) = found.iter().filter_map(|c| c.bytes.as_ref().ok()).find(forged) {
            let what = format!("{} bytes are accepted that were not saved", bytes.len());
            return Err(StoreViolation::new(StorePromise::NothingUnsaved, what));
        }
        // Bytes that are refused report the damage, and so does another generation.
        let whole = |candidate: &Candidate| {
            let generation = ledger.opened(candidate.bytes.as_ref().ok()?).ok()?;
            candidate.generation.is_none_or(|reported| reported == generation).then_some(generation)
        };
        let older = match found.first() {
            Some(first) => whole(first).filter(|generation| *generation < ledger.newest()),
            None => Some(0),
        };
        match older {
            // A file that is gone cannot be detected.
            Some(generation) if !is_gone => {
                let what = format!("{generation} is found, but {} was saved", ledger.newest());
                Err(StoreViolation::new(StorePromise::DamageIsReported, what))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// Every damaged version of a file; `None` for a file that is gone.
fn damaged<'a>(
    bytes: &[u8],
    others: impl Iterator<Item = &'a [u8]>,
) -> Vec<(String, Option<Vec<u8>>)> {
    let places = (0..bytes.len()).step_by(bytes.len() / MOST + 1);
    let flip = |at: usize| {
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 1 << (at % 8);
        (format!("bit {} of byte {at} flips", at % 8), Some(flipped))
    };
    let cut = |length: usize| (format!("cut to {length}"), Some(bytes[..length].to_vec()));
    let mut all: Vec<_> = places.clone().map(flip).chain(places.step_by(3).map(cut)).collect();
    for byte in [0, b'\n', 0xff] {
        all.push((format!("{byte:#x} follows"), Some([bytes, &[byte]].concat())));
    }
    all.push(("it is repeated".to_owned(), Some([bytes, bytes].concat())));
    all.push(("zeros".to_owned(), Some(vec![0; bytes.len()])));
    for other in others {
        all.push(("another file's bytes".to_owned(), Some(other.to_vec())));
    }
    all.push(("it is gone".to_owned(), None));
    all.retain(|(_, damaged)| damaged.as_deref() != Some(bytes));
    all
}

fn failed(err: &io::Error) -> StoreViolation {
    StoreViolation::new(StorePromise::Works, format!("the suite's own files: {err}"))
}

fn read(dir: &Path) -> io::Result<Tree> {
    let mut tree = Tree::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(&at)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_dir() {
                todo.push(path);
            } else if kind.is_file() {
                let bytes = fs::read(&path)?;
                tree.insert(path.strip_prefix(dir).unwrap_or(&path).to_owned(), bytes);
            }
        }
    }
    Ok(tree)
}

fn write(dir: &Path, tree: &Tree) -> io::Result<()> {
    for (path, bytes) in tree {
        let path = dir.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, bytes)?;
    }
    Ok(())
}
