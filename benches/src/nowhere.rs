//! A store that keeps nothing, to measure what a checkpoint costs without one.

use repl_checkpoint::{Candidates, CheckpointStore, LoadError, Save, SaveError, StoreId};

/// A store that keeps nothing.
#[derive(Debug)]
pub struct Nowhere;

impl CheckpointStore for Nowhere {
    fn store_id(&self) -> StoreId {
        StoreId::UNNAMED
    }

    fn load(&mut self) -> Result<Candidates<'_>, LoadError> {
        Ok(Box::new(std::iter::empty()))
    }

    fn save(&mut self, _: Save<'_>) -> Result<(), SaveError> {
        Ok(())
    }

    fn max_torn(&self) -> usize {
        0
    }
}
