//! Requests for a save whose result is awaited.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use repl_core::{Reached, SeqNo, Shard, WaitError};

use super::error::SaveAndWaitError;
use crate::checkpointer::{CheckpointError, Saved};
use crate::shared::counter;

/// A future that is ready once a requested save has ended: see
/// [`BackgroundCheckpointer::save_and_wait`](super::BackgroundCheckpointer::save_and_wait).
///
/// Await it under any executor, or block the thread with [`wait`](Self::wait),
/// [`wait_timeout`](Self::wait_timeout) or [`wait_deadline`](Self::wait_deadline). Do not wait
/// for it in `flush`, `on_error` or `on_save`: the thread would wait for itself.
#[must_use = "the result says whether the marks were saved"]
pub struct SaveAndWait {
    result: Arc<OnceLock<SaveResult>>,
    reached: Reached,
}

/// The result of one checkpoint, for all that requested it.
pub(super) type SaveResult = Result<Saved, Arc<CheckpointError>>;

/// Requests that no checkpoint covers yet, numbered from 1.
#[derive(Debug)]
pub(super) struct Requests {
    waiting: Vec<Arc<OnceLock<SaveResult>>>,
    newest: SeqNo,
    /// Its mark is the number of the last request that has a result.
    done: Shard,
    is_closed: bool,
}

/// The requests that one checkpoint answers.
pub(super) struct Taken {
    requests: Vec<Arc<OnceLock<SaveResult>>>,
    newest: SeqNo,
    done: Shard,
}

impl Requests {
    pub(super) fn new() -> Self {
        Requests { waiting: Vec::new(), newest: 0, done: counter(), is_closed: false }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn add(&mut self) -> SaveAndWait {
        let result = Arc::new(OnceLock::new());
        if !self.is_closed {
            self.waiting.push(Arc::clone(&result));
        }
        self.newest += 1;
        SaveAndWait { result, reached: self.done.reached(self.newest) }
    }

    /// A request that no thread answers.
    pub(super) fn refused() -> SaveAndWait {
        let mut none = Requests::new();
        let refused = none.add();
        none.close().close();
        refused
    }

    /// Takes the requests that a checkpoint answers which has not begun yet.
    pub(super) fn take(&mut self) -> Taken {
        let requests = std::mem::take(&mut self.waiting);
        Taken { requests, newest: self.newest, done: self.done.clone() }
    }

    /// Takes no request any more. The caller closes what is returned, to end all waiting.
    #[must_use]
    pub(super) fn close(&mut self) -> Shard {
        self.is_closed = true;
        self.waiting.clear();
        self.done.clone()
    }
}

impl Taken {
    pub(super) fn answer(self, result: &SaveResult) {
        for request in self.requests {
            let _ = request.set(result.clone()); // set here alone
        }
        self.done.advance(self.newest);
    }
}

impl SaveAndWait {
    /// Blocks the thread until the save has ended.
    ///
    /// # Errors
    /// Those of [`BackgroundCheckpointer::save_and_wait`].
    ///
    /// [`BackgroundCheckpointer::save_and_wait`]: super::BackgroundCheckpointer::save_and_wait
    pub fn wait(self) -> Result<Saved, SaveAndWaitError> {
        result(&self.result, self.reached.wait())
    }

    /// As [`wait`](Self::wait), for at most `timeout`.
    ///
    /// # Errors
    /// Those of [`wait`](Self::wait), and [`SaveAndWaitError::Timeout`].
    pub fn wait_timeout(self, timeout: Duration) -> Result<Saved, SaveAndWaitError> {
        result(&self.result, self.reached.wait_timeout(timeout))
    }

    /// As [`wait`](Self::wait), until `deadline` at most.
    ///
    /// # Errors
    /// Those of [`wait`](Self::wait), and [`SaveAndWaitError::Timeout`].
    pub fn wait_deadline(self, deadline: Instant) -> Result<Saved, SaveAndWaitError> {
        result(&self.result, self.reached.wait_deadline(deadline))
    }
}

fn result(
    result: &OnceLock<SaveResult>,
    reached: Result<SeqNo, WaitError>,
) -> Result<Saved, SaveAndWaitError> {
    match (reached, result.get()) {
        (Ok(_), Some(Ok(saved))) => Ok(*saved),
        (Ok(_), Some(Err(error))) => Err(SaveAndWaitError::Failed(Arc::clone(error))),
        (Err(WaitError::Timeout), _) => Err(SaveAndWaitError::Timeout),
        (Ok(_), None) | (Err(_), _) => Err(SaveAndWaitError::Ended),
    }
}

impl Future for SaveAndWait {
    type Output = Result<Saved, SaveAndWaitError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let reached = ready!(Pin::new(&mut self.reached).poll(cx));
        Poll::Ready(result(&self.result, reached))
    }
}

impl fmt::Debug for SaveAndWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaveAndWait").field("result", &self.result.get()).finish_non_exhaustive()
    }
}
