//! A store that breaks one promise fails the suite, which names the promise.

use std::cmp::Reverse;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use repl_checkpoint::{
    Candidate, Candidates, Checkpoint, CheckpointStore, Header, JsonCodec, LoadError, Save,
    SaveError, StoreId,
};
use repl_harness::suites::{StoreOptions, StorePromise, StoreViolation, store_suite};

const ID: StoreId = StoreId(7);

/// The promise that a store breaks.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Wrong {
    Nothing,
    KeepsOnlyTheNewest,
    KeepsTwoWhateverIsConfirmed,
    OldestFirst,
    ForgetsAtReopen,
    Truncates,
    LeavesTheTailOfALongerOne,
    OtherGeneration,
    DoesNotLock,
    StaysLocked,
    NewIdAtEachOpen,
    FindsWhatNobodySaved,
    PanicsOnEmptyFiles,
    PanicsAtTheEnd,
    SkipsDamaged,
    TakesEmptyForNone,
    SealsAgain,
    FailsLargeSaves,
}

/// One file per generation, as in the example in the docs, with one promise broken.
struct Files {
    dir: PathBuf,
    _lock: File,
    wrong: Wrong,
    id: StoreId,
}

static OPENED: AtomicU64 = AtomicU64::new(0);

fn opened(dir: &Path, wrong: Wrong) -> io::Result<Files> {
    let lock = File::create(dir.join("lock"))?;
    match lock.try_lock() {
        Err(TryLockError::WouldBlock) if wrong != Wrong::DoesNotLock => {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
        Err(TryLockError::Error(err)) => return Err(err),
        _ => {}
    }
    if wrong == Wrong::StaysLocked {
        std::mem::forget(lock.try_clone()?);
    }
    let id = match wrong {
        Wrong::NewIdAtEachOpen => StoreId(OPENED.fetch_add(1, Relaxed).into()),
        _ => ID,
    };
    let store = Files { dir: dir.to_owned(), _lock: lock, wrong, id };
    if wrong == Wrong::ForgetsAtReopen {
        store.remove_before(u64::MAX);
    }
    Ok(store)
}

impl Files {
    fn generations(&self) -> Vec<u64> {
        let named = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
        fs::read_dir(&self.dir).unwrap().filter_map(|entry| named(entry.unwrap())).collect()
    }

    fn remove_before(&self, generation: u64) {
        for old in self.generations().into_iter().filter(|old| *old < generation) {
            fs::remove_file(self.dir.join(old.to_string())).unwrap();
        }
    }

    /// The payload sealed anew, without a check of the old checksum.
    fn sealed_again(&self, generation: u64, bytes: &[u8]) -> Vec<u8> {
        let Some(payload) = bytes.get(197..) else { return bytes.to_vec() };
        let Ok(checkpoint) = Checkpoint::decode(&JsonCodec, payload) else {
            return bytes.to_vec();
        };
        let digits = std::str::from_utf8(&bytes[115..135]).unwrap_or_default();
        let confirmed = digits.parse().unwrap_or(0);
        let header = Header { store: self.id, generation, confirmed };
        checkpoint.seal(&JsonCodec, header).unwrap_or_default()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        assert!(self.wrong != Wrong::PanicsAtTheEnd, "at the end");
    }
}

impl CheckpointStore for Files {
    fn store_id(&self) -> StoreId {
        self.id
    }

    fn load(&mut self) -> Result<Candidates<'_>, LoadError> {
        let mut generations = self.generations();
        generations.sort_by_key(|generation| Reverse(*generation));
        let mut found = Vec::new();
        for generation in generations {
            let path = self.dir.join(generation.to_string());
            let mut bytes = fs::read(&path).unwrap();
            match self.wrong {
                Wrong::TakesEmptyForNone if bytes.is_empty() => continue,
                Wrong::SkipsDamaged if Checkpoint::unseal(&JsonCodec, ID, &bytes).is_err() => {
                    continue;
                }
                Wrong::PanicsOnEmptyFiles => assert_ne!(bytes[0], 0),
                Wrong::SealsAgain => bytes = self.sealed_again(generation, &bytes),
                _ => {}
            }
            let generation = generation + u64::from(self.wrong == Wrong::OtherGeneration);
            let (generation, bytes) = (Some(generation), Ok(bytes));
            found.push(Candidate { path, generation, bytes, deltas: Vec::new() });
        }
        match self.wrong {
            Wrong::OldestFirst => found.reverse(),
            Wrong::FindsWhatNobodySaved if found.is_empty() => found.push(Candidate {
                path: self.dir.clone(),
                generation: Some(1),
                bytes: Ok(Vec::new()),
                deltas: Vec::new(),
            }),
            _ => {}
        }
        Ok(Box::new(found.into_iter()))
    }

    fn save(&mut self, save: Save<'_>) -> Result<(), SaveError> {
        let path = self.dir.join(save.generation.to_string());
        if self.wrong == Wrong::FailsLargeSaves && save.bytes.len() > 4096 {
            let source = io::ErrorKind::FileTooLarge.into();
            return Err(SaveError::NotSaved { act: "write", path, source });
        }
        let mut bytes = save.bytes.to_vec();
        match self.wrong {
            Wrong::Truncates => bytes.truncate(4096),
            Wrong::LeavesTheTailOfALongerOne => {
                let newest = self.generations().into_iter().max().unwrap_or(0);
                let old = fs::read(self.dir.join(newest.to_string())).unwrap_or_default();
                bytes.extend(old.get(bytes.len()..).unwrap_or_default());
            }
            _ => {}
        }
        fs::write(&path, bytes).unwrap();
        match self.wrong {
            Wrong::KeepsOnlyTheNewest => self.remove_before(save.generation),
            Wrong::KeepsTwoWhateverIsConfirmed => {
                let mut all = self.generations();
                all.sort_unstable();
                let second = all.iter().rev().nth(1);
                self.remove_before(second.copied().unwrap_or(0));
            }
            _ => self.remove_before(save.confirmed),
        }
        Ok(())
    }
}

