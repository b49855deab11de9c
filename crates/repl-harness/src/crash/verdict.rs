//! What a process makes of one file's bytes. Files with equal verdicts need only be tried once.

use std::ffi::OsString;
use std::io;
use std::mem::discriminant;
use std::path::Path;

use repl_checkpoint::{
    Checkpoint, CheckpointStore, Disk, FileKind, LoadError, SlotStore, UnsealError,
};

use super::disk::{hash_bytes, hash128};
use super::layout::{DIR, STORE_ID};
use super::mutants::{Mutant, read_mutated, read_mutated_slots};
use super::padded::PLAIN;

/// The verdict on a `FileStore`'s file: the bytes of a whole checkpoint, or else the kind of error.
pub(crate) fn of_checkpoint(mutant: Option<Mutant>, file: &[u8]) -> u128 {
    let read = mutant.map(|mutant| read_mutated(mutant, file));
    match Checkpoint::unseal(&PLAIN, STORE_ID, read.as_deref().unwrap_or(file)) {
        Ok(_) => hash_bytes(file),
        Err(reason) => hash128(&(discriminant(&reason), file.is_empty())),
    }
}

/// The verdict on a `SlotStore`'s file: what the store loads from it, and its length. A whole
/// checkpoint is represented by its bytes, a damaged slot by the kind of error.
pub(crate) fn of_slots(mutant: Option<Mutant>, file: &[u8]) -> u128 {
    let file = match mutant {
        Some(mutant) => read_mutated_slots(mutant, file),
        None => file.to_vec(),
    };
    let length = file.len();
    let store = SlotStore::open_on(OneFile(file), Path::new(DIR), STORE_ID);
    let loaded = store.map(|mut store| store.load().map(Iterator::collect::<Vec<_>>));
    let loaded = match loaded {
        Ok(Ok(candidates)) => candidates,
        Ok(Err(LoadError::Slots { reason, .. })) => return hash128(&discriminant(&reason)),
        other => return hash128(&format!("{other:?}")),
    };
    let known: Vec<_> = loaded
        .into_iter()
        .map(|candidate| {
            let bytes = candidate.bytes.unwrap_or_default();
            let read = mutant.map(|mutant| read_mutated(mutant, &bytes));
            let kind =
                Checkpoint::unseal(&PLAIN, STORE_ID, read.as_deref().unwrap_or(&bytes)).err();
            let whole = kind.as_ref().is_none_or(is_whole);
            let bytes = if whole { hash_bytes(&bytes) } else { 0 };
            (candidate.generation, bytes, kind.as_ref().map(discriminant))
        })
        .collect();
    hash128(&(length, known))
}

/// Whether the envelope is intact and only its content is refused.
fn is_whole(reason: &UnsealError) -> bool {
    match reason {
        UnsealError::Empty
        | UnsealError::Magic
        | UnsealError::Version { .. }
        | UnsealError::Header
        | UnsealError::Length { .. }
        | UnsealError::Checksum { .. } => false,
        // Errors that are added later count as whole: telling too many apart is only slow.
        _ => true,
    }
}

/// A read-only disk on which every file holds the same bytes.
struct OneFile(Vec<u8>);

impl Disk for OneFile {
    type File = ();
    type Dir = ();
    type Lock = ();

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn open_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, _: &Path) -> io::Result<Vec<OsString>> {
        Ok(Vec::new())
    }

    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        Ok(if path == Path::new(DIR) { FileKind::Dir } else { FileKind::File })
    }

    fn length(&self, _: &Path) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, _: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let start = usize::try_from(offset).map_or(self.0.len(), |o| o.min(self.0.len()));
        let end = start.saturating_add(length).min(self.0.len());
        Ok(self.0[start..end].to_vec())
    }

    fn create_new(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn write(&self, (): &mut (), _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_file(&self, (): &()) -> io::Result<()> {
        Ok(())
    }

    fn write_at(&self, (): &(), _: u64, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_data(&self, (): &()) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync_dir(&self, (): &()) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn try_lock(&self, _: &Path) -> io::Result<Option<()>> {
        Ok(Some(()))
    }

    fn lock_is_at(&self, (): &(), _: &Path) -> io::Result<bool> {
        Ok(true)
    }

    fn dir_is_at(&self, (): &(), _: &Path) -> io::Result<bool> {
        Ok(true)
    }

    fn file_is_at(&self, (): &(), _: &Path) -> io::Result<bool> {
        Ok(true)
    }
}
