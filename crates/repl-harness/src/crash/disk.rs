//! A disk in memory that loses what a real disk may lose.

mod calls;
mod content;
mod dir;
mod file;
mod image;
mod shared;
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

pub(crate) use self::content::{Content, hash_bytes, hash128};
pub(crate) use self::dir::Ino;
pub(crate) use self::file::{FileNode, SECTOR};
pub use self::image::{Entry, ImageStats, NotAnImage, Tree, read_tree};
pub(crate) use self::state::State;
use super::fault::{Fault, FaultKind};
use crate::locked::locked;

/// A disk in memory with the cache of an operating system. Clones share it.
///
/// [`SimDisk::after_power_cut`] returns what a power cut may leave at any instant.
/// docs/crash-model.md describes the model.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<Shared>>);

struct Shared {
    state: State,
    locked: BTreeSet<Ino>,
    calls: Vec<Call>,
    fault: Option<Fault>,
    fired: bool,
    /// The disk before each call, if it is recorded.
    before: Option<Vec<State>>,
    /// What runs before a call, and the number of that call.
    hook: Option<(usize, Hook)>,
}

type Hook = Box<dyn FnOnce(&SimDisk) + Send>;

/// One call to a [`SimDisk`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The method of [`Disk`](repl_checkpoint::Disk).
    pub verb: &'static str,
    /// The first path that it was given.
    pub path: PathBuf,
    /// The way in which it was made to fail, if it was.
    pub fault: Option<FaultKind>,
}

/// A file open for writing.
#[derive(Debug, Clone)]
pub struct SimFile(Ino, PathBuf);

/// An open directory.
#[derive(Debug, Clone)]
pub struct SimDir(Ino, PathBuf);

/// A lock, released on drop.
pub struct SimLock(Ino, SimDisk);

