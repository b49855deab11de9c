//! Kinds of damage to the newest checkpoint.

use std::fs;
use std::path::{Path, PathBuf};

use repl_checkpoint::{Checkpoint, FileStore, Generation, JsonCodec, SlotStore};

use crate::support::format::used;
use crate::support::{STORE, file};

/// One kind, for one store.
pub(super) struct Damage<S> {
    pub(super) name: &'static str,
    pub(super) apply: fn(&Path),
    /// Whether recovery reports that it fell back.
    pub(super) is_reported: bool,
    /// Whether it falls back with `OnCorrupt::Fail` too.
    pub(super) even_with_fail: bool,
    /// Whether marks are lost.
    pub(super) falls_back: bool,
    pub(super) store: std::marker::PhantomData<S>,
}

impl<S> Clone for Damage<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Damage<S> {}

/// Damage to the newest file.
pub(super) const FILES: &[Damage<FileStore>] = &[
    of_files("an empty file", |dir| to_file(dir, |_| Vec::new())),
    of_files("half a file", |dir| to_file(dir, |bytes| bytes[..bytes.len() / 2].to_vec())),
    of_files("a flipped bit", |dir| to_file(dir, flipped)),
    of_files("zeros", |dir| to_file(dir, |bytes| vec![0; bytes.len()])),
    of_files("a byte too many", |dir| to_file(dir, |bytes| [bytes, b" "].concat())),
    of_files("the file before it in its place", |dir| {
        let [older, newest] = two_newest_files(dir);
        fs::copy(older, newest).map(drop).unwrap();
    }),
    // A missing file cannot be noticed.
    Damage {
        is_reported: false,
        even_with_fail: true,
        ..of_files("no file", |dir| fs::remove_file(&two_newest_files(dir)[1]).unwrap())
    },
];

/// Damage to the newest slot.
pub(super) const SLOTS: &[Damage<SlotStore>] = &[
    of_slots("a slot of zeros", |dir| to_slot(dir, |slot, _| slot.fill(0))),
    of_slots("half a slot", |dir| to_slot(dir, |slot, _| slot[200..].fill(0))),
    of_slots("a flipped bit", |dir| to_slot(dir, |slot, _| slot[190] ^= 4)),
    of_slots("garbage", |dir| to_slot(dir, |slot, _| slot.fill(0xa5))),
    Damage {
        falls_back: false,
        ..of_slots("a byte behind it", |dir| to_slot(dir, |slot, _| *slot.last_mut().unwrap() = 1))
    },
    // It is whole, so the loss of the newest one cannot be noticed.
    Damage {
        is_reported: false,
        ..of_slots("the older checkpoint in its place", |dir| {
            to_slot(dir, |slot, older| slot.copy_from_slice(older));
        })
    },
    Damage {
        falls_back: false,
        ..of_slots("no first page", |dir| {
            let path = dir.join("marks.slots");
            let mut bytes = fs::read(&path).unwrap();
            bytes[..PAGE].fill(0);
            fs::write(path, bytes).unwrap();
        })
    },
];

const fn of_files(name: &'static str, apply: fn(&Path)) -> Damage<FileStore> {
    Damage {
        name,
        apply,
        is_reported: true,
        even_with_fail: false,
        falls_back: true,
        store: std::marker::PhantomData,
    }
}

const fn of_slots(name: &'static str, apply: fn(&Path)) -> Damage<SlotStore> {
    Damage {
        name,
        apply,
        is_reported: true,
        even_with_fail: true,
        falls_back: true,
        store: std::marker::PhantomData,
    }
}

fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[190] ^= 4;
    bytes
}

fn to_file(dir: &Path, change: fn(&[u8]) -> Vec<u8>) {
    let [_, newest] = two_newest_files(dir);
    let bytes = fs::read(&newest).unwrap();
    fs::write(newest, change(&bytes)).unwrap();
}

fn two_newest_files(dir: &Path) -> [PathBuf; 2] {
    let generation = |name: String| name.strip_suffix(".checkpoint")?.parse::<Generation>().ok();
    let names = crate::support::names(dir).into_iter();
    let newest = names.filter_map(generation).max().unwrap();
    [file(dir, newest.saturating_sub(1)), file(dir, newest)]
}

const PAGE: usize = 4096;

/// Changes the slot of the newest checkpoint. `change` gets the slot before it too, to copy from.
fn to_slot(dir: &Path, change: fn(&mut [u8], &[u8])) {
    let path = dir.join("marks.slots");
    let mut bytes = fs::read(&path).unwrap();
    let size = (bytes.len() - PAGE) / 3;
    let generation =
        |slot: &[u8]| Some(Checkpoint::unseal(&JsonCodec, STORE, used(slot)).ok()?.0.generation);
    let slots: Vec<_> = bytes[PAGE..].chunks(size).map(generation).collect();
    let newest = (0..3).max_by_key(|slot| slots[*slot]).unwrap();
    let start = |slot: usize| PAGE + slot * size;
    let older = start((newest + 2) % 3);
    let older = bytes[older..older + size].to_vec();
    change(&mut bytes[start(newest)..start(newest + 1)], &older);
    fs::write(path, bytes).unwrap();
}
