//! Looking at checkpoints from outside: without a lock, and without changing anything.

#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::chain;
use crate::checkpoint::Checkpoint;
use crate::codec::known_codec;
use crate::directory::names::{SLOT_FILE, checkpoint_file, generations_in};
use crate::disk::{Disk, OsDisk};
use crate::envelope::{Header, Sealed, SealedDelta, UnsealError, verify};
use crate::ids::Generation;
use crate::reading::{HEAD, read_checkpoint};
use crate::recovery::check_generation;
use crate::slot_store::{
    candidates_in, is_slot_file, other_slot_version, slot_file_length, store_of, whole_chains,
};
use crate::store::LoadError;
use crate::store::hint::to_do;

/// The number of times that files may change under the reader before it gives up.
const TRIES: usize = 1000;

/// A checkpoint that was read from outside: see [`peek`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peeked {
    /// The file that it was read from.
    pub path: PathBuf,
    /// Its store and generations.
    pub header: Header,
    /// The name of its codec.
    pub codec: String,
    /// Its shards; `None` if the codec is not of this crate, or its feature is off.
    pub checkpoint: Option<Checkpoint>,
}

/// No checkpoint could be read.
#[derive(Debug)]
#[non_exhaustive]
pub enum PeekError {
    /// The operating system returned an error.
    Io {
        /// The operation that failed.
        act: &'static str,
        /// The file or directory that it failed on.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// There is no checkpoint in the directory.
    Nothing {
        /// The directory.
        path: PathBuf,
    },
    /// Every checkpoint there is damaged, or a file is of another format version.
    Damaged {
        /// The newest file, or that of another version.
        path: PathBuf,
        /// What is wrong with it.
        source: UnsealError,
    },
}

impl fmt::Display for PeekError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeekError::Io { act, path, source } => {
                write!(f, "failed to {act} {}{}", path.display(), to_do(source))
            }
            PeekError::Nothing { path } => write!(f, "{} holds no checkpoint", path.display()),
            PeekError::Damaged { path, .. } => {
                write!(f, "failed to read a checkpoint from {}", path.display())
            }
        }
    }
}

impl Error for PeekError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            PeekError::Io { source, .. } => Some(source),
            PeekError::Nothing { .. } => None,
            PeekError::Damaged { source, .. } => Some(source),
        }
    }
}

/// Reads the newest undamaged checkpoint at `path`: the directory of a store, a checkpoint file, or
/// a slot file.
///
/// It takes no lock and writes nothing, so it may run beside a store that saves. Neither the id of
/// the store nor its codec need be known. Damaged checkpoints are passed over; one of another
/// format version is an error. For operators and tests: what it returns may be neither durable nor
/// the newest by the time that it returns, so [`recover`](crate::recover()) is the way to begin
/// from it.
///
/// ```
/// use repl_checkpoint::{FileStore, JsonCodec, OnCorrupt, StoreId, peek, recover};
/// use repl_core::ShardId;
///
/// let dir = tempfile::tempdir()?;
/// let store = FileStore::open(dir.path(), StoreId(7))?;
/// let mut follower = recover(store, JsonCodec, &[ShardId(1)], OnCorrupt::Fail)?;
/// follower.state.advance(ShardId(1), 42);
/// follower.checkpointer.checkpoint(|_| Ok(()))?;
///
/// let found = peek(dir.path())?; // beside the store, which is still open
/// assert_eq!((found.header.store, found.header.generation), (StoreId(7), 1));
/// assert_eq!(found.checkpoint.ok_or("another codec")?.shards[0].mark, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`PeekError`].
pub fn peek(path: impl AsRef<Path>) -> Result<Peeked, PeekError> {
    let path = path.as_ref();
    let kind = std::fs::metadata(path).map_err(|source| failed("look at", path, source))?;
    if !kind.is_dir() {
        return peek_file(path);
    }
    let mut result = None;
    for left in (0..TRIES).rev() {
        let names = OsDisk.list(path).map_err(|source| failed("list", path, source))?;
        let mut generations = generations_in(&names);
        generations.sort_unstable_by(|a, b| b.cmp(a));
        let slot_file =
            names.iter().any(|name| name == SLOT_FILE).then(|| (path.join(SLOT_FILE), None));
        let file = |generation| (path.join(checkpoint_file(generation)), Some(generation));
        let files = generations.into_iter().map(file);
        match newest_of(files.chain(slot_file), left > 0) {
            Some(Err(error)) if error.is_missing() => result = Some(Err(error)),
            found => {
                result = found;
                break;
            }
        }
    }
    result.unwrap_or_else(|| Err(PeekError::Nothing { path: path.to_owned() }))
}

/// Reads the first whole file that is of the generation in its name. A newer save has removed a file
/// that is missing: if that `is_checked`, no file after it is the newest.
fn newest_of(
    files: impl Iterator<Item = (PathBuf, Option<Generation>)>,
    is_checked: bool,
) -> Option<Result<Peeked, PeekError>> {
    let mut newest_error = None;
    for (file, expected) in files {
        match peek_file(&file).and_then(|found| found.of(expected)) {
            Err(error) if is_checked && error.is_missing() => return Some(Err(error)),
            Err(error) if error.is_other_version() => return Some(Err(error)),
            Err(error) => newest_error = newest_error.or(Some(error)),
            found => return Some(found),
        }
    }
    newest_error.map(Err)
}