impl SimFile {
    /// The path at which it was created or opened.
    pub(crate) fn path(&self) -> &Path {
        &self.1
    }
}

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
    /// Creates a disk with an empty root directory.
    pub fn new() -> Self {
        SimDisk::of(State::new())
    }

    /// Creates a disk in this state, without locks.
    pub(crate) fn of(state: State) -> Self {
        SimDisk(Arc::new(Mutex::new(Shared {
            state,
            locked: BTreeSet::new(),
            calls: Vec::new(),
            fault: None,
            fired: false,
            before: None,
            hook: None,
        })))
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        locked(&self.0)
    }

    pub(crate) fn state(&self) -> State {
        self.shared().state.clone()
    }

    /// Sets the fault of the calls from now on, and clears the list of calls. The next call has
    /// number 0.
    pub fn fail(&self, fault: Option<Fault>) {
        let mut shared = self.shared();
        shared.calls.clear();
        shared.fault = fault;
        shared.fired = false;
    }

    /// Returns whether a call has failed because of the fault.
    pub fn has_failed(&self) -> bool {
        self.shared().fired
    }

    /// Whether a call from this number on has failed because of the fault.
    pub(crate) fn has_failed_since(&self, calls: usize) -> bool {
        self.shared().calls.iter().skip(calls).any(|call| call.fault.is_some())
    }

    /// Returns the calls since the last [`SimDisk::fail`].
    pub fn calls(&self) -> Vec<Call> {
        self.shared().calls.clone()
    }

    pub(crate) fn call_count(&self) -> usize {
        self.shared().calls.len()
    }

    /// Runs `hook` before the call with this number. It may make calls of its own.
    pub(crate) fn before_call(&self, call: usize, hook: impl FnOnce(&SimDisk) + Send + 'static) {
        self.shared().hook = Some((call, Box::new(hook)));
    }

    /// Removes a file, durably, if it is there. This is not a recorded call.
    pub(crate) fn lose(&self, path: &Path) {
        let mut shared = self.shared();
        if shared.state.remove(path).is_ok() {
            shared.state.settle_dir(path);
        }
    }

    /// Renames a copy over a file, and the new name is not durable. This is not a recorded call.
    pub(crate) fn rename_copy_over(&self, path: &Path) {
        self.shared().state.rename_copy_over(path);
    }

    /// Replaces a directory by a new one with one of its files, durably. This is not a recorded
    /// call.
    pub(crate) fn replace_dir(&self, dir: &Path, kept: &Path) {
        self.shared().state.replace_dir(dir, kept);
    }

    /// Replaces a directory durably by a new one with all of its files, whose names there are not
    /// durable. This is not a recorded call.
    pub(crate) fn move_into_new_dir(&self, dir: &Path) {
        self.shared().state.move_into_new_dir(dir);
    }

    pub(crate) fn record(&self) {
        self.shared().before = Some(Vec::new());
    }

    /// The disk before each call since [`SimDisk::record`], and now.
    pub(crate) fn recorded(&self) -> Vec<State> {
        let mut shared = self.shared();
        let mut states = shared.before.take().unwrap_or_default();
        states.push(shared.state.clone());
        states
    }

    /// Copies the disk, with the same locks held. The copies share nothing.
    #[must_use]
    pub fn fork(&self) -> SimDisk {
        let fork = SimDisk::of(self.state());
        let locked = self.shared().locked.clone();
        fork.shared().locked = locked;
        fork
    }

    /// Copies disk and cache without any lock, as a process death leaves them.
    #[must_use]
    pub fn after_process_death(&self) -> SimDisk {
        SimDisk::of(self.state())
    }

    /// Returns every disk that a power cut may leave, each once.
    ///
    /// `None` if more than twelve changes of one directory are pending. The number of images is the
    /// product of the states of every unsynced sector: keep files small.
    pub fn after_power_cut(&self) -> Option<Vec<SimDisk>> {
        self.images(|file, _| file.after_power_cut())
    }

    /// As [`SimDisk::after_power_cut`], but with one content of each file that no process reads.
    pub(crate) fn after_power_cut_to_read(&self) -> Option<Vec<SimDisk>> {
        self.images(
            |file, is_unread| {
                if is_unread { vec![file.cached().clone()] } else { file.after_power_cut() }
            },
        )
    }

    fn images(&self, contents: impl Fn(&FileNode, bool) -> Vec<Content>) -> Option<Vec<SimDisk>> {
        let all = |file: &FileNode, is_unread| {
            Arc::new(contents(file, is_unread).into_iter().map(|content| (content, 1)).collect())
        };
        let images = self.state().after_power_cut(&all).ok()?;
        let key = |image: &State| image.key(&|file, _| file.key(Content::hash));
        let distinct: BTreeMap<u128, State> =
            images.into_iter().map(|(image, _)| (key(&image), image)).collect();
        Some(distinct.into_values().map(SimDisk::of).collect())
    }

    /// Returns the cached bytes of every file, by path.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let files = self.state().files().into_iter();
        files.map(|(path, content)| (path, content.bytes().to_vec())).collect()
    }

    /// Creates or replaces a file, durable at once. This is not a recorded call.
    ///
    /// # Errors
    /// If the directory is missing.
    pub fn put(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.shared().state.put(path, bytes.to_vec())
    }

    /// Records a call and runs `act`, unless the call is made to fail.
    fn call<T>(
        &self,
        verb: &'static str,
        path: &Path,
        act: impl FnOnce(&mut Shared, Option<FaultKind>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut shared = self.shared();
        let number = shared.calls.len();
        if let Some((_, hook)) = shared.hook.take_if(|(call, _)| *call == number) {
            drop(shared);
            hook(self);
            shared = self.shared();
        }
        let shared = &mut *shared;
        let fault = shared.fault.and_then(|fault| fault.of(shared.calls.len()));
        shared.fired |= fault.is_some();
        if let Some(before) = &mut shared.before {
            before.push(shared.state.clone());
        }
        shared.calls.push(Call { verb, path: path.to_owned(), fault });
        match fault {
            Some(FaultKind::Errno(errno)) => Err(io::Error::from_raw_os_error(errno)),
            Some(FaultKind::DoneBut(errno)) => {
                act(shared, None)?;
                Err(io::Error::from_raw_os_error(errno))
            }
            how => act(shared, how),
        }
    }

    /// Opens an existing file for writing in place.
    ///
    /// # Errors
    /// If there is no such file, or the call is made to fail.
    pub fn open_write(&self, path: &Path) -> io::Result<SimFile> {
        self.call("open_write", path, |disk, _| {
            let ino = disk.state.find(path)?;
            disk.state.file(ino)?;
            Ok(SimFile(ino, path.to_owned()))
        })
    }
}
