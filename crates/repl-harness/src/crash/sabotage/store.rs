//! What is done wrong between the checkpointer and the store.

use repl_checkpoint::{
    Candidate, CheckpointStore, Generation, Header, JsonCodec, LoadError, Save, SaveError, StoreId,
    open, seal,
};

use super::{Sabotage, read_wrong, write_wrong};
use crate::crash::protocol::Protocol;
use crate::crash::watched::Watched;

/// A store that passes on what it is given and gives, but for one wrong.
pub(crate) struct WrongStore {
    store: Watched,
    protocol: Protocol,
    wrong: Sabotage,
    /// The generation that the last save was given.
    last: Generation,
}

impl WrongStore {
    pub(crate) fn new(store: Watched, protocol: Protocol, wrong: Sabotage) -> Self {
        WrongStore { store, protocol, wrong, last: 0 }
    }

    /// Whether a save that failed in doubt is told as not saved.
    fn hides(&self, act: &str) -> bool {
        match self.wrong {
            Sabotage::DoubtHidden => true,
            Sabotage::WriteNotSaved => act.starts_with("write"),
            _ => false,
        }
    }

    /// The same checkpoint under another number.
    fn renumbered(&self, save: &Save<'_>, generation: Generation) -> Option<Vec<u8>> {
        let (_, checkpoint) = open(&JsonCodec, self.store_id(), save.bytes).ok()?;
        let confirmed = save.confirmed.min(generation.saturating_sub(1));
        let header = Header { store: self.store_id(), generation, confirmed };
        seal(&JsonCodec, header, &checkpoint).ok()
    }
}

impl CheckpointStore for WrongStore {
    fn store_id(&self) -> StoreId {
        self.store.store_id()
    }

    fn load(&mut self) -> Result<Vec<Candidate>, LoadError> {
        let mut candidates = self.store.load()?;
        for candidate in &mut candidates {
            candidate.bytes = match std::mem::replace(&mut candidate.bytes, Ok(Vec::new())) {
                Ok(bytes) => Ok(read_wrong(self.wrong, &bytes)),
                failed => failed,
            };
        }
        let store = self.store_id();
        candidates.retain(|candidate| match (self.wrong, &candidate.bytes) {
            (Sabotage::EmptyIsNone, Ok(bytes)) => !bytes.is_empty(),
            (Sabotage::DamagedSkipped, Ok(bytes)) => open(&JsonCodec, store, bytes).is_ok(),
            _ => true,
        });
        Ok(candidates)
    }

    fn save(&mut self, save: Save<'_>) -> Result<(), SaveError> {
        let Save { generation, confirmed, bytes } = save;
        let wrong = write_wrong(self.wrong, bytes);
        let saved = match self.wrong {
            Sabotage::GenerationReused => {
                let again = if self.last == 0 { generation } else { self.last };
                self.last = again;
                let wrong = self.renumbered(&save, again).unwrap_or(wrong);
                let confirmed = confirmed.min(again - 1);
                self.store.save(Save { generation: again, confirmed, bytes: &wrong })
            }
            Sabotage::OneGeneration => {
                self.store.save(Save { generation, confirmed: generation, bytes: &wrong })
            }
            _ => self.store.save(Save { generation, confirmed, bytes: &wrong }),
        };
        match saved {
            Err(SaveError::InDoubt { act, path, source }) if self.hides(act) => {
                self.store.open_again(self.protocol);
                Err(SaveError::NotSaved { act, path, source })
            }
            other => other,
        }
    }

    fn max_torn(&self) -> usize {
        match self.wrong {
            Sabotage::NonePassedOver => 0,
            Sabotage::TwoPassedOver => 2,
            _ => self.store.max_torn(),
        }
    }
}
