//! What a process makes of one file's bytes, and so what files may count as one.

use std::ffi::OsString;
use std::io;
use std::mem::discriminant;
use std::path::Path;

use repl_checkpoint::{
    CheckpointStore, Disk, FileKind, JsonCodec, LoadError, SlotStore, UnsealError, open,
};

use super::disk::{hash_bytes, hash128};
use super::protocol::{DIR, STORE};
use super::sabotage::{Sabotage, read_wrong, read_wrong_slots};

/// The file of a `FileStore`: a whole checkpoint is known by its bytes, all that is refused by the
/// kind of refusal.
pub(crate) fn of_checkpoint(wrong: Option<Sabotage>, file: &[u8]) -> u128 {
    let read = wrong.map(|wrong| read_wrong(wrong, file));
    match open(&JsonCodec, STORE, read.as_deref().unwrap_or(file)) {
        Ok(_) => hash_bytes(file),
        Err(reason) => hash128(&(discriminant(&reason), file.is_empty())),
    }
}

/// The file of a `SlotStore`: what the store itself loads from it, each whole checkpoint by its
/// bytes, each damaged slot by the kind of refusal, and the length of the file.
pub(crate) fn of_slots(wrong: Option<Sabotage>, file: &[u8]) -> u128 {
    let file = match wrong {
        Some(wrong) => read_wrong_slots(wrong, file),
        None => file.to_vec(),
    };
    let length = file.len();
    let store = SlotStore::open_on(OneFile(file), Path::new(DIR), STORE);
    let loaded = match store.map(|mut store| store.load()) {
        Ok(Ok(candidates)) => candidates,
        Ok(Err(LoadError::Slots { reason, .. })) => return hash128(&discriminant(&reason)),
        other => return hash128(&format!("{other:?}")),
    };
    let known: Vec<_> = loaded
        .into_iter()
        .map(|candidate| {
            let bytes = candidate.bytes.unwrap_or_default();
            let read = wrong.map(|wrong| read_wrong(wrong, &bytes));
            let kind = open(&JsonCodec, STORE, read.as_deref().unwrap_or(&bytes)).err();
            let whole = kind.as_ref().is_none_or(is_whole);
            let bytes = if whole { hash_bytes(&bytes) } else { 0 };
            (candidate.generation, bytes, kind.as_ref().map(discriminant))
        })
        .collect();
    hash128(&(length, known))
}

/// Whether the envelope is sound and what is refused is what it holds.
fn is_whole(reason: &UnsealError) -> bool {
    match reason {
        UnsealError::Empty
        | UnsealError::Magic
        | UnsealError::Version { .. }
        | UnsealError::Header
        | UnsealError::Length { .. }
        | UnsealError::Checksum { .. } => false,
        // And whatever is added: to tell too much apart is only slow.
        _ => true,
    }
}

/// A disk on which every file holds the same bytes, for one that only reads.
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

    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        Ok(self.0.clone())
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
}