fn peek_file(path: &Path) -> Result<Peeked, PeekError> {
    // Opening a pipe would wait for a writer.
    if !std::fs::metadata(path).map_err(|source| failed("look at", path, source))?.is_file() {
        let source = io::Error::new(io::ErrorKind::InvalidInput, "neither a file nor a directory");
        return Err(failed("read", path, source));
    }
    let head = OsDisk.read_at(path, 0, HEAD).map_err(|source| failed("read", path, source))?;
    let has_page = slot_file_length(&head).is_some() || other_slot_version(&head).is_some();
    if is_slot_file(path, &head) && !has_page {
        return peek_without_page(path);
    }
    let mut before = None;
    let mut left = TRIES;
    loop {
        let bytes = read(path).map_err(|error| not_read(path, error))?;
        left = left.saturating_sub(1);
        let settled = before.as_ref() == Some(&bytes);
        match newest_in(path, &bytes) {
            // A slot that is torn because it is written to holds the newest one.
            Ok((found, all_whole)) if settled || left == 0 || all_whole => return Ok(found),
            Err(source) if settled => return Err(damaged(path, source)),
            // It may have been written to while it was read.
            Ok(_) | Err(_) => before = Some(bytes),
        }
    }
}

/// Reads a slot file whose first page is damaged, as a recovery does: its length says where its slots
/// are. Of a huge file only what its headers name is read.
fn peek_without_page(path: &Path) -> Result<Peeked, PeekError> {
    let store = store_of(&OsDisk, path).map_err(|source| failed("read", path, source))?;
    let Some(store) = store else { return Err(damaged(path, UnsealError::Magic)) };
    let mut candidates = candidates_in(&OsDisk, path, store).map_err(|error| match error {
        LoadError::Io { act, path, source } => PeekError::Io { act, path, source },
        _ => damaged(path, UnsealError::Magic),
    })?;
    let mut newest_error = None;
    while let Some((candidate, location)) = candidates.next_with_location() {
        if location.slot.is_none() {
            continue; // the first page
        }
        let deltas: Vec<&[u8]> = candidate.deltas.iter().map(Vec::as_slice).collect();
        let found = candidate.bytes.map_err(|error| not_read(path, error)).and_then(|bytes| {
            unsealed(path, &bytes, &deltas).map_err(|source| damaged(path, source))
        });
        match found {
            Ok(found) => return Ok(found),
            Err(error) => newest_error = newest_error.or(Some(error)),
        }
    }
    Err(newest_error.unwrap_or_else(|| damaged(path, UnsealError::Magic)))
}

/// Reads a file whose length is the one in its header, and the first bytes of any other.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let head = OsDisk.read_at(path, 0, HEAD)?;
    if !is_slot_file(path, &head) {
        return read_checkpoint(&OsDisk, path);
    }
    match slot_file_length(&head) {
        Some(length) if length as u64 == OsDisk.length(path)? => OsDisk.read_at(path, 0, length),
        _ => Ok(head),
    }
}

/// The newest undamaged checkpoint in the bytes of a file, and whether all of the file is whole.
fn newest_in(path: &Path, bytes: &[u8]) -> Result<(Peeked, bool), UnsealError> {
    if !is_slot_file(path, bytes) {
        return Ok((unsealed(path, bytes, &[])?, true));
    }
    if let Some(version) = other_slot_version(bytes) {
        return Err(UnsealError::Version { version });
    }
    let found = whole_chains(bytes).ok_or(UnsealError::Magic)?;
    let mut newest_error = None;
    for chain in found.chains {
        match unsealed(path, chain.envelope, &chain.deltas) {
            Ok(peeked) => return Ok((peeked, found.is_all && newest_error.is_none())),
            Err(error) => newest_error = newest_error.or(Some(error)),
        }
    }
    Err(newest_error.unwrap_or(UnsealError::Magic))
}

fn unsealed(path: &Path, bytes: &[u8], deltas: &[&[u8]]) -> Result<Peeked, UnsealError> {
    let Sealed { header, codec, .. } = verify(bytes)?;
    let newest = match deltas.last() {
        Some(delta) => newest_header(delta)?,
        None => header,
    };
    let checkpoint = match known_codec(codec) {
        Some(known) => Some(chain::unseal(known, header.store, bytes, deltas)?.1),
        None => None,
    };
    Ok(Peeked { path: path.to_owned(), header: newest, codec: codec.to_owned(), checkpoint })
}

fn newest_header(delta: &[u8]) -> Result<Header, UnsealError> {
    let damaged = |source| UnsealError::Delta { generation: 0, source };
    SealedDelta::of(delta).map(|sealed| sealed.line.delta.header).map_err(damaged)
}

/// A read that saw the damage before it had read everything says so in its error.
fn not_read(path: &Path, error: io::Error) -> PeekError {
    match error.downcast::<UnsealError>() {
        Ok(source) => damaged(path, source),
        Err(source) => failed("read", path, source),
    }
}

fn damaged(path: &Path, source: UnsealError) -> PeekError {
    PeekError::Damaged { path: path.to_owned(), source }
}

fn failed(act: &'static str, path: &Path, source: io::Error) -> PeekError {
    PeekError::Io { act, path: path.to_owned(), source }
}

impl Peeked {
    /// Checks that it is of the generation that its name says.
    fn of(self, expected: Option<Generation>) -> Result<Self, PeekError> {
        match check_generation(expected, self.header) {
            Ok(()) => Ok(self),
            Err(source) => Err(PeekError::Damaged { path: self.path, source }),
        }
    }
}

impl PeekError {
    fn is_missing(&self) -> bool {
        matches!(self, PeekError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    /// Whether it is not damaged, but of a version that another release reads.
    fn is_other_version(&self) -> bool {
        matches!(self, PeekError::Damaged { source: UnsealError::Version { .. }, .. })
    }
}
