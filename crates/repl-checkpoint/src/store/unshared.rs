//! A store in a value that threads may share.

use std::sync::{Mutex, PoisonError};

use super::CheckpointStore;

/// Makes the owner of a store `Sync`, though a store need only be `Send`.
///
/// Access is by `&mut` and by value alone, so nothing ever locks the mutex.
pub(crate) struct Unshared(Mutex<Box<dyn CheckpointStore>>);

impl Unshared {
    pub(crate) fn new(store: Box<dyn CheckpointStore>) -> Self {
        Unshared(Mutex::new(store))
    }

    pub(crate) fn get_mut(&mut self) -> &mut dyn CheckpointStore {
        &mut **self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn into_inner(self) -> Box<dyn CheckpointStore> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