fn tried(wrong: Wrong, options: StoreOptions) -> Result<(), StoreViolation> {
    store_suite(options, |dir| opened(dir, wrong)).map(|_| ())
}

#[test]
fn every_wrong_store_fails_with_the_promise_it_breaks() {
    let expected = [
        (Wrong::KeepsOnlyTheNewest, StorePromise::ConfirmedIsKept, "is gone"),
        (Wrong::KeepsTwoWhateverIsConfirmed, StorePromise::ConfirmedIsKept, "is gone"),
        (Wrong::OldestFirst, StorePromise::NewestFirst, "in this order"),
        (Wrong::ForgetsAtReopen, StorePromise::SurvivesReopen, "was saved, and only [] are found"),
        (Wrong::Truncates, StorePromise::SavedIsLoaded, "its header says"),
        (Wrong::LeavesTheTailOfALongerOne, StorePromise::SavedIsLoaded, "its header says"),
        (Wrong::OtherGeneration, StorePromise::GenerationIsRight, "is reported as Some(2)"),
        (Wrong::DoesNotLock, StorePromise::OneOwner, "a second time"),
        (Wrong::StaysLocked, StorePromise::Works, "the open: "),
        (Wrong::NewIdAtEachOpen, StorePromise::IdStays, "when it is opened again"),
        (Wrong::FindsWhatNobodySaved, StorePromise::FreshIsEmpty, "1 checkpoints"),
        (Wrong::PanicsOnEmptyFiles, StorePromise::NoPanic, "out of bounds"),
        (Wrong::PanicsAtTheEnd, StorePromise::NoPanic, "at the end"),
        (Wrong::SkipsDamaged, StorePromise::DamageIsReported, "4 is found, but 5 was saved"),
        (Wrong::TakesEmptyForNone, StorePromise::DamageIsReported, "4 is found, but 5"),
        (Wrong::SealsAgain, StorePromise::NothingUnsaved, "were not saved"),
        (Wrong::FailsLargeSaves, StorePromise::Works, "the save of generation 3"),
    ];
    for (wrong, promise, says) in expected {
        let broken = tried(wrong, StoreOptions::default()).unwrap_err();
        let reason = broken.promise == promise && broken.what.contains(says);
        assert!(reason, "{wrong:?}: {broken}");
        assert!(broken.to_string().contains(&promise.to_string()));
        let damaged = [StorePromise::NothingUnsaved, StorePromise::DamageIsReported];
        assert!(broken.damage.is_some() || !damaged.contains(&promise), "{broken}");
    }
}

#[test]
fn a_store_that_breaks_no_promise_passes() {
    tried(Wrong::Nothing, StoreOptions::default()).unwrap();
}

#[test]
fn a_promise_that_a_store_does_not_make_is_not_tested() {
    let options = StoreOptions { locks: false, in_files: true };
    tried(Wrong::DoesNotLock, options).unwrap();
    let options = StoreOptions { locks: true, in_files: false };
    tried(Wrong::SkipsDamaged, options).unwrap();
}
