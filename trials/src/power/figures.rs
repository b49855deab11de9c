//! Counts what a lane observed.

use std::collections::BTreeMap;
use std::time::Duration;

use repl_harness::crash::StoreKind;

use super::cuts::Fate;
use super::device::Record;
use crate::writer::{Outcome, RunResult};

/// What a lane observed.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) recordings: u64,
    /// The number of writers that were killed.
    pub(super) killed: u64,
    pub(super) writes: u64,
    pub(super) flushes: u64,
    pub(super) images: u64,
    /// The number of images that lack a write or a part of one.
    pub(super) lacking: u64,
    pub(super) fate: Fate,
    pub(super) stores: BTreeMap<StoreKind, StoreFigures>,
    pub(super) elapsed: Duration,
}

/// What a lane observed of one kind of store.
#[derive(Debug, Default)]
pub(super) struct StoreFigures {
    /// The number of saves that were acknowledged before the last cut of their recording.
    pub(super) acknowledged: u64,
    /// How many of these were deltas.
    pub(super) deltas: u64,
    pub(super) recoveries: u64,
    pub(super) outcomes: BTreeMap<Outcome, u64>,
    /// How many recoveries passed over a damaged slot.
    pub(super) fell_back: u64,
    /// The first failure, and the number of images with it.
    pub(super) failure: Option<(u64, Failed)>,
}

/// A check that failed.
#[derive(Debug)]
pub(super) struct Failed {
    /// Whether a store broke a promise. Otherwise a call failed or a mount.
    pub(super) is_broken: bool,
    pub(super) what: String,
}

impl Figures {
    pub(super) fn recorded(&mut self, records: &[Record], killed: u64) {
        let flushes = records.iter().filter(|r| matches!(r, Record::Flush)).count() as u64;
        self.recordings += 1;
        self.killed += killed;
        self.flushes += flushes;
        self.writes += records.len() as u64 - flushes;
    }

    pub(super) fn made(&mut self, fate: Fate) {
        self.images += 1;
        self.lacking += u64::from(fate.lost + fate.torn > 0);
        self.fate.kept += fate.kept;
        self.fate.lost += fate.lost;
        self.fate.torn += fate.torn;
    }

    pub(super) fn recovered(&mut self, kind: StoreKind, result: &RunResult) {
        let store = self.stores.entry(kind).or_default();
        store.recoveries += 1;
        store.fell_back += u64::from(result.passed_over > 0);
        if let Some(outcome) = result.outcome {
            *store.outcomes.entry(outcome).or_default() += 1;
        }
    }

    /// Notes a failure. Returns whether it is the first of this kind of store.
    pub(super) fn failed(&mut self, kind: StoreKind, failed: Failed) -> bool {
        let images = self.images;
        let store = self.stores.entry(kind).or_default();
        let first = store.failure.is_none();
        store.failure.get_or_insert((images, failed));
        first
    }

    /// Whether each kind of store has failed.
    pub(super) fn all_failed(&self) -> bool {
        self.stores.values().all(|store| store.failure.is_some())
    }

    /// Whether cuts came within saves of every store, and writes were lost and torn: otherwise the
    /// run proves nothing.
    pub(super) fn shows(&self) -> bool {
        let of = |store: &StoreFigures, outcome| store.outcomes.contains_key(&outcome);
        let cut = |store: &StoreFigures| of(store, Outcome::Old) || of(store, Outcome::New);
        let is_cut = !self.stores.is_empty() && self.stores.values().all(cut);
        is_cut && self.fate.lost > 0 && self.fate.torn > 0
    }
}
