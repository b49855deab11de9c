//! The kinds of store under test.

use std::fmt;

/// A kind of store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StoreKind {
    /// A [`FileStore`](repl_checkpoint::FileStore): one file per generation.
    Files,
    /// A [`SlotStore`](repl_checkpoint::SlotStore): three slots of one file, written in place.
    Slots,
}

impl StoreKind {
    /// Every kind.
    pub const ALL: &[StoreKind] = &[StoreKind::Files, StoreKind::Slots];
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            StoreKind::Files => "FileStore",
            StoreKind::Slots => "SlotStore",
        })
    }
}
