//! The real disk, with every call told on a pipe.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use repl_checkpoint::{Disk, FileKind, OsDir, OsDisk, OsLock};

use super::event::{Act, Event, Made, Pipe, now};

/// What is done wrong between the store and the disk, so that it must be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// New files are not synced.
    NoFileSync,
    /// Writes in place are not synced.
    NoDataSync,
    /// The store's directory is not synced.
    NoDirSync,
    /// No file is synced, and the pipe is told that it was: no promise of the store need be broken,
    /// but what is found is not what the simulated disk may leave.
    Liar,
}

impl Wrong {
    /// All of them.
    pub const ALL: &[Wrong] =
        &[Wrong::NoFileSync, Wrong::NoDataSync, Wrong::NoDirSync, Wrong::Liar];

    /// What is done wrong.
    pub fn about(self) -> &'static str {
        match self {
            Wrong::NoFileSync => "files are not synced",
            Wrong::NoDataSync => "writes in place are not synced",
            Wrong::NoDirSync => "the store's directory is not synced",
            Wrong::Liar => "syncs are told that were not made",
        }
    }

    /// The one that is named so.
    pub fn named(name: &str) -> Option<Wrong> {
        Wrong::ALL.iter().copied().find(|wrong| format!("{wrong:?}") == name)
    }
}

/// [`OsDisk`] under watch.
pub(super) struct Logged {
    pipe: Pipe,
    /// The directory that the simulated disk has for its root.
    root: PathBuf,
    wrong: Option<Wrong>,
    files: AtomicU32,
}

impl Logged {
    pub(super) fn new(pipe: Pipe, root: &Path, wrong: Option<Wrong>) -> Self {
        Logged { pipe, root: root.to_owned(), wrong, files: AtomicU32::new(0) }
    }

    /// As the filesystem knows the path; `None` for one outside of it.
    fn inside(&self, path: &Path) -> Option<PathBuf> {
        path.strip_prefix(&self.root).ok().map(|path| Path::new("/").join(path))
    }

    fn on(&self, path: &Path, verb: &str, act: impl FnOnce(PathBuf) -> Act) -> Act {
        self.inside(path).map_or_else(|| Act::Look(verb.to_owned()), act)
    }

    /// Makes a call and tells it.
    fn call<T>(
        &self,
        bytes: &[u8],
        call: impl FnOnce() -> io::Result<T>,
        act: impl FnOnce(Option<&T>) -> Act,
    ) -> io::Result<T> {
        let began = now();
        let result = call();
        let ended = now();
        let failed = result.as_ref().err();
        let answers = failed.is_some_and(|err| {
            matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists)
        });
        let act = act(result.as_ref().ok());
        let made = Made { act, failed: failed.map(ToString::to_string), answers, began, ended };
        self.pipe.tell(&Event::Call(made), bytes)?;
        result
    }

    fn look<T>(&self, verb: &str, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.call(&[], call, |_| Act::Look(verb.to_owned()))
    }

    fn sync(
        &self,
        left_out: Wrong,
        call: impl FnOnce() -> io::Result<()>,
        act: Act,
    ) -> io::Result<()> {
        match self.wrong {
            Some(wrong) if wrong == left_out => Ok(()),
            Some(Wrong::Liar) => self.call(&[], || Ok(()), |_| act),
            _ => self.call(&[], call, |_| act),
        }
    }
}

impl Disk for Logged {
    type File = (File, u32);
    type Dir = (OsDir, PathBuf);
    type Lock = OsLock;

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let act = self.on(path, "create_dir", Act::CreateDir);
        self.call(&[], || OsDisk.create_dir(path), |_| act)
    }

    fn open_dir(&self, path: &Path) -> io::Result<Self::Dir> {
        let dir = self.look("open_dir", || OsDisk.open_dir(path))?;
        Ok((dir, path.to_owned()))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        self.look("list", || OsDisk.list(dir))
    }

    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        self.look("kind", || OsDisk.kind(path))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.look("read", || OsDisk.read(path))
    }

    fn create_new(&self, path: &Path) -> io::Result<Self::File> {
        let number = self.files.fetch_add(1, Relaxed);
        let act = self.on(path, "create_new", |path| Act::Create(path, number));
        let file = self.call(&[], || OsDisk.create_new(path), |_| act)?;
        Ok((file, number))
    }

    fn write(&self, file: &mut Self::File, bytes: &[u8]) -> io::Result<usize> {
        let number = file.1;
        let act = |taken: Option<&usize>| Act::Write(number, taken.copied());
        self.call(bytes, || OsDisk.write(&mut file.0, bytes), act)
    }

    fn sync_file(&self, file: &Self::File) -> io::Result<()> {
        self.sync(Wrong::NoFileSync, || OsDisk.sync_file(&file.0), Act::SyncFile(file.1))
    }

    fn write_at(&self, file: &Self::File, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let act = |taken: Option<&usize>| Act::WriteAt(file.1, offset, taken.copied());
        self.call(bytes, || OsDisk.write_at(&file.0, offset, bytes), act)
    }

    fn sync_data(&self, file: &Self::File) -> io::Result<()> {
        self.sync(Wrong::NoDataSync, || OsDisk.sync_data(&file.0), Act::SyncData(file.1))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let act = match (self.inside(from), self.inside(to)) {
            (Some(from), Some(to)) => Act::Rename(from, to),
            _ => Act::Look("rename".to_owned()),
        };
        self.call(&[], || OsDisk.rename(from, to), |_| act)
    }

    fn sync_dir(&self, (dir, path): &Self::Dir) -> io::Result<()> {
        let call = || OsDisk.sync_dir(dir);
        match self.inside(path) {
            // The root's is that of the directories above the store's.
            Some(inside) if inside != Path::new("/") => {
                let left_out = self.wrong == Some(Wrong::NoDirSync);
                if left_out { Ok(()) } else { self.call(&[], call, |_| Act::SyncDir(inside)) }
            }
            _ => {
                let act = self.on(path, "sync_dir", Act::SyncDir);
                self.call(&[], call, |_| act)
            }
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let act = self.on(path, "remove", Act::Remove);
        self.call(&[], || OsDisk.remove(path), |_| act)
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<OsLock>> {
        let act = self.on(path, "try_lock", Act::Lock);
        self.call(&[], || OsDisk.try_lock(path), |_| act)
    }
}
