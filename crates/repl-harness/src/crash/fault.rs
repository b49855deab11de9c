//! How one call fails, or every call from one on.

use std::fmt;

/// A call that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fault {
    /// The number of the call, from 0.
    pub call: usize,
    /// The way in which it fails.
    pub kind: FaultKind,
    /// Whether every later call to which the kind applies fails in the same way.
    pub permanent: bool,
}

impl Fault {
    /// The way in which this call fails, if it does.
    pub(crate) fn of(&self, call: usize) -> Option<FaultKind> {
        (call == self.call || (self.permanent && call > self.call)).then_some(self.kind)
    }
}

/// The way in which a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The call does nothing and returns this error number.
    Errno(i32),
    /// The call does its work and still returns this error number.
    DoneBut(i32),
    /// A write takes at most this many bytes.
    Short(usize),
    /// A sync writes nothing, and every later sync reports success without writing it.
    SyncLost {
        /// The error number that it returns.
        errno: i32,
        /// Whether later reads return the unwritten bytes or the ones on the disk.
        cache_survives: bool,
    },
}

const EIO: i32 = 5;
const EINTR: i32 = 4;
const ENOSPC: i32 = 28;

impl FaultKind {
    /// The ways in which the enumeration makes a call of [`Disk`](repl_checkpoint::Disk) fail.
    pub(crate) fn of(verb: &str, in_store_dir: bool) -> &'static [FaultKind] {
        const EIO_ONLY: &[FaultKind] = &[FaultKind::Errno(EIO)];
        const SYNC: &[FaultKind] = &[
            FaultKind::Errno(EIO),
            FaultKind::SyncLost { errno: EIO, cache_survives: true },
            FaultKind::SyncLost { errno: EIO, cache_survives: false },
        ];
        const SYNC_DIR: &[FaultKind] =
            &[FaultKind::Errno(EIO), FaultKind::SyncLost { errno: EIO, cache_survives: true }];
        // A write that fails may still have been done.
        const WRITE: &[FaultKind] = &[
            FaultKind::Errno(ENOSPC),
            FaultKind::Errno(EINTR),
            FaultKind::Short(0),
            FaultKind::Short(700),
            FaultKind::DoneBut(EIO),
        ];
        const RENAME: &[FaultKind] = &[FaultKind::Errno(EIO), FaultKind::DoneBut(EIO)];
        match verb {
            "sync_file" | "sync_data" => SYNC,
            "sync_dir" if in_store_dir => SYNC_DIR,
            "write" | "write_at" => WRITE,
            "rename" | "remove" | "create_new" => RENAME,
            _ => EIO_ONLY,
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FaultKind::Errno(errno) => write!(f, "fails with errno {errno}"),
            FaultKind::DoneBut(errno) => write!(f, "is done but returns errno {errno}"),
            FaultKind::Short(most) => write!(f, "takes {most} bytes"),
            FaultKind::SyncLost { errno, cache_survives: true } => {
                write!(f, "writes nothing, returns errno {errno}, and the pages are clean")
            }
            FaultKind::SyncLost { errno, cache_survives: false } => {
                write!(f, "writes nothing, returns errno {errno}, and the pages are dropped")
            }
        }
    }
}
