//! The end of the background thread.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use repl_core::{Reached, Shard};

use super::error::CloseError;
use crate::checkpointer::{CheckpointError, Checkpointer};
use crate::shared::counter;

/// A future that is ready once the background thread has ended: see
/// [`BackgroundCheckpointer::close`](super::BackgroundCheckpointer::close).
///
/// Await it under any executor, or block the thread with [`wait`](Close::wait). Do not wait for
/// it in `flush`, `on_error` or `on_save`: the thread would wait for itself.
#[must_use = "what it returns holds the store, or says why the last save failed"]
pub struct Close {
    ended: Arc<Ended>,
    reached: Reached,
}

/// What the thread leaves.
#[derive(Debug)]
pub(super) struct Ended {
    result: Mutex<Option<Result<Last, CloseError>>>,
    /// Its mark is 1 once there is a result.
    set: Shard,
}

/// The checkpointer, and the result of the last save.
type Last = (Checkpointer, Result<(), Arc<CheckpointError>>);

impl Ended {
    pub(super) fn new() -> Self {
        Ended { result: Mutex::default(), set: counter() }
    }

    /// What a forked child gets, where no thread will set anything.
    pub(super) fn inherited() -> Self {
        let ended = Ended::new();
        ended.set(Err(CloseError::Inherited));
        ended
    }

    /// Sets what the thread returns.
    pub(super) fn set(&self, result: Result<Last, CloseError>) {
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        self.set.advance(1);
    }

    fn take(&self) -> Result<Checkpointer, CloseError> {
        match self.result.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(Ok((checkpointer, Ok(())))) => Ok(checkpointer),
            Some(Ok((checkpointer, Err(source)))) => {
                Err(CloseError::LastSave { source, checkpointer: Box::new(checkpointer) })
            }
            Some(Err(error)) => Err(error),
            None => Err(CloseError::Panicked("its result was taken before".to_owned())),
        }
    }
}

impl Close {
    pub(super) fn new(ended: Arc<Ended>) -> Self {
        let reached = ended.set.reached(1);
        Close { ended, reached }
    }

    /// Blocks the thread until the background thread has ended; returns the checkpointer.
    ///
    /// # Errors
    /// [`CloseError`].
    pub fn wait(self) -> Result<Checkpointer, CloseError> {
        let _ = self.reached.wait(); // nothing closes or removes it
        self.ended.take()
    }
}

impl Future for Close {
    type Output = Result<Checkpointer, CloseError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let _ = ready!(Pin::new(&mut self.reached).poll(cx));
        Poll::Ready(self.ended.take())
    }
}

impl fmt::Debug for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Close").finish_non_exhaustive()
    }
}
