//! Every error of this crate as a [`std::io::Error`], for callers whose own calls return that.

use std::io;

use super::{
    AlreadyTracked, BeginEpochError, BookmarkError, ClaimError, CompleteError, EpochOrder,
    StaleEpoch, WaitAllError, WaitError, WindowError, WindowFull,
};

impl From<WaitError> for io::Error {
    fn from(err: WaitError) -> Self {
        let kind = match err {
            WaitError::Timeout => io::ErrorKind::TimedOut,
            WaitError::UnknownShard => io::ErrorKind::NotFound,
            WaitError::Closed | WaitError::Removed => io::ErrorKind::Other,
        };
        io::Error::new(kind, err)
    }
}

impl From<WaitAllError> for io::Error {
    fn from(err: WaitAllError) -> Self {
        io::Error::new(io::Error::from(err.reason).kind(), err)
    }
}

impl From<ClaimError> for io::Error {
    fn from(err: ClaimError) -> Self {
        let kind = match err {
            ClaimError::Timeout => io::ErrorKind::TimedOut,
            ClaimError::Full(_) => io::ErrorKind::WouldBlock,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, err)
    }
}

impl From<CompleteError> for io::Error {
    fn from(err: CompleteError) -> Self {
        let kind = match err {
            CompleteError::Full(_) => io::ErrorKind::WouldBlock,
            CompleteError::Removed => io::ErrorKind::Other,
        };
        io::Error::new(kind, err)
    }
}

impl From<WindowFull> for io::Error {
    fn from(err: WindowFull) -> Self {
        io::Error::new(io::ErrorKind::WouldBlock, err)
    }
}

impl From<WindowError> for io::Error {
    fn from(err: WindowError) -> Self {
        let kind = match err {
            WindowError::AlreadyOpen => io::ErrorKind::ResourceBusy,
            WindowError::NoCapacity => io::ErrorKind::InvalidInput,
            WindowError::Removed => io::ErrorKind::Other,
        };
        io::Error::new(kind, err)
    }
}

impl From<AlreadyTracked> for io::Error {
    fn from(err: AlreadyTracked) -> Self {
        io::Error::new(io::ErrorKind::AlreadyExists, err)
    }
}

impl From<EpochOrder> for io::Error {
    fn from(err: EpochOrder) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, err)
    }
}

impl From<StaleEpoch> for io::Error {
    fn from(err: StaleEpoch) -> Self {
        io::Error::new(io::ErrorKind::InvalidInput, err)
    }
}

impl From<BeginEpochError> for io::Error {
    fn from(err: BeginEpochError) -> Self {
        let kind = match err {
            BeginEpochError::Stale(_) => io::ErrorKind::InvalidInput,
            BeginEpochError::UnknownShard => io::ErrorKind::NotFound,
        };
        io::Error::new(kind, err)
    }
}

impl From<BookmarkError> for io::Error {
    fn from(err: BookmarkError) -> Self {
        let kind = match err {
            BookmarkError::Timeout => io::ErrorKind::TimedOut,
            BookmarkError::UnknownShard => io::ErrorKind::NotFound,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, err)
    }
}
