//! The checkpoint files of a directory, beside a store that adds and removes some.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use repl_core::Snapshot;

use super::examine::Identity;
use super::{Survey, Surveyed, failed};
use crate::directory::names::{checkpoint_file, generations_in};
use crate::disk::{Disk, FileKind, OsDisk};
use crate::ids::Generation;
use crate::reading::read_checkpoint;
use crate::slot_store::Location;
use crate::store::{Candidate, LoadError};

/// The number of times that files may be gone when they are read, before those are passed over.
const TRIES: usize = 1000;

/// What was checked so far. A file never changes once it has its name, so none is read twice.
#[derive(Default)]
struct Checked {
    identity: Option<Identity>,
    found: BTreeMap<Generation, Surveyed>,
    newest: Option<(Generation, Arc<Snapshot>)>,
}

/// Checks every checkpoint file in a directory.
pub(super) fn survey(dir: &Path) -> Result<Survey, LoadError> {
    let mut checked = Checked::default();
    for left in (0..TRIES).rev() {
        let names = OsDisk.list(dir).map_err(failed("list", dir))?;
        let mut generations = generations_in(&names);
        generations.sort_unstable_by(|a, b| b.cmp(a));
        checked.found.retain(|generation, _| generations.contains(generation));
        if checked.add(dir, &generations)? || left == 0 {
            break;
        }
    }
    Ok(checked.survey())
}

/// Checks one file, whatever its name is.
pub(super) fn survey_one(path: &Path) -> Result<Survey, LoadError> {
    let mut checked = Checked { identity: Identity::at(path, 0), ..Checked::default() };
    if !checked.read(0, path, None) {
        return Err(failed("read", path)(io::ErrorKind::NotFound.into()));
    }
    Ok(checked.survey())
}

impl Checked {
    /// Checks the files that were not checked yet, the newest first. Returns whether all were there.
    fn add(&mut self, dir: &Path, generations: &[Generation]) -> Result<bool, LoadError> {
        let path = |generation: &Generation| dir.join(checkpoint_file(*generation));
        if self.identity.is_none() {
            self.identity = generations.iter().find_map(|g| Identity::at(&path(g), 0));
        }
        let mut is_all = true;
        for generation in generations {
            if self.found.contains_key(generation) {
                continue;
            }
            let path = path(generation);
            match OsDisk.kind(&path).map(FileKind::unless_file) {
                Ok(None) => is_all &= self.read(*generation, &path, Some(*generation)),
                Ok(Some(found)) => return Err(LoadError::NotAFile { path, found }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => is_all = false,
                Err(error) => return Err(failed("look at", &path)(error)),
            }
        }
        Ok(is_all)
    }

    /// Checks a file, and one that is damaged twice: it may have been replaced while it was read.
    /// Returns whether it was there.
    fn read(&mut self, key: Generation, path: &Path, expected: Option<Generation>) -> bool {
        for is_last in [false, true] {
            let bytes = read_checkpoint(&OsDisk, path);
            if bytes.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
                return false;
            }
            let (path, generation, deltas) = (path.to_owned(), expected, Vec::new());
            let candidate = Candidate { path, generation, bytes, deltas };
            let identity = self.identity.as_ref();
            let (found, marks) = Identity::examine(identity, candidate, &Location::default());
            if found.checked.is_err() && !is_last {
                continue;
            }
            if let Some(marks) = marks
                && self.newest.as_ref().is_none_or(|(newest, _)| *newest < key)
            {
                self.newest = Some((key, marks));
            }
            self.found.insert(key, found);
            break;
        }
        true
    }

    fn survey(self) -> Survey {
        let (store, codec) = self.identity.map(|found| (found.store, found.codec)).unzip();
        // That generation may be gone, and a newer one damaged.
        let whole = self.found.iter().rev().find(|(_, found)| found.checked.is_ok());
        let is_newest = |(generation, _): &(Generation, _)| Some(generation) == whole.map(|w| w.0);
        let newest = self.newest.filter(is_newest).map(|(_, marks)| marks);
        Survey { store, codec, found: self.found.into_values().rev().collect(), newest }
    }
}
