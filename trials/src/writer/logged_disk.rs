//! The real disk, with every call reported on a pipe.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use repl_checkpoint::{Disk, FileKind, OsDir, OsDisk, OsFile, OsLock};

use super::event::{CallRecord, Event, Operation, Pipe, now};

/// A mutation between the store and the real disk, which the suite must catch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "PascalCase")]
pub(crate) enum WriterMutant {
    /// New files are not synced.
    NoFileSync,
    /// Writes in place are not synced.
    NoDataSync,
    /// The store's directory is not synced.
    NoDirSync,
    /// No file is synced, and the writer reports that it was. This need not break a promise of the
    /// store, but it leaves files that the simulated disk may not leave.
    SkipsSyncs,
}

impl WriterMutant {
    /// Describes the mutation.
    pub(crate) fn about(self) -> &'static str {
        match self {
            WriterMutant::NoFileSync => "files are not synced",
            WriterMutant::NoDataSync => "writes in place are not synced",
            WriterMutant::NoDirSync => "the store's directory is not synced",
            WriterMutant::SkipsSyncs => "syncs are reported and not made",
        }
    }
}

/// An [`OsDisk`] that reports every call.
pub(super) struct LoggedDisk {
    pipe: Pipe,
    /// The directory that is the root of the simulated disk.
    root: PathBuf,
    mutant: Option<WriterMutant>,
    files: AtomicU32,
}

impl LoggedDisk {
    pub(super) fn new(pipe: Pipe, root: &Path, mutant: Option<WriterMutant>) -> Self {
        LoggedDisk { pipe, root: root.to_owned(), mutant, files: AtomicU32::new(0) }
    }

    /// The path as seen from the root; `None` if it is not below the root.
    fn inside(&self, path: &Path) -> Option<PathBuf> {
        path.strip_prefix(&self.root).ok().map(|path| Path::new("/").join(path))
    }

    fn on(
        &self,
        path: &Path,
        verb: &str,
        operation: impl FnOnce(PathBuf) -> Operation,
    ) -> Operation {
        self.inside(path).map_or_else(|| Operation::Look(verb.to_owned()), operation)
    }

    /// Makes a call and reports it.
    fn call<T>(
        &self,
        bytes: &[u8],
        call: impl FnOnce() -> io::Result<T>,
        operation: impl FnOnce(Option<&T>) -> Operation,
    ) -> io::Result<T> {
        let began = now();
        let result = call();
        let ended = now();
        let failed = result.as_ref().err();
        let answers = failed.is_some_and(|err| {
            matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists)
        });
        let operation = operation(result.as_ref().ok());
        let record = CallRecord {
            operation,
            failed: failed.map(ToString::to_string),
            answers,
            began,
            ended,
        };
        self.pipe.send(&Event::Call(record), bytes)?;
        result
    }

    fn look<T>(&self, verb: &str, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.call(&[], call, |_| Operation::Look(verb.to_owned()))
    }

    fn sync(
        &self,
        skipped: WriterMutant,
        call: impl FnOnce() -> io::Result<()>,
        operation: Operation,
    ) -> io::Result<()> {
        match self.mutant {
            Some(mutant) if mutant == skipped => Ok(()),
            Some(WriterMutant::SkipsSyncs) => self.call(&[], || Ok(()), |_| operation),
            _ => self.call(&[], call, |_| operation),
        }
    }
}

impl Disk for LoggedDisk {
    type File = (OsFile, u32);
    type Dir = (OsDir, PathBuf);
    type Lock = OsLock;

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let operation = self.on(path, "create_dir", Operation::CreateDir);
        self.call(&[], || OsDisk.create_dir(path), |_| operation)
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

    fn length(&self, path: &Path) -> io::Result<u64> {
        self.look("length", || OsDisk.length(path))
    }

    fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.look("read_at", || OsDisk.read_at(path, offset, length))
    }

    fn create_new(&self, path: &Path) -> io::Result<Self::File> {
        let number = self.files.fetch_add(1, Relaxed);
        let operation = self.on(path, "create_new", |path| Operation::Create(path, number));
        let file = self.call(&[], || OsDisk.create_new(path), |_| operation)?;
        Ok((file, number))
    }

    fn write(&self, file: &mut Self::File, bytes: &[u8]) -> io::Result<usize> {
        let number = file.1;
        let operation = |taken: Option<&usize>| Operation::Write(number, taken.copied());
        self.call(bytes, || OsDisk.write(&mut file.0, bytes), operation)
    }

    fn sync_file(&self, file: &Self::File) -> io::Result<()> {
        self.sync(
            WriterMutant::NoFileSync,
            || OsDisk.sync_file(&file.0),
            Operation::SyncFile(file.1),
        )
    }

    fn write_at(&self, file: &Self::File, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let operation = |taken: Option<&usize>| Operation::WriteAt(file.1, offset, taken.copied());
        self.call(bytes, || OsDisk.write_at(&file.0, offset, bytes), operation)
    }

    /// A writer that leaves out syncs gets no help from this one.
    fn begin_sync(&self, (file, _): &Self::File, offset: u64, length: usize) {
        if self.mutant.is_none() {
            OsDisk.begin_sync(file, offset, length);
        }
    }

    fn sync_data(&self, file: &Self::File) -> io::Result<()> {
        self.sync(
            WriterMutant::NoDataSync,
            || OsDisk.sync_data(&file.0),
            Operation::SyncData(file.1),
        )
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let operation = match (self.inside(from), self.inside(to)) {
            (Some(from), Some(to)) => Operation::Rename(from, to),
            _ => Operation::Look("rename".to_owned()),
        };
        self.call(&[], || OsDisk.rename(from, to), |_| operation)
    }

    fn sync_dir(&self, (dir, path): &Self::Dir) -> io::Result<()> {
        let call = || OsDisk.sync_dir(dir);
        match self.inside(path) {
            // Syncs of the root belong to the directories above the store.
            Some(inside) if inside != Path::new("/") => {
                let skipped = self.mutant == Some(WriterMutant::NoDirSync);
                if skipped { Ok(()) } else { self.call(&[], call, |_| Operation::SyncDir(inside)) }
            }
            _ => {
                let operation = self.on(path, "sync_dir", Operation::SyncDir);
                self.call(&[], call, |_| operation)
            }
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let operation = self.on(path, "remove", Operation::Remove);
        self.call(&[], || OsDisk.remove(path), |_| operation)
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<OsLock>> {
        let operation = self.on(path, "try_lock", Operation::Lock);
        self.call(&[], || OsDisk.try_lock(path), |_| operation)
    }

    fn dir_is_at(&self, (dir, _): &Self::Dir, path: &Path) -> io::Result<bool> {
        self.look("dir_is_at", || OsDisk.dir_is_at(dir, path))
    }

    fn lock_is_in(&self, lock: &OsLock, dir: &Self::Dir, name: &OsStr) -> io::Result<bool> {
        self.look("lock_is_in", || OsDisk.lock_is_in(lock, &dir.0, name))
    }

    fn file_is_in(&self, file: &Self::File, dir: &Self::Dir, name: &OsStr) -> io::Result<bool> {
        self.look("file_is_in", || OsDisk.file_is_in(&file.0, &dir.0, name))
    }
}
