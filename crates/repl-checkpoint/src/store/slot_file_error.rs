//! Why a file is not a slot file of a store.

use std::error::Error;
use std::fmt;

use crate::ids::StoreId;

/// Why a file is not a slot file of this store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlotFileError {
    /// Neither its first page nor any slot is whole.
    NothingWhole,
    /// Another format, which this version does not read.
    Version {
        /// The version.
        version: String,
    },
    /// It is the slot file of another store.
    OtherStore {
        /// The store that was opened.
        expected: StoreId,
        /// The store of the file.
        found: StoreId,
    },
    /// It was cut off or extended.
    Length {
        /// The length that its first page says.
        expected: u64,
        /// The length that it has.
        found: u64,
    },
}

impl fmt::Display for SlotFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SlotFileError::NothingWhole => f.write_str(
                "it is not a slot file, or no part of it is whole: restore a copy, or find out \
                 what put it there and move it away",
            ),
            SlotFileError::Version { version } => write!(
                f,
                "its slot format version is {version:?}, and this program reads version 2: use \
                 the release that wrote it"
            ),
            SlotFileError::OtherStore { expected, found } => write!(
                f,
                "it belongs to store {found}, and store {expected} was opened: open it by its own \
                 id"
            ),
            SlotFileError::Length { expected, found } => write!(
                f,
                "it has {found} bytes, and its first page says {expected}: restore a copy, or \
                 move it and its marker away to apply all from the beginning"
            ),
        }
    }
}

impl Error for SlotFileError {}
