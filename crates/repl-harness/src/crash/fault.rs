//! How one call fails, or all calls from one on.

use std::fmt;

/// A call that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fault {
    /// Which call, from 0.
    pub call: usize,
    /// In what way.
    pub how: How,
    /// Whether every later call fails in the same way, as far as the way concerns it: a disk that
    /// has failed for good.
    pub lasting: bool,
}

impl Fault {
    /// What becomes of this call.
    pub(crate) fn of(&self, call: usize) -> Option<How> {
        (call == self.call || (self.lasting && call > self.call)).then_some(self.how)
    }
}

/// The way in which a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum How {
    /// With this number of the operating system, and nothing is done.
    Errno(i32),
    /// It is done all the same, as where the answer is lost.
    DoneBut(i32),
    /// A write takes at most this many bytes, and says so.
    Short(usize),
    /// A sync writes nothing, and every later one believes that it did.
    SyncLost {
        /// What it says.
        errno: i32,
        /// Whether reads give what was to be written, or what is on the disk.
        cache_survives: bool,
    },
}

const EIO: i32 = 5;
const EINTR: i32 = 4;
const ENOSPC: i32 = 28;

impl How {
    /// The ways in which a call of [`Disk`](repl_checkpoint::Disk) is made to fail.
    pub(crate) fn of(verb: &str, in_store_dir: bool) -> &'static [How] {
        const EIO_ONLY: &[How] = &[How::Errno(EIO)];
        const SYNC: &[How] = &[
            How::Errno(EIO),
            How::SyncLost { errno: EIO, cache_survives: true },
            How::SyncLost { errno: EIO, cache_survives: false },
        ];
        const SYNC_DIR: &[How] =
            &[How::Errno(EIO), How::SyncLost { errno: EIO, cache_survives: true }];
        // A write that fails may have been done all the same.
        const WRITE: &[How] = &[
            How::Errno(ENOSPC),
            How::Errno(EINTR),
            How::Short(0),
            How::Short(700),
            How::DoneBut(EIO),
        ];
        const RENAME: &[How] = &[How::Errno(EIO), How::DoneBut(EIO)];
        match verb {
            "sync_file" | "sync_data" => SYNC,
            "sync_dir" if in_store_dir => SYNC_DIR,
            "write" | "write_at" => WRITE,
            "rename" | "remove" | "create_new" => RENAME,
            _ => EIO_ONLY,
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            How::Errno(errno) => write!(f, "fails with errno {errno}"),
            How::DoneBut(errno) => write!(f, "is done but says errno {errno}"),
            How::Short(most) => write!(f, "takes {most} bytes"),
            How::SyncLost { errno, cache_survives: true } => {
                write!(f, "writes nothing, says errno {errno}, and the pages are clean")
            }
            How::SyncLost { errno, cache_survives: false } => {
                write!(f, "writes nothing, says errno {errno}, and the pages are dropped")
            }
        }
    }
}
