//! What was saved, and what must be found of it.

use std::collections::BTreeMap;

use repl_checkpoint::{
    Candidate, Checkpoint, Generation, Header, JsonCodec, Save, ShardCheckpoint, StoreId, open,
    seal,
};
use repl_core::{Incarnation, LogId, ShardId, SnapshotEntry};

use super::{AnyStore, StorePromise, StoreViolation, guarded, saved};

/// How much is saved.
#[derive(Debug, Clone, Copy)]
pub(super) enum Size {
    /// No shards at all.
    Tiny,
    Small,
    /// More than a page or two.
    Large,
}

/// What was saved in one directory.
pub(super) struct Ledger {
    id: StoreId,
    saved: BTreeMap<Generation, Vec<u8>>,
    /// What the newest named as confirmed.
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
        saved(store, Save { generation, confirmed, bytes: &bytes })?;
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
        let (log, incarnation) = (LogId::UNNAMED, Incarnation(0));
        let entry = |id| SnapshotEntry { shard: ShardId(id), log, incarnation, mark: generation };
        let shards = (0..shards).map(|id| ShardCheckpoint::from(entry(id))).collect();
        let checkpoint = Checkpoint { next_incarnation: Incarnation(1), shards };
        let header = Header { store: self.id, generation, confirmed };
        seal(&JsonCodec, header, &checkpoint)
            .map_err(|err| StoreViolation::new(StorePromise::Works, err.to_string()))
    }

    pub(super) fn load(&self, store: &mut AnyStore) -> Result<Vec<Candidate>, StoreViolation> {
        let id = guarded(|| store.store_id())?;
        if id != self.id {
            let what = format!("it is {}, and later {id}", self.id);
            return Err(StoreViolation::new(StorePromise::IdStays, what));
        }
        guarded(|| store.load())?
            .map_err(|err| StoreViolation::new(StorePromise::Works, format!("the load: {err}")))
    }

    /// Holds a load to what was saved: the newest, and all from the confirmed one on. `newest` is
    /// the promise that is broken where the newest is not found.
    pub(super) fn is_found(
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
            if candidate.generation.is_some_and(|said| said != generation) {
                let said = candidate.generation;
                let what = format!("{place} holds generation {generation} and is called {said:?}");
                return Err(StoreViolation::new(StorePromise::GenerationIsRight, what));
            }
            found.push(generation);
        }
        if found.windows(2).any(|pair| pair[0] <= pair[1]) {
            let what = format!("generations are found in this order: {found:?}");
            return Err(StoreViolation::new(StorePromise::NewestFirst, what));
        }
        if self.newest() != 0 && !found.contains(&self.newest()) {
            let what = format!("{} was saved, and {found:?} are found", self.newest());
            return Err(StoreViolation::new(newest, what));
        }
        let confirmed = self.confirmed;
        match self.saved.range(confirmed..).find(|(generation, _)| !found.contains(generation)) {
            None => Ok(()),
            Some((generation, _)) => {
                let what = format!(
                    "{generation} is gone, {confirmed} was named as confirmed, and {found:?} are found"
                );
                Err(StoreViolation::new(StorePromise::ConfirmedIsKept, what))
            }
        }
    }

    /// The generation of bytes that were saved; why not, where they were not or are refused.
    pub(super) fn opened(&self, bytes: &[u8]) -> Result<Generation, String> {
        let (header, _) =
            open(&JsonCodec, self.id, bytes).map_err(|refused| refused.to_string())?;
        match self.saved.get(&header.generation) {
            Some(saved) if saved == bytes => Ok(header.generation),
            _ => {
                Err(format!("its bytes say generation {}, and are not as saved", header.generation))
            }
        }
    }

    /// Whether bytes are accepted that were never saved.
    pub(super) fn is_forged(&self, bytes: &[u8]) -> bool {
        open(&JsonCodec, self.id, bytes).is_ok() && self.opened(bytes).is_err()
    }
}
