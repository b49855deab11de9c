//! The checkpoints that were saved, and what must be found of them.

use std::collections::BTreeMap;

use repl_checkpoint::{
    Candidate, Checkpoint, Generation, Header, JsonCodec, Save, ShardCheckpoint, StoreId,
};
use repl_core::{AppliedSet, Incarnation, ShardId, SnapshotEntry};

use super::{AnyStore, StorePromise, StoreViolation, guarded, saved};

/// The size of a checkpoint.
#[derive(Debug, Clone, Copy)]
pub(super) enum Size {
    /// No shards.
    Tiny,
    Small,
    /// More than a page or two.
    Large,
}

/// The checkpoints that were saved in one directory.
pub(super) struct Ledger {
    id: StoreId,
    saved: BTreeMap<Generation, Vec<u8>>,
    /// The confirmed generation of the newest save.
    confirmed: Generation,
}

impl Ledger {
    pub(super) fn new(id: StoreId) -> Self {
        Ledger { id, saved: BTreeMap::new(), confirmed: 0 }
    }

    pub(super) fn newest(&self) -> Generation {
        self.saved.last_key_value().map_or(0, |(generation, _)| *generation)
    }

    pub(super) fn confirmed(&self) -> Generation {
        self.confirmed
    }

    pub(super) fn save(
        &mut self,
        store: &mut AnyStore,
        generation: Generation,
        confirmed: Generation,
        size: Size,
    ) -> Result<(), StoreViolation> {
        let bytes = self.sealed(generation, confirmed, size)?;
        saved(store, Save { generation, confirmed, bytes: &bytes, base: None })?;
        self.saved.insert(generation, bytes);
        self.confirmed = confirmed;
        Ok(())
    }

    fn sealed(
        &self,
        generation: Generation,
        confirmed: Generation,
        size: Size,
    ) -> Result<Vec<u8>, StoreViolation> {
        let shards = match size {
            Size::Tiny => 0,
            Size::Small => 3,
            Size::Large => 400,
        };
        let applied = AppliedSet::up_to(generation);
        let entry = |id| SnapshotEntry::new(ShardId(id), applied.clone());
        let shards = (0..shards).map(|id| ShardCheckpoint::from(entry(id))).collect();
        let checkpoint = Checkpoint { next_incarnation: Incarnation(1), shards };
        let header = Header { store: self.id, generation, confirmed };
        checkpoint
            .seal(&JsonCodec, header)
            .map_err(|err| StoreViolation::new(StorePromise::Works, err.to_string()))
    }

    pub(super) fn load(&self, store: &mut AnyStore) -> Result<Vec<Candidate>, StoreViolation> {
        let id = guarded(|| store.store_id())?;
        if id != self.id {
            let what = format!("its id is {}, and later {id}", self.id);
            return Err(StoreViolation::new(StorePromise::IdStays, what));
        }
        guarded(|| store.load().map(Iterator::collect))?
            .map_err(|err| StoreViolation::new(StorePromise::Works, format!("the load: {err}")))
    }

    /// Checks that a load returns the newest save and all others from the confirmed one on. `newest`
    /// is the promise that is broken if the newest is not found.
    pub(super) fn check(
        &self,
        store: &mut AnyStore,
        newest: StorePromise,
    ) -> Result<(), StoreViolation> {
        let mut found = Vec::new();
        for candidate in self.load(store)? {
            let place = candidate.path.display().to_string();
            let unread = |err| StoreViolation::new(StorePromise::Works, format!("{place}: {err}"));
            let bytes = candidate.bytes.map_err(unread)?;
            let generation = self.opened(&bytes).map_err(|what| {
                StoreViolation::new(StorePromise::SavedIsLoaded, format!("{place}: {what}"))
            })?;
            if candidate.generation.is_some_and(|reported| reported != generation) {
                let reported = candidate.generation;
                let what = format!(
                    "{place} holds generation {generation} and is reported as {reported:?}"
                );
                return Err(StoreViolation::new(StorePromise::GenerationIsRight, what));
            }
            found.push(generation);
        }
        if found.windows(2).any(|pair| pair[0] <= pair[1]) {
            let what = format!("generations are found in this order: {found:?}");
            return Err(StoreViolation::new(StorePromise::NewestFirst, what));
        }
        if self.newest() != 0 && !found.contains(&self.newest()) {
            let what = format!("{} was saved, and only {found:?} are found", self.newest());
            return Err(StoreViolation::new(newest, what));
        }
        let confirmed = self.confirmed;
        match self.saved.range(confirmed..).find(|(generation, _)| !found.contains(generation)) {
            None => Ok(()),
            Some((generation, _)) => {
                let what = format!(
                    "{generation} is gone, {confirmed} was confirmed, and only {found:?} are found"
                );
                Err(StoreViolation::new(StorePromise::ConfirmedIsKept, what))
            }
        }
    }

    /// The generation of saved bytes.
    ///
    /// # Errors
    /// If the bytes are refused or were not saved.
    pub(super) fn opened(&self, bytes: &[u8]) -> Result<Generation, String> {
        let (header, _) = Checkpoint::unseal(&JsonCodec, self.id, bytes)
            .map_err(|refused| refused.to_string())?;
        match self.saved.get(&header.generation) {
            Some(saved) if saved == bytes => Ok(header.generation),
            _ => {
                Err(format!("its bytes are of generation {} and were not saved", header.generation))
            }
        }
    }

    /// Whether bytes are accepted and were never saved.
    pub(super) fn is_forged(&self, bytes: &[u8]) -> bool {
        Checkpoint::unseal(&JsonCodec, self.id, bytes).is_ok() && self.opened(bytes).is_err()
    }
}
