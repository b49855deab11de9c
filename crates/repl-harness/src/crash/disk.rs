//! A disk in memory that forgets what a real one may forget.

mod calls;
mod content;
mod dir;
mod file;
mod left;
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use self::content::{Content, hash_bytes, hash128};
pub(crate) use self::dir::Ino;
pub(crate) use self::file::{FileNode, SECTOR};
pub use self::left::{Entry, Left, NotLeft, Tree, tree_below};
pub(crate) use self::state::{State, is_temp};
use super::fault::{Fault, How};

/// A disk in memory, with the cache that an operating system keeps above it. Clones share it.
///
/// It does what it is told, and knows at every instant what a power cut would leave: see
/// [`SimDisk::after_power_cut`]. docs/crash-model.md has the whole model.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<Shared>>);

struct Shared {
    state: State,
    locked: BTreeSet<Ino>,
    calls: Vec<Call>,
    fault: Option<Fault>,
    fired: bool,
    /// What the disk was before each call, where somebody wants to know.
    before: Option<Vec<State>>,
}

/// One call: a verb and the path it was made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The method of [`Disk`](repl_checkpoint::Disk).
    pub verb: &'static str,
    /// Its first path.
    pub path: PathBuf,
    /// How it was made to fail, if it was.
    pub fault: Option<How>,
}

/// A file open for writing.
#[derive(Debug, Clone)]
pub struct SimFile(Ino, PathBuf);

/// A directory kept open.
#[derive(Debug, Clone)]
pub struct SimDir(Ino, PathBuf);

/// A lock: free again once it is dropped.
pub struct SimLock(Ino, SimDisk);

impl SimDir {
    /// Whether it was opened at this path.
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        self.1 == path
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.1.shared().locked.remove(&self.0);
    }
}

impl Default for SimDisk {
    fn default() -> Self {
        SimDisk::new()
    }
}

impl SimDisk {
    /// A disk with an empty root directory.
    pub fn new() -> Self {
        SimDisk::of(State::new())
    }

    /// A disk as a new process finds it.
    pub(crate) fn of(state: State) -> Self {
        SimDisk(Arc::new(Mutex::new(Shared {
            state,
            locked: BTreeSet::new(),
            calls: Vec::new(),
            fault: None,
            fired: false,
            before: None,
        })))
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state(&self) -> State {
        self.shared().state.clone()
    }

    /// Makes one of the calls from now on fail, the first of which is number 0, or all from it on.
    pub fn fail(&self, fault: Option<Fault>) {
        let mut shared = self.shared();
        shared.calls.clear();
        shared.fault = fault;
        shared.fired = false;
    }

    /// Whether the call that was to fail has been made.
    pub fn has_failed(&self) -> bool {
        self.shared().fired
    }

    /// The calls since the last [`SimDisk::fail`].
    pub fn calls(&self) -> Vec<Call> {
        self.shared().calls.clone()
    }

    pub(crate) fn call_count(&self) -> usize {
        self.shared().calls.len()
    }

    pub(crate) fn record(&self) {
        self.shared().before = Some(Vec::new());
    }

    /// The disk before each call since [`SimDisk::record`], and as it is now.
    pub(crate) fn recorded(&self) -> Vec<State> {
        let mut shared = self.shared();
        let mut states = shared.before.take().unwrap_or_default();
        states.push(shared.state.clone());
        states
    }

    /// A disk that has gone its own way from now on, with the same locks held.
    #[must_use]
    pub fn fork(&self) -> SimDisk {
        let fork = SimDisk::of(self.state());
        let locked = self.shared().locked.clone();
        fork.shared().locked = locked;
        fork
    }

    /// The same disk and cache, with no process left that has a lock or an open file.
    #[must_use]
    pub fn after_process_death(&self) -> SimDisk {
        SimDisk::of(self.state())
    }

    /// Every disk that a power cut may leave, each different. `None` where more than twelve changes
    /// of one directory are pending. Grows with the product of what each unsynced sector may be
    /// left as: for small files.
    pub fn after_power_cut(&self) -> Option<Vec<SimDisk>> {
        let all = |file: &FileNode, _| {
            Arc::new(file.after_power_cut().into_iter().map(|content| (content, 1)).collect())
        };
        let images = self.state().after_power_cut(&all).ok()?;
        let key = |image: &State| image.key(&|file, _| file.key(Content::hash));
        let distinct: BTreeMap<u128, State> =
            images.into_iter().map(|(image, _)| (key(&image), image)).collect();
        Some(distinct.into_values().map(SimDisk::of).collect())
    }

    /// Every file that is seen, by its path.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let files = self.state().files().into_iter();
        files.map(|(path, content)| (path, content.bytes().to_vec())).collect()
    }

    /// Puts bytes at a path behind everybody's back, durable at once.
    ///
    /// # Errors
    /// Where the directory is missing.
    pub fn put(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.shared().state.put(path, bytes.to_vec())
    }

    /// Does what `act` does unless the call is to fail.
    fn call<T>(
        &self,
        verb: &'static str,
        path: &Path,
        act: impl FnOnce(&mut Shared, Option<How>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut shared = self.shared();
        let shared = &mut *shared;
        let fault = shared.fault.and_then(|fault| fault.of(shared.calls.len()));
        shared.fired |= fault.is_some();
        if let Some(before) = &mut shared.before {
            before.push(shared.state.clone());
        }
        shared.calls.push(Call { verb, path: path.to_owned(), fault });
        match fault {
            Some(How::Errno(errno)) => Err(io::Error::from_raw_os_error(errno)),
            Some(How::DoneBut(errno)) => {
                act(shared, None)?;
                Err(io::Error::from_raw_os_error(errno))
            }
            how => act(shared, how),
        }
    }

    /// Opens an existing file, to write in place.
    ///
    /// # Errors
    /// Where there is none, or the call is made to fail.
    pub fn open_write(&self, path: &Path) -> io::Result<SimFile> {
        self.call("open_write", path, |disk, _| {
            let ino = disk.state.find(path)?;
            disk.state.file(ino)?;
            Ok(SimFile(ino, path.to_owned()))
        })
    }
}

impl Shared {
    fn write(
        &mut self,
        ino: Ino,
        offset: impl FnOnce(&FileNode) -> usize,
        bytes: &[u8],
        how: Option<How>,
    ) -> io::Result<usize> {
        let taken = match how {
            Some(How::Short(most)) => most.min(bytes.len()),
            _ => bytes.len(),
        };
        let file = self.state.file_mut(ino)?;
        let at = offset(file);
        file.write_at(at, &bytes[..taken]);
        Ok(taken)
    }

    fn sync(&mut self, ino: Ino, how: Option<How>) -> io::Result<()> {
        let file = self.state.file_mut(ino)?;
        if let Some(How::SyncLost { errno, cache_survives }) = how {
            file.fail_sync(cache_survives);
            return Err(io::Error::from_raw_os_error(errno));
        }
        file.sync();
        Ok(())
    }
}
