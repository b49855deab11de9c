//! A disk in memory that records every call and fails the armed one.
//!
//! It loses nothing: this is about failing calls. Power cuts are a matter of the simulated disk.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use repl_checkpoint::{Disk, FileKind};

pub(crate) use super::fault::{Fault, How};

/// Clones share one disk.
#[derive(Clone)]
pub(crate) struct Faulty(Arc<Mutex<Inner>>);

struct Inner {
    dirs: BTreeSet<PathBuf>,
    files: BTreeMap<PathBuf, Vec<u8>>,
    /// The present names of files that are open under an earlier name.
    renamed: BTreeMap<PathBuf, PathBuf>,
    locked: BTreeSet<PathBuf>,
    calls: Vec<String>,
    fault: Option<Fault>,
    /// Armed after the first one is used up.
    next: Option<Fault>,
}

/// An open file or directory.
pub(crate) struct Handle(PathBuf);

pub(crate) struct Lock(PathBuf, Faulty);

impl Drop for Lock {
    fn drop(&mut self) {
        self.1.inner().locked.remove(&self.0);
    }
}

/// How a call is carried out.
enum Turn {
    Do,
    DoThenFail(io::Error),
    Short(usize),
}

impl Faulty {
    /// An empty disk with one directory, `/disk`.
    pub(crate) fn new() -> Self {
        Faulty(Arc::new(Mutex::new(Inner {
            dirs: BTreeSet::from(["/".into(), "/disk".into()]),
            files: BTreeMap::new(),
            renamed: BTreeMap::new(),
            locked: BTreeSet::new(),
            calls: Vec::new(),
            fault: None,
            next: None,
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// A disk of its own with the same directories and files, and nothing open or locked.
    pub(crate) fn copy(&self) -> Self {
        let (copy, inner) = (Faulty::new(), self.inner());
        copy.inner().dirs.clone_from(&inner.dirs);
        copy.inner().files.clone_from(&inner.files);
        copy
    }

    /// Drops the record of calls and arms the fault.
    pub(crate) fn arm(&self, fault: impl Into<Option<Fault>>) {
        let mut inner = self.inner();
        inner.calls.clear();
        inner.fault = fault.into();
        inner.next = None;
    }

    /// Arms a fault for when the first one is used up.
    pub(crate) fn then(&self, fault: Fault) {
        self.inner().next = Some(fault);
    }

    /// Every call since the last [`Faulty::arm`]: a verb and its paths, below `/disk/marks` the
    /// name alone, without the unique part of temporary names.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.inner().calls.clone()
    }

    pub(crate) fn put(&self, path: &str, bytes: &[u8]) {
        self.inner().files.insert(path.into(), bytes.to_vec());
    }

    pub(crate) fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        self.inner().files.get(Path::new(path)).cloned()
    }

    pub(crate) fn mkdir(&self, path: &str) {
        self.inner().dirs.insert(path.into());
    }

    /// The paths of all files except locks and markers.
    pub(crate) fn paths(&self) -> Vec<String> {
        let inner = self.inner();
        let paths = inner.files.keys().map(|p| p.display().to_string());
        paths.filter(|p| !p.contains("/repl-checkpoint.")).collect()
    }

    fn turn(&self, verb: &str, paths: &[&Path]) -> io::Result<Turn> {
        let names: Vec<String> = paths.iter().map(|p| short(p)).collect();
        let call = format!("{verb} {}", names.join(" -> "));
        let mut inner = self.inner();
        if inner.fault.as_ref().is_some_and(|fault| (fault.after, fault.times) == (0, 0)) {
            inner.fault = inner.next.take();
        }
        let fault = inner.fault.as_mut().filter(|f| call.starts_with(f.on));
        let how = fault.and_then(|fault| match (fault.after, fault.times) {
            (0, 0) => None,
            (0, _) => {
                fault.times -= 1;
                Some(fault.how)
            }
            _ => {
                fault.after -= 1;
                None
            }
        });
        inner.calls.push(call);
        match how {
            None => Ok(Turn::Do),
            Some(How::Errno(errno)) => Err(io::Error::from_raw_os_error(errno)),
            Some(How::DoneBut(errno)) => Ok(Turn::DoThenFail(io::Error::from_raw_os_error(errno))),
            Some(How::Short(n)) => Ok(Turn::Short(n)),
        }
    }

    /// Runs `act` unless the call is to fail.
    fn call<T>(
        &self,
        verb: &str,
        paths: &[&Path],
        act: impl FnOnce(&mut Inner) -> io::Result<T>,
    ) -> io::Result<T> {
        let turn = self.turn(verb, paths)?;
        let done = act(&mut self.inner());
        match turn {
            Turn::DoThenFail(err) => Err(err),
            Turn::Do | Turn::Short(_) => done,
        }
    }
}

impl Faulty {
    /// A write, of fewer bytes if the fault says so.
    fn written(
        &self,
        verb: &str,
        file: &Handle,
        bytes: &[u8],
        put: impl FnOnce(&mut Vec<u8>, &[u8]),
    ) -> io::Result<usize> {
        let turn = self.turn(verb, &[&file.0])?;
        let taken = match turn {
            Turn::Short(n) => n.min(bytes.len()),
            Turn::Do | Turn::DoThenFail(_) => bytes.len(),
        };
        let mut inner = self.inner();
        let path = inner.renamed.get(&file.0).unwrap_or(&file.0).clone();
        put(inner.files.get_mut(&path).ok_or_else(not_found)?, &bytes[..taken]);
        match turn {
            Turn::DoThenFail(err) => Err(err),
            Turn::Do | Turn::Short(_) => Ok(taken),
        }
    }
}

fn short(path: &Path) -> String {
    let full = path.display().to_string();
    let name = full.strip_prefix("/disk/marks/").unwrap_or(&full);
    name.split_inclusive(".temp").next().unwrap_or(name).to_owned()
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk for Faulty {
    type File = Handle;
    type Dir = Handle;
    type Lock = Lock;

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.call("create_dir", &[path], |disk| {
            match path.parent().is_some_and(|p| disk.dirs.contains(p)) {
                true if disk.dirs.insert(path.into()) => Ok(()),
                true => Err(io::ErrorKind::AlreadyExists.into()),
                false => Err(not_found()),
            }
        })
    }

    fn open_dir(&self, path: &Path) -> io::Result<Handle> {
        self.call("open_dir", &[path], |disk| {
            let there = disk.dirs.get(path).ok_or_else(not_found)?;
            Ok(Handle(there.clone()))
        })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        self.call("list", &[dir], |disk| {
            let inside = disk.files.keys().chain(&disk.dirs);
            let inside = inside.filter(|p| p.parent() == Some(dir));
            Ok(inside.filter_map(|p| p.file_name().map(Into::into)).collect())
        })
    }

    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        self.call("kind", &[path], |disk| {
            if disk.dirs.contains(path) {
                Ok(FileKind::Dir)
            } else if disk.files.contains_key(path) {
                Ok(FileKind::File)
            } else {
                Err(not_found())
            }
        })
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        self.call("length", &[path], |disk| {
            disk.files.get(path).map(|bytes| bytes.len() as u64).ok_or_else(not_found)
        })
    }

    fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.call("read_at", &[path], |disk| {
            let bytes = disk.files.get(path).ok_or_else(not_found)?;
            let from = bytes.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
            Ok(from[..length.min(from.len())].to_vec())
        })
    }

    fn temp_number(&self) -> u64 {
        u64::from(std::process::id())
    }

    fn create_new(&self, path: &Path) -> io::Result<Handle> {
        self.call("create_new", &[path], |disk| {
            if disk.files.contains_key(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            disk.files.insert(path.into(), Vec::new());
            disk.renamed.remove(path);
            Ok(Handle(path.into()))
        })
    }

    fn write(&self, file: &mut Handle, bytes: &[u8]) -> io::Result<usize> {
        self.written("write", file, bytes, Vec::extend_from_slice)
    }

    fn sync_file(&self, file: &Handle) -> io::Result<()> {
        self.call("sync_file", &[&file.0], |_| Ok(()))
    }

    fn write_at(&self, file: &Handle, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let verb = format!("write_at {offset}+{} of", bytes.len());
        let start = usize::try_from(offset).unwrap();
        self.written(&verb, file, bytes, |content, bytes| {
            content[start..start + bytes.len()].copy_from_slice(bytes);
        })
    }

    fn sync_data(&self, file: &Handle) -> io::Result<()> {
        self.call("sync_data", &[&file.0], |_| Ok(()))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call("rename", &[from, to], |disk| {
            let content = disk.files.remove(from).ok_or_else(not_found)?;
            disk.files.insert(to.into(), content);
            disk.renamed.insert(from.into(), to.into());
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Handle) -> io::Result<()> {
        self.call("sync_dir", &[&dir.0], |_| Ok(()))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call("remove", &[path], |disk| {
            disk.files.remove(path).map(|_| ()).ok_or_else(not_found)
        })
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Lock>> {
        let free = self.call("try_lock", &[path], |disk| {
            disk.files.entry(path.into()).or_default();
            Ok(disk.locked.insert(path.into()))
        })?;
        Ok(free.then(|| Lock(path.into(), self.clone())))
    }

    fn lock_is_at(&self, _: &Lock, path: &Path) -> io::Result<bool> {
        self.call("lock_is_at", &[path], |disk| Ok(disk.files.contains_key(path)))
    }

    fn dir_is_at(&self, _: &Handle, path: &Path) -> io::Result<bool> {
        self.call("dir_is_at", &[path], |disk| Ok(disk.dirs.contains(path)))
    }

    fn file_is_at(&self, _: &Handle, path: &Path) -> io::Result<bool> {
        self.call("file_is_at", &[path], |disk| Ok(disk.files.contains_key(path)))
    }
}
