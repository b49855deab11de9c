//! Wrong protocols, each of which the enumeration must catch.

mod disk;
mod format;
mod store;

pub(crate) use self::disk::WrongDisk;
pub(crate) use self::format::{Ahead, read_wrong, write_wrong};
pub(crate) use self::store::WrongStore;

macro_rules! sabotages {
    ($($(#[doc = $about:literal])+ $name:ident,)+) => {
        /// One way to do it wrong. It stands between the unchanged store and the simulated disk, or
        /// between the unchanged checkpointer and the store.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Sabotage {
            $($(#[doc = $about])+ $name,)+
        }

        impl Sabotage {
            /// All of them.
            pub const ALL: &[Sabotage] = &[$(Sabotage::$name,)+];

            /// What is done wrong.
            pub fn about(self) -> &'static str {
                match self {
                    $(Sabotage::$name => concat!($($about,)+).trim_ascii(),)+
                }
            }
        }
    };
}

sabotages! {
    /// files are not synced
    NoFileSync,
    /// the store's directory is not synced
    NoDirSync,
    /// the directories above the store's are not synced
    NoParentSync,
    /// a file is synced after it is renamed
    RenameBeforeSync,
    /// a file is written under its final name
    NoTempFile,
    /// every save overwrites one file in place
    InPlace,
    /// older generations are removed before the new one is written
    RemoveFirst,
    /// a file whose sync failed is synced again
    RetryFileSync,
    /// a directory whose sync failed is synced again
    RetryDirSync,
    /// a failed rename is taken for done
    IgnoreRename,
    /// a short write is taken for a whole one
    IgnoreShortWrite,
    /// a full disk is taken for a write that is done
    IgnoreFullDisk,
    /// temporary files are never removed
    NoTempCleanup,
    /// temporary files have one name, and an old one blocks a save
    OneTempName,
    /// the lock is not taken
    NoLock,
    /// a save returns before its directory is synced
    MarksBeforeStep5,
    /// a save in doubt is told as not saved
    DoubtHidden,
    /// a generation is used again
    GenerationReused,
    /// the generation before the newest is not kept
    OneGeneration,
    /// a newer damaged file is skipped in silence
    DamagedSkipped,
    /// an empty file is taken for none
    EmptyIsNone,
    /// there is no checksum
    NoChecksum,
    /// the header is outside the checksum
    HeaderUnchecked,
    /// the length is not checked
    LengthUnchecked,
    /// marks are saved that are not applied
    MarksAhead,
    /// floors are given out at the open
    FloorsAtOpen,
    /// the floor is the mark of the newest generation
    FloorOfNewest,
}
