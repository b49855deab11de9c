// The public surface of repl-checkpoint, without docs, bodies and auto traits.
// Written by `cargo xtask api --write`.

use repl_core::Incarnation;
use repl_core::LogId;
use repl_core::NewShard;
use repl_core::ReplicationState;
use repl_core::SeqNo;
use repl_core::SeqRange;
use repl_core::ShardId;
use repl_core::Snapshot;
use repl_core::SnapshotEntry;
use serde::Deserialize;
use serde::Serialize;
use std::error;
use std::ffi::OsString;
use std::fmt::Debug;
use std::fmt::Display;
use std::fs::File;
use std::hash::Hash;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub struct BackgroundCheckpointer { .. }
impl Debug for BackgroundCheckpointer;
impl Drop for BackgroundCheckpointer;
impl BackgroundCheckpointer {
    pub fn close(self) -> Result<Checkpointer, CloseError>;
    pub fn floors(&self) -> Floors;
    pub fn save_now(&self);
}

#[cfg(feature = "bincode")]
pub struct BincodeCodec;
impl Clone for BincodeCodec;
impl Codec for BincodeCodec;
impl Copy for BincodeCodec;
impl Debug for BincodeCodec;
impl Default for BincodeCodec;

pub struct Candidate {
    pub path: PathBuf,
    pub generation: Option<Generation>,
    pub bytes: io::Result<Vec<u8>>,
}
impl Debug for Candidate;

pub struct Checkpoint {
    pub next_incarnation: Incarnation,
    pub shards: Vec<ShardCheckpoint>,
}
impl Clone for Checkpoint;
impl Debug for Checkpoint;
impl Default for Checkpoint;
impl<'de> Deserialize<'de> for Checkpoint;
impl Eq for Checkpoint;
impl PartialEq for Checkpoint;
impl Serialize for Checkpoint;
impl Checkpoint {
    pub fn of(snapshot: &Snapshot) -> Self;
    pub fn seal(&self, codec: &dyn Codec, header: Header) -> Result<Vec<u8>, SealError>;
    pub fn shard(&self, shard: ShardId) -> Option<&ShardCheckpoint>;
    pub fn state_of(&self, track: impl Into<Track>) -> ReplicationState;
    pub fn unseal(
        codec: &dyn Codec,
        store: StoreId,
        bytes: &[u8],
    ) -> Result<(Header, Checkpoint), UnsealError>;
    pub fn validate(&self) -> Result<(), InvalidCheckpoint>;
}

#[cfg(feature = "json")]
pub trait CheckpointBytes: Sized {
    fn to_checkpoint_bytes(&self) -> Vec<u8>;
    fn from_checkpoint_bytes(
        bytes: &[u8],
        shards: &[ShardId],
    ) -> Result<Self, UnsealError>;
}
impl CheckpointBytes for ReplicationState;

#[non_exhaustive]
pub enum CheckpointError {
    Flush(Box<dyn error::Error + Send + Sync>),
    BelowLastSave { shard: ShardId, saved: SeqNo, lowered: SeqNo },
    Seal(SealError),
    Save(SaveError),
    NoGenerationLeft,
}
impl Debug for CheckpointError;
impl Display for CheckpointError;
impl error::Error for CheckpointError;
impl From<SaveError> for CheckpointError;
impl From<SealError> for CheckpointError;
impl CheckpointError {
    pub fn is_poisoning(&self) -> bool;
}

