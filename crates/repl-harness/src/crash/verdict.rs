//! What a process makes of one file's bytes. Files with equal verdicts need only be tried once.

use std::hash::Hash;
use std::io;
use std::mem::discriminant;
use std::path::Path;

use repl_checkpoint::{
    Candidate, Checkpoint, CheckpointStore, CorruptReason, DeltaError, LoadError, SlotStore,
    UnsealError,
};

use super::disk::{SimDisk, State, hash_bytes, hash128};
use super::layout::{DIR, STORE_ID, slot_file};
use super::mutants::{Mutant, read_mutated, read_mutated_slots};
use super::padded::PLAIN;
use super::watched::hash_chain;

/// The verdict on a `FileStore`'s file: the bytes of a whole checkpoint, or else the kind of error.
pub(crate) fn of_checkpoint(mutant: Option<Mutant>, file: &[u8]) -> u128 {
    let read = mutant.map(|mutant| read_mutated(mutant, file));
    match Checkpoint::unseal(&PLAIN, STORE_ID, read.as_deref().unwrap_or(file)) {
        Ok(_) => hash_bytes(file),
        Err(reason) => hash128(&(discriminant(&reason), file.is_empty())),
    }
}

/// The verdict on a `SlotStore`'s file: what the store loads from it, and its length. A whole chain
/// is represented by its bytes, a damaged one by the kind of error.
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
    let known: Vec<_> =
        loaded.into_iter().map(|candidate| of_candidate(mutant, candidate)).collect();
    hash128(&(length, known))
}

/// What recovery makes of a candidate. A whole chain is represented by all of its bytes.
fn of_candidate(mutant: Option<Mutant>, candidate: Candidate) -> impl Hash {
    let generation = candidate.generation;
    let chain = candidate.bytes.as_ref().map(|bytes| hash_chain(bytes, &candidate.deltas));
    let chain = chain.unwrap_or_default();
    let bytes = match mutant {
        Some(mutant) => candidate.bytes.map(|bytes| read_mutated(mutant, &bytes)),
        None => candidate.bytes,
    };
    match (Candidate { bytes, ..candidate }).unseal(&PLAIN, STORE_ID) {
        Ok(_) => (generation, chain, None),
        Err(CorruptReason::Unseal(reason)) => {
            let delta = match &reason {
                UnsealError::Delta { generation, source } => {
                    Some((*generation, discriminant(source)))
                }
                _ => None,
            };
            let payload = match &reason {
                UnsealError::Delta { source: DeltaError::Payload(reason), .. } => {
                    Some(discriminant(&**reason))
                }
                _ => None,
            };
            let chain = if is_whole(&reason) { chain } else { 0 };
            (generation, chain, Some((Some(discriminant(&reason)), delta, payload)))
        }
        Err(_) => (generation, chain, Some((None, None, None))),
    }
}

/// Whether the records are intact and only their content is refused.
fn is_whole(reason: &UnsealError) -> bool {
    match reason {
        UnsealError::Empty
        | UnsealError::Magic
        | UnsealError::Version { .. }
        | UnsealError::Header
        | UnsealError::Length { .. }
        | UnsealError::Checksum { .. } => false,
        UnsealError::Delta { source: DeltaError::Payload(reason), .. } => is_whole(reason),
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
