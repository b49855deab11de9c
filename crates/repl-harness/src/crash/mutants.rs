//! Mutants of the protocol: the enumeration must catch each of them.

mod appended;
mod deltas;
mod disk;
mod envelope;
mod saver;
mod slots;
mod store;

use super::kind::StoreKind;

pub(crate) use self::disk::MutantDisk;
pub(crate) use self::envelope::{AheadCodec, read_mutated};
pub(crate) use self::saver::Saver;
pub(crate) use self::slots::read_mutated_slots;
pub(crate) use self::store::{MutantStore, Opened};

const BOTH: &[StoreKind] = StoreKind::ALL;
const FILES: &[StoreKind] = &[StoreKind::Files];
const SLOTS: &[StoreKind] = &[StoreKind::Slots];

macro_rules! mutants {
    ($($(#[doc = $about:literal])+ $name:ident of $stores:ident,)+) => {
        /// A mutation of the protocol, placed around the unchanged production code: between the
        /// store and the simulated disk, between the checkpointer and the store, or between a
        /// process and its checkpointer.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Mutant {
            $($(#[doc = $about])+ $name,)+
        }

        impl Mutant {
            /// Every mutant.
            pub const ALL: &[Mutant] = &[$(Mutant::$name,)+];

            /// Describes the mutation.
            pub fn about(self) -> &'static str {
                match self {
                    $(Mutant::$name => concat!($($about,)+).trim_ascii(),)+
                }
            }

            /// The kinds of store to which it applies.
            pub fn stores(self) -> &'static [StoreKind] {
                match self {
                    $(Mutant::$name => $stores,)+
                }
            }
        }
    };
}

mutants! {
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
    /// the old files are removed before the new one is written
    RemoveFirst of BOTH,
    /// a new file whose sync failed is synced again
    RetryFileSync of BOTH,
    /// a directory whose sync failed is synced again
    RetryDirSync of BOTH,
    /// a failed rename is treated as done
    IgnoreRename of BOTH,
    /// a short write is treated as complete
    IgnoreShortWrite of BOTH,
    /// a write to a full disk is treated as complete
    IgnoreFullDisk of BOTH,
    /// a slot is not synced
    NoDataSync of SLOTS,
    /// a slot whose sync failed is synced again
    RetryDataSync of SLOTS,
    /// a slot whose sync failed is treated as saved
    IgnoreDataSync of SLOTS,
    /// the tail of a longer, older checkpoint stays in the slot
    StaleTail of SLOTS,
    /// the unused bytes over a longer, older checkpoint end a byte early
    ShortZeros of SLOTS,
    /// a save overwrites the slot of the newest checkpoint
    NewestOverwritten of SLOTS,
    /// the first save of a process overwrites a slot of the file that it found
    FirstSaveInPlace of SLOTS,
    /// a delta holds what changed since the newest checkpoint, not since its base
    DeltaOfNewest of SLOTS,
    /// a delta leaves out which shards were removed
    RemovalsDropped of SLOTS,
    /// a delta is appended to the newest checkpoint
    DeltaOnNewest of SLOTS,
    /// the first save of a process is a delta behind a chain of the file that it found
    FoundExtended of SLOTS,
    /// a delta is written a sector behind the end of its chain
    DeltaMisplaced of SLOTS,
    /// a delta is not synced
    NoDeltaSync of SLOTS,
    /// the deltas of an older chain stay behind a checkpoint
    OldDeltasLeft of SLOTS,
    /// it is not checked that a delta builds on the record before it
    LinkUnchecked of SLOTS,
    /// the checksum of a delta's payload is not checked
    DeltaUnchecked of SLOTS,
    /// a damaged delta is skipped, and the deltas behind it are applied
    DamagedDeltaSkipped of SLOTS,
    /// a save in place writes no closing checksum
    NoClosing of SLOTS,
    /// the closing checksum behind a record is not checked
    ClosingUnchecked of SLOTS,
    /// temporary files are never removed
    NoTempCleanup of BOTH,
    /// all temporary files have the same name, and an old one blocks a save
    OneTempName of BOTH,
    /// a temporary file that is found is renamed into place
    TempReused of BOTH,
    /// the lock is not taken
    NoLock of BOTH,
    /// it is not checked that the lock file is still at its path
    LockUnchecked of BOTH,
    /// it is not checked that the directory is still at its path
    DirUnchecked of BOTH,
    /// it is not checked that the saved file is still at its path
    FileUnchecked of BOTH,
    /// a save in place looks at its file before the sync, and not after it
    FileCheckedEarly of SLOTS,
    /// no marker is made
    NoMarker of BOTH,
    /// the marker is made before the first checkpoint
    MarkerFirst of BOTH,
    /// the name of the marker is not synced
    MarkerUnsynced of BOTH,
    /// a marker that is found counts as durable
    MarkerKept of BOTH,
    /// a save returns before its directory is synced
    ReturnsBeforeDirSync of BOTH,
    /// a save in doubt is reported as not saved, and the store stays usable
    InDoubtHidden of BOTH,
    /// a failed write in place is reported as not saved, and the store stays usable
    FailedWriteHidden of SLOTS,
    /// a generation is used twice
    GenerationReused of BOTH,
    /// the generation before the newest is not kept
    OneGeneration of FILES,
    /// a slot that an unfinished save damaged stops recovery
    TornSlotFatal of SLOTS,
    /// two damaged checkpoints are skipped as if both were unfinished saves
    TwoTornAccepted of SLOTS,
    /// damage to newer checkpoints is not reported
    CorruptSkipped of BOTH,
    /// an empty file or a slot of zeros is treated as absent
    EmptyIsAbsent of BOTH,
    /// the checksum is not checked
    NoChecksum of BOTH,
    /// the checksum of the header is not checked
    HeaderUnchecked of FILES,
    /// the length is not checked
    LengthUnchecked of FILES,
    /// the bytes behind a checkpoint in its slot are not checked
    TailUnchecked of SLOTS,
    /// a damaged first page is accepted
    PageUnchecked of SLOTS,
    /// the saved marks are ahead of the applied ones
    MarksAhead of BOTH,
    /// an attempt is saved although its flush failed
    FailedFlushSaved of BOTH,
    /// an attempt is saved although a later one was begun
    SupersededSaved of BOTH,
    /// a store that is opened again uses the generation of the save in doubt again
    DoubtfulGenerationReused of BOTH,
    /// a store that is opened again passes over the checkpoint of another process
    OthersPassedOver of BOTH,
    /// floors are returned as soon as a store is opened again
    FloorsAtReopen of BOTH,
    /// floors are returned before the first save
    FloorsAtOpen of BOTH,
    /// the floor is the mark of the newest generation
    FloorOfNewest of BOTH,
}
