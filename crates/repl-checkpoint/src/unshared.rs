//! A value that need only be `Send`, in a value that threads may share.

use std::sync::{Mutex, PoisonError};

/// Makes the owner of a value `Sync`, though the value need only be `Send`.
///
/// Access is by `&mut` and by value alone, so nothing ever locks the mutex.
pub(crate) struct Unshared<T: ?Sized>(Mutex<Box<T>>);

impl<T: ?Sized> Unshared<T> {
    pub(crate) fn new(value: Box<T>) -> Self {
        Unshared(Mutex::new(value))
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn into_inner(self) -> Box<T> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
