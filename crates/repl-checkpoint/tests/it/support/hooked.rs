//! A disk with a hook at every call, which looks at the call or makes it fail.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use repl_checkpoint::{Disk, FileKind};

/// A call before it is made; a read after it.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) name: &'static str,
    /// Both paths of a rename, otherwise one.
    pub(crate) paths: &'a [&'a Path],
    /// Where a write in place begins.
    pub(crate) offset: Option<u64>,
    pub(crate) bytes: usize,
}

/// How a call fails.
#[derive(Debug, Clone, Copy)]
pub(crate) enum How {
    /// The call does nothing and fails with this number.
    Errno(i32),
    /// The call is done and fails, as on a network disk that loses the answer.
    DoneBut(i32),
    /// A write takes this many bytes.
    Short(usize),
}

/// What happens at a call.
pub(crate) trait Hook: Send + Sync + 'static {
    /// Whether the sync of a parent is two calls: one that opens it, one that syncs it.
    const SPLITS_SYNCS: bool = false;

    /// Comes before each call, and tells how that fails, if it does.
    fn at(&self, call: Call<'_>) -> Option<How>;
}

/// A hook that only looks.
pub(crate) struct Look(Box<dyn Fn(Call<'_>) + Send + Sync>);

impl Hook for Look {
    fn at(&self, call: Call<'_>) -> Option<How> {
        (self.0)(call);
        None
    }
}

/// Another disk with a hook at each of its calls. Clones share both.
pub(crate) struct Hooked<D, H = Look> {
    disk: D,
    hook: Arc<H>,
}

impl<D: Clone, H> Clone for Hooked<D, H> {
    fn clone(&self) -> Self {
        Hooked { disk: self.disk.clone(), hook: Arc::clone(&self.hook) }
    }
}

/// A file or a directory, and the path at which it was opened.
pub(crate) struct Opened<T>(T, PathBuf);

impl<D> Hooked<D> {
    /// Calls `look` at each call.
    pub(crate) fn look(disk: D, look: impl Fn(Call<'_>) + Send + Sync + 'static) -> Self {
        Hooked::with(disk, Look(Box::new(look)))
    }
}

impl<D, H> Hooked<D, H> {
    pub(super) fn with(disk: D, hook: H) -> Self {
        Hooked { disk, hook: Arc::new(hook) }
    }

    pub(super) fn disk(&self) -> &D {
        &self.disk
    }

    pub(super) fn hook(&self) -> &H {
        &self.hook
    }
}

impl<D, H: Hook> Hooked<D, H> {
    /// Makes a call that takes no bytes, unless the hook makes it fail.
    fn call<T>(
        &self,
        name: &'static str,
        paths: &[&Path],
        make: impl FnOnce(&D) -> io::Result<T>,
    ) -> io::Result<T> {
        self.make(Call { name, paths, offset: None, bytes: 0 }, |disk, _| make(disk))
    }

    /// Makes a call with a number of bytes, or with fewer.
    fn make<T>(
        &self,
        call: Call<'_>,
        make: impl FnOnce(&D, usize) -> io::Result<T>,
    ) -> io::Result<T> {
        match self.hook.at(call) {
            None => make(&self.disk, call.bytes),
            Some(How::Short(taken)) => make(&self.disk, taken.min(call.bytes)),
            Some(How::Errno(errno)) => Err(io::Error::from_raw_os_error(errno)),
            Some(How::DoneBut(errno)) => {
                make(&self.disk, call.bytes)?;
                Err(io::Error::from_raw_os_error(errno))
            }
        }
    }
}

impl<D: Disk + Sync, H: Hook> Disk for Hooked<D, H> {
    type File = Opened<D::File>;
    type Dir = Opened<D::Dir>;
    type Lock = D::Lock;

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.call("create_dir", &[path], |disk| disk.create_dir(path))
    }

    fn open_dir(&self, path: &Path) -> io::Result<Self::Dir> {
        let dir = self.call("open_dir", &[path], |disk| disk.open_dir(path))?;
        Ok(Opened(dir, path.to_owned()))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>> {
        self.call("list", &[dir], |disk| disk.list(dir))
    }

    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        self.call("kind", &[path], |disk| disk.kind(path))
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        self.call("length", &[path], |disk| disk.length(path))
    }

    fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let read = self.disk.read_at(path, offset, length);
        let bytes = read.as_ref().map_or(0, Vec::len);
        self.make(Call { name: "read_at", paths: &[path], offset: None, bytes }, |_, _| read)
    }

    fn temp_number(&self) -> u64 {
        self.disk.temp_number()
    }

    fn create_new(&self, path: &Path) -> io::Result<Self::File> {
        let file = self.call("create_new", &[path], |disk| disk.create_new(path))?;
        Ok(Opened(file, path.to_owned()))
    }

    fn write(&self, Opened(file, path): &mut Self::File, bytes: &[u8]) -> io::Result<usize> {
        let call = Call { name: "write", paths: &[path], offset: None, bytes: bytes.len() };
        self.make(call, |disk, taken| disk.write(file, &bytes[..taken]))
    }

    fn sync_file(&self, Opened(file, path): &Self::File) -> io::Result<()> {
        self.call("sync_file", &[path], |disk| disk.sync_file(file))
    }

    fn write_at(
        &self,
        Opened(file, path): &Self::File,
        offset: u64,
        bytes: &[u8],
    ) -> io::Result<usize> {
        let at = Some(offset);
        let call = Call { name: "write_at", paths: &[path], offset: at, bytes: bytes.len() };
        self.make(call, |disk, taken| disk.write_at(file, offset, &bytes[..taken]))
    }

    fn begin_sync(&self, Opened(file, path): &Self::File, offset: u64, length: usize) {
        let at = Some(offset);
        let call = Call { name: "begin_sync", paths: &[path], offset: at, bytes: length };
        let begin = |disk: &D, _| {
            disk.begin_sync(file, offset, length);
            Ok(())
        };
        let _ = self.make(call, begin);
    }

    fn sync_data(&self, Opened(file, path): &Self::File) -> io::Result<()> {
        self.call("sync_data", &[path], |disk| disk.sync_data(file))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call("rename", &[from, to], |disk| disk.rename(from, to))
    }

    fn sync_dir(&self, Opened(dir, path): &Self::Dir) -> io::Result<()> {
        self.call("sync_dir", &[path], |disk| disk.sync_dir(dir))
    }

    fn sync_parent(&self, path: &Path) -> io::Result<()> {
        if H::SPLITS_SYNCS {
            return self.sync_dir(&self.open_dir(path)?);
        }
        self.call("sync_parent", &[path], |disk| disk.sync_parent(path))
    }

    fn can_sync_dir(&self, Opened(dir, path): &Self::Dir) -> io::Result<()> {
        if H::SPLITS_SYNCS {
            return Ok(());
        }
        self.call("can_sync_dir", &[path], |disk| disk.can_sync_dir(dir))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call("remove", &[path], |disk| disk.remove(path))
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<D::Lock>> {
        self.call("try_lock", &[path], |disk| disk.try_lock(path))
    }

    fn dir_is_at(&self, Opened(dir, _): &Self::Dir, path: &Path) -> io::Result<bool> {
        self.call("dir_is_at", &[path], |disk| disk.dir_is_at(dir, path))
    }

    fn lock_is_in(&self, lock: &D::Lock, dir: &Self::Dir, name: &OsStr) -> io::Result<bool> {
        let Opened(dir, path) = dir;
        self.call("lock_is_in", &[&path.join(name)], |disk| disk.lock_is_in(lock, dir, name))
    }

    fn file_is_in(&self, file: &Self::File, dir: &Self::Dir, name: &OsStr) -> io::Result<bool> {
        let (Opened(file, _), Opened(dir, path)) = (file, dir);
        self.call("file_is_in", &[&path.join(name)], |disk| disk.file_is_in(file, dir, name))
    }
}