pub trait CheckpointStore: Send {
    fn store_id(&self) -> StoreId;
    fn load(&mut self) -> Result<Vec<Candidate>, LoadError>;
    fn save(&mut self, save: Save<'_>) -> Result<(), SaveError>;
    fn max_torn(&self) -> usize { .. }
}
impl<T: CheckpointStore + ?Sized> CheckpointStore for Box<T>;

pub struct Checkpointer { .. }
impl Debug for Checkpointer;
impl Checkpointer {
    pub fn checkpoint<E: Into<Box<dyn error::Error + Send + Sync>>>(
        &mut self,
        flush: impl FnOnce(&mut Snapshot) -> Result<(), E>,
    ) -> Result<Saved, CheckpointError>;
    pub fn drop_orphan(&mut self, shard: ShardId) -> bool;
    pub fn floors(&self) -> Floors;
    pub fn orphaned_shards(&self) -> &[ShardCheckpoint];
    pub fn spawn<E: Into<Box<dyn error::Error + Send + Sync>>>(
        self,
        when: Schedule,
        flush: impl FnMut(&mut Snapshot) -> Result<(), E> + Send + 'static,
        on_error: impl FnMut(&CheckpointError) + Send + 'static,
    ) -> Result<BackgroundCheckpointer, SpawnError>;
    pub fn state(&self) -> &Arc<ReplicationState>;
}

#[non_exhaustive]
pub enum CloseError {
    LastSave { source: CheckpointError, checkpointer: Box<Checkpointer> },
    Panicked(String),
}
impl Debug for CloseError;
impl Display for CloseError;
impl error::Error for CloseError;

pub trait Codec: Send + Sync {
    fn name(&self) -> &'static str;
    fn encode(
        &self,
        checkpoint: &Checkpoint,
        out: &mut Vec<u8>,
    ) -> Result<(), CodecError>;
    fn decode(&self, bytes: &[u8]) -> Result<Checkpoint, CodecError>;
}
impl<T: Codec + ?Sized> Codec for Box<T>;

pub struct CodecError { .. }
impl Debug for CodecError;
impl Display for CodecError;
impl error::Error for CodecError;
impl CodecError {
    pub fn new(reason: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self;
}

#[non_exhaustive]
pub struct CorruptCheckpoint {
    pub path: PathBuf,
    pub reason: CorruptReason,
}
impl Debug for CorruptCheckpoint;
impl Display for CorruptCheckpoint;
impl error::Error for CorruptCheckpoint;

#[non_exhaustive]
pub enum CorruptReason {
    Read(io::Error),
    Unseal(UnsealError),
}
impl Debug for CorruptReason;
impl Display for CorruptReason;
impl error::Error for CorruptReason;
impl From<UnsealError> for CorruptReason;

pub trait Disk: Send {
    type File: Send;
    type Dir: Send;
    type Lock: Send;
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    fn open_dir(&self, path: &Path) -> io::Result<Self::Dir>;
    fn list(&self, dir: &Path) -> io::Result<Vec<OsString>>;
    fn kind(&self, path: &Path) -> io::Result<FileKind>;
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    fn create_new(&self, path: &Path) -> io::Result<Self::File>;
    fn write(&self, file: &mut Self::File, bytes: &[u8]) -> io::Result<usize>;
    fn sync_file(&self, file: &Self::File) -> io::Result<()>;
    fn write_at(
        &self,
        file: &Self::File,
        offset: u64,
        bytes: &[u8],
    ) -> io::Result<usize>;
    fn sync_data(&self, file: &Self::File) -> io::Result<()>;
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn sync_dir(&self, dir: &Self::Dir) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    fn try_lock(&self, path: &Path) -> io::Result<Option<Self::Lock>>;
}

pub struct EpochStart {
    pub epoch: u64,
    pub first: SeqNo,
}
impl Clone for EpochStart;
impl Copy for EpochStart;
impl Debug for EpochStart;
impl<'de> Deserialize<'de> for EpochStart;
impl Eq for EpochStart;
impl Hash for EpochStart;
impl PartialEq for EpochStart;
impl Serialize for EpochStart;

pub enum FileKind {
    File,
    Dir,
    Symlink,
    Other,
}
impl Clone for FileKind;
impl Copy for FileKind;
impl Debug for FileKind;
impl Eq for FileKind;
impl Hash for FileKind;
impl PartialEq for FileKind;

pub struct FileStore<D: Disk = OsDisk> { .. }
impl<D: Disk> CheckpointStore for FileStore<D>;
impl<D: Disk> Debug for FileStore<D>;
impl FileStore {
    pub fn open(
        dir: impl AsRef<Path>,
        store_id: StoreId,
    ) -> Result<Self, OpenStoreError>;
}
impl<D: Disk> FileStore<D> {
    pub fn dir(&self) -> &Path;
    pub fn open_on(
        disk: D,
        dir: &Path,
        store_id: StoreId,
    ) -> Result<Self, OpenStoreError>;
}

pub struct Floors { .. }
impl Clone for Floors;
impl Debug for Floors;
impl Floors {
    pub fn checkpointed(&self, shard: ShardId) -> Option<SeqNo>;
    pub fn health(&self) -> Health;
    pub fn is_unreferenced(&self, shard: ShardId) -> bool;
    pub fn retention_floor(&self, shard: ShardId) -> Option<SeqNo>;
}

pub type Generation = u64;

pub struct Header {
    pub store: StoreId,
    pub generation: Generation,
    pub confirmed: Generation,
}
impl Clone for Header;
impl Copy for Header;
impl Debug for Header;
impl Default for Header;
impl Eq for Header;
impl Hash for Header;
impl PartialEq for Header;

#[non_exhaustive]
pub enum Health {
    Good,
    Failing { failures: u64, error: String },
    Poisoned { error: String },
    Stopped { error: String },
}
impl Clone for Health;
impl Debug for Health;
impl Default for Health;
impl Eq for Health;
impl PartialEq for Health;

#[non_exhaustive]
pub enum InvalidCheckpoint {
    ShardOrder { shard: ShardId },
    Incarnation { shard: ShardId, incarnation: Incarnation, next: Incarnation },
    Range { shard: ShardId, range: SeqRange },
    Epoch { shard: ShardId, start: EpochStart },
}
impl Clone for InvalidCheckpoint;
impl Copy for InvalidCheckpoint;
impl Debug for InvalidCheckpoint;
impl Display for InvalidCheckpoint;
impl Eq for InvalidCheckpoint;
impl error::Error for InvalidCheckpoint;
impl PartialEq for InvalidCheckpoint;

#[cfg(feature = "json")]
pub struct JsonCodec;
impl Clone for JsonCodec;
impl Codec for JsonCodec;
impl Copy for JsonCodec;
impl Debug for JsonCodec;
impl Default for JsonCodec;

#[non_exhaustive]
pub enum LoadError {
    Io { act: &'static str, path: PathBuf, source: io::Error },
    NotAFile { path: PathBuf, found: &'static str },
    Slots { path: PathBuf, reason: SlotFileError },
    Store(Box<dyn error::Error + Send + Sync>),
}
impl Debug for LoadError;
impl Display for LoadError;
impl error::Error for LoadError;

pub enum OnCorrupt {
    Fail,
    FallBack,
}
impl Clone for OnCorrupt;
impl Copy for OnCorrupt;
impl Debug for OnCorrupt;
impl Default for OnCorrupt;
impl Eq for OnCorrupt;
impl Hash for OnCorrupt;
impl PartialEq for OnCorrupt;

#[non_exhaustive]
pub enum OpenStoreError {
    Locked { dir: PathBuf },
    NotADirectory { path: PathBuf },
    OtherKind { dir: PathBuf, file: String, expected: &'static str },
    Io { act: &'static str, path: PathBuf, source: io::Error },
}
impl Debug for OpenStoreError;
impl Display for OpenStoreError;
impl error::Error for OpenStoreError;

pub struct OsDir { .. }
impl Debug for OsDir;

pub struct OsDisk;
impl Clone for OsDisk;
impl Copy for OsDisk;
impl Debug for OsDisk;
impl Default for OsDisk;
impl Disk for OsDisk {
    type File = File;
    type Dir = OsDir;
    type Lock = OsLock;
}

pub struct OsLock { .. }
impl Debug for OsLock;

pub struct RecoverError { .. }
impl Debug for RecoverError;
impl Display for RecoverError;
impl error::Error for RecoverError;
impl From<RecoverError> for io::Error;
impl RecoverError {
    pub fn into_parts(self) -> (RecoverErrorKind, Box<dyn CheckpointStore>);
    pub fn into_store(self) -> Box<dyn CheckpointStore>;
    pub fn kind(&self) -> &RecoverErrorKind;
}

#[non_exhaustive]
pub enum RecoverErrorKind {
    Load(LoadError),
    Corrupt { newest: CorruptCheckpoint, older: Option<(Generation, PathBuf)> },
    Refused { refused: CorruptCheckpoint, newer: Vec<CorruptCheckpoint> },
}
impl Debug for RecoverErrorKind;
impl Display for RecoverErrorKind;
impl error::Error for RecoverErrorKind;

pub struct Recovered {
    pub state: Arc<ReplicationState>,
    pub checkpointer: Checkpointer,
    pub report: RecoveryReport,
}
impl Debug for Recovered;

#[non_exhaustive]
pub struct RecoveryReport {
    pub source: Source,
    pub orphaned: Vec<ShardId>,
    pub missing: Vec<ShardId>,
}
impl Debug for RecoveryReport;

pub struct Save<'a> {
    pub generation: Generation,
    pub confirmed: Generation,
    pub bytes: &'a [u8],
}
impl<'a> Clone for Save<'a>;
impl<'a> Copy for Save<'a>;
impl<'a> Debug for Save<'a>;

#[non_exhaustive]
pub enum SaveError {
    NotSaved { act: &'static str, path: PathBuf, source: io::Error },
    InDoubt { act: &'static str, path: PathBuf, source: io::Error },
    Poisoned { path: PathBuf },
}
impl Debug for SaveError;
impl Display for SaveError;
impl error::Error for SaveError;
impl SaveError {
    pub fn is_poisoning(&self) -> bool;
}

pub enum Saved {
    #[non_exhaustive]
    Written { generation: Generation },
    Unchanged,
}
impl Clone for Saved;
impl Copy for Saved;
impl Debug for Saved;
impl Eq for Saved;
impl Hash for Saved;
impl PartialEq for Saved;

#[non_exhaustive]
pub struct Schedule {
    pub interval: Duration,
    pub moved: Option<u64>,
    pub poll: Duration,
}
impl Clone for Schedule;
impl Copy for Schedule;
impl Debug for Schedule;
impl Eq for Schedule;
impl PartialEq for Schedule;
impl Schedule {
    pub fn every(interval: Duration) -> Self;
    #[must_use]
    pub fn or_after(self, moved: u64) -> Self;
    #[must_use]
    pub fn poll_every(self, poll: Duration) -> Self;
}

#[non_exhaustive]
pub enum SealError {
    Invalid(InvalidCheckpoint),
    Codec { codec: &'static str, source: CodecError },
    Confirmed { generation: Generation, confirmed: Generation },
    CodecName { codec: &'static str },
}
impl Debug for SealError;
impl Display for SealError;
impl error::Error for SealError;
impl From<InvalidCheckpoint> for SealError;

pub struct ShardCheckpoint {
    pub shard: ShardId,
    pub log: LogId,
    pub incarnation: Incarnation,
    pub mark: SeqNo,
    pub completed: Box<[SeqRange]>,
    pub epochs: Box<[EpochStart]>,
}
impl Clone for ShardCheckpoint;
impl Debug for ShardCheckpoint;
impl<'de> Deserialize<'de> for ShardCheckpoint;
impl Eq for ShardCheckpoint;
impl From<&ShardCheckpoint> for SnapshotEntry;
impl From<SnapshotEntry> for ShardCheckpoint;
impl PartialEq for ShardCheckpoint;
impl Serialize for ShardCheckpoint;

#[non_exhaustive]
pub enum SlotFileError {
    NothingWhole,
    Version { version: String },
    OtherStore { expected: StoreId, found: StoreId },
    Length { expected: u64, found: u64 },
}
impl Clone for SlotFileError;
impl Debug for SlotFileError;
impl Display for SlotFileError;
impl Eq for SlotFileError;
impl error::Error for SlotFileError;
impl PartialEq for SlotFileError;

pub struct SlotStore<D: Disk = OsDisk> { .. }
impl<D: Disk> CheckpointStore for SlotStore<D>;
impl<D: Disk> Debug for SlotStore<D>;
impl SlotStore {
    pub fn open(
        dir: impl AsRef<Path>,
        store_id: StoreId,
    ) -> Result<Self, OpenStoreError>;
}
impl<D: Disk> SlotStore<D> {
    pub fn dir(&self) -> &Path;
    pub fn open_on(
        disk: D,
        dir: &Path,
        store_id: StoreId,
    ) -> Result<Self, OpenStoreError>;
}

pub enum Source {
    Fresh,
    Resumed { generation: Generation },
    FellBack { generation: Generation, damaged: Vec<CorruptCheckpoint> },
}
impl Debug for Source;

pub struct SpawnError { .. }
impl Debug for SpawnError;
impl Display for SpawnError;
impl error::Error for SpawnError;
impl SpawnError {
    pub fn into_checkpointer(self) -> Checkpointer;
}

pub struct StoreId(pub u128);
impl Clone for StoreId;
impl Copy for StoreId;
impl Debug for StoreId;
impl Default for StoreId;
impl<'de> Deserialize<'de> for StoreId;
impl Display for StoreId;
impl Eq for StoreId;
impl From<u128> for StoreId;
impl Hash for StoreId;
impl PartialEq for StoreId;
impl Serialize for StoreId;
impl StoreId {
    pub const UNNAMED: StoreId;
}

pub struct Track { .. }
impl Clone for Track;
impl Debug for Track;
impl Eq for Track;
impl From<&Vec<ShardId>> for Track;
impl<const N: usize> From<&[ShardId; N]> for Track;
impl From<&[ShardId]> for Track;
impl PartialEq for Track;
impl Track {
    pub fn all() -> Self;
    pub fn only(shards: &[ShardId]) -> Self;
    #[must_use]
    pub fn or_start(self, shards: impl IntoIterator<Item = NewShard>) -> Self;
}

#[non_exhaustive]
pub enum UnsealError {
    Empty,
    Magic,
    Version { version: String },
    Header,
    Length { expected: u64, found: u64 },
    Checksum { expected: u32, found: u32 },
    OtherCodec { expected: &'static str, found: String },
    OtherStore { expected: StoreId, found: StoreId },
    OtherGeneration { expected: Generation, found: Generation },
    Payload(CodecError),
    Invalid(InvalidCheckpoint),
}
impl Debug for UnsealError;
impl Display for UnsealError;
impl error::Error for UnsealError;
impl UnsealError {
    pub fn is_damage(&self) -> bool;
}

pub fn recover(
    store: impl CheckpointStore + 'static,
    codec: impl Codec + 'static,
    track: impl Into<Track>,
    on_corrupt: OnCorrupt,
) -> Result<Recovered, RecoverError>;

// A macro, as written in io_error.rs: what it makes is not listed.
into_io_error! {
    CheckpointError, CloseError, CodecError, CorruptCheckpoint, CorruptReason, InvalidCheckpoint,
    LoadError, OpenStoreError, RecoverErrorKind, SaveError, SealError, SlotFileError, SpawnError,
    UnsealError,
}

// A macro, as written in io_error.rs: what it makes is not listed.
macro_rules! into_io_error {
    ($($error:ty),+ $(,)?) => {
        $(impl From<$error> for io::Error {
            fn from(error: $error) -> Self {
                io::Error::new(error.io_kind(), error)
            }
        })+
    };
}
