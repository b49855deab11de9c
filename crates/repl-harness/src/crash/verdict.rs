//! What a process makes of one file's bytes. Files with equal verdicts need only be tried once.

use std::io;
use std::mem::discriminant;
use std::path::Path;

use repl_checkpoint::{Checkpoint, CheckpointStore, LoadError, SlotStore, UnsealError};

use super::disk::{SimDisk, State, hash_bytes, hash128};
use super::layout::{DIR, STORE_ID, slot_file};
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
    let Ok(disk) = with_slots(file) else { return 0 };
    let store = SlotStore::open_on(disk, Path::new(DIR), STORE_ID);
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
            let deltas: Vec<u128> =
                candidate.deltas.iter().map(|delta| hash_bytes(delta)).collect();
            (candidate.generation, bytes, deltas, kind.as_ref().map(discriminant))
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

/// A disk with nothing but a slot file.
fn with_slots(bytes: Vec<u8>) -> io::Result<SimDisk> {
    let mut state = State::new();
    for dir in [Path::new(DIR).parent(), Some(Path::new(DIR))].into_iter().flatten() {
        state.create_dir(dir)?;
    }
    state.put(&slot_file(), bytes)?;
    Ok(SimDisk::of(state))
}
