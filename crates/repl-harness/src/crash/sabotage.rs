//! Wrong protocols, each of which the enumeration must catch.

mod disk;
mod format;
mod slots;
mod store;

use super::protocol::Store;

pub(crate) use self::disk::WrongDisk;
pub(crate) use self::format::{Ahead, read_wrong, write_wrong};
pub(crate) use self::slots::read_wrong_slots;
pub(crate) use self::store::WrongStore;

const BOTH: &[Store] = Store::ALL;
const FILES: &[Store] = &[Store::Files];
const SLOTS: &[Store] = &[Store::Slots];

macro_rules! sabotages {
    ($($(#[doc = $about:literal])+ $name:ident of $stores:ident,)+) => {
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

            /// The stores that it can be done wrong with.
            pub fn stores(self) -> &'static [Store] {
                match self {
                    $(Sabotage::$name => $stores,)+
                }
            }
        }
    };
}

sabotages! {
    /// new files are not synced
    NoFileSync of BOTH,
    /// the store's directory is not synced
    NoDirSync of BOTH,
    /// the directories above the store's are not synced
    NoParentSync of BOTH,
    /// a new file is synced after it is renamed
    RenameBeforeSync of BOTH,
    /// a new file is written under its final name
    NoTempFile of BOTH,
    /// every save overwrites one file in place
    InPlace of FILES,
    /// what is there is removed before the new file is written
    RemoveFirst of BOTH,
    /// a new file whose sync failed is synced again
    RetryFileSync of BOTH,
    /// a directory whose sync failed is synced again
    RetryDirSync of BOTH,
    /// a failed rename is taken for done
    IgnoreRename of BOTH,
    /// a short write is taken for a whole one
    IgnoreShortWrite of BOTH,
    /// a full disk is taken for a write that is done
    IgnoreFullDisk of BOTH,
    /// a slot is not synced
    NoDataSync of SLOTS,
    /// a slot whose sync failed is synced again
    RetryDataSync of SLOTS,
    /// a slot whose sync failed is taken for saved
    IgnoreDataSync of SLOTS,
    /// what an older checkpoint left beyond a shorter one stays in its slot
    RestLeft of SLOTS,
    /// a save overwrites the slot of the newest checkpoint
    NewestOverwritten of SLOTS,
    /// only two of the three slots are written in turn
    TwoSlots of SLOTS,
    /// the first save of a process goes in place into the file that it found
    FoundInPlace of SLOTS,
    /// temporary files are never removed
    NoTempCleanup of BOTH,
    /// temporary files have one name, and an old one blocks a save
    OneTempName of BOTH,
    /// a temporary file that is found is renamed into place
    TempAdopted of BOTH,
    /// the lock is not taken
    NoLock of BOTH,
    /// a save returns before its directory is synced
    MarksBeforeStep5 of BOTH,
    /// a save in doubt is told as not saved, and the store goes on
    DoubtHidden of BOTH,
    /// a failed write in place is told as not saved, and the store goes on
    WriteNotSaved of SLOTS,
    /// a generation is used again
    GenerationReused of BOTH,
    /// the generation before the newest is not kept
    OneGeneration of FILES,
    /// what an unfinished save leaves stops recovery
    NonePassedOver of SLOTS,
    /// two damaged checkpoints are passed over as if both were unfinished saves
    TwoPassedOver of SLOTS,
    /// newer damage is skipped in silence
    DamagedSkipped of BOTH,
    /// an empty file, or a slot of zeros, is taken for none
    EmptyIsNone of BOTH,
    /// there is no checksum
    NoChecksum of BOTH,
    /// the header is outside the checksum
    HeaderUnchecked of FILES,
    /// the length is not checked
    LengthUnchecked of BOTH,
    /// what follows a checkpoint in its slot is not checked
    RestUnchecked of SLOTS,
    /// the first page is believed, though it is damaged
    PageUnchecked of SLOTS,
    /// marks are saved that are not applied
    MarksAhead of BOTH,
    /// floors are given out at the open
    FloorsAtOpen of BOTH,
    /// the floor is the mark of the newest generation
    FloorOfNewest of BOTH,
}
