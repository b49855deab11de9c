//! A checkpointer on a thread of its own.

mod error;
mod signal;
mod work;

use std::any::Any;
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use repl_core::Snapshot;

use crate::checkpointer::{CheckpointError, Checkpointer};
use crate::floors::{Floors, Health};

pub use self::error::{CloseError, SpawnError};
use self::signal::{End, Signal};
use self::work::{LastSave, Work};

/// When the background thread saves.
///
/// ```
/// use std::time::Duration;
/// use repl_checkpoint::Schedule;
///
/// let when = Schedule::every(Duration::from_secs(1)).or_after(100_000);
/// assert_eq!(when.interval, Duration::from_secs(1));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Schedule {
    /// The time from the start of a save to the start of the next, at least a millisecond.
    ///
    /// Nothing is written if nothing has changed.
    pub interval: Duration,
    /// Save earlier, once the marks of all shards have moved by this many seqnos in sum.
    ///
    /// A range completed above a mark counts once the mark has passed it. The thread polls the
    /// marks, so that an advance need not count.
    pub moved: Option<u64>,
    /// The time between two polls, at least a millisecond. A poll costs one load per shard.
    pub poll: Duration,
}

impl Schedule {
    /// Returns a schedule that saves every `interval`.
    pub fn every(interval: Duration) -> Self {
        Schedule { interval, moved: None, poll: Duration::from_millis(10) }
    }

    /// Saves earlier, once the marks have moved by `moved` seqnos in sum.
    #[must_use]
    pub fn or_after(self, moved: u64) -> Self {
        Schedule { moved: Some(moved), ..self }
    }

    /// Polls the marks every `poll` for [`or_after`](Schedule::or_after); 10 ms by default.
    #[must_use]
    pub fn poll_every(self, poll: Duration) -> Self {
        Schedule { poll, ..self }
    }
}

/// A [`Checkpointer`] that saves on a thread of its own.
///
/// [`Checkpointer::spawn`] returns it. Dropping it ends the thread without a last save: as after a
/// crash, the segments applied since the last save are replayed.
#[derive(Debug)]
pub struct BackgroundCheckpointer {
    floors: Floors,
    signal: Arc<Signal>,
    thread: Option<JoinHandle<Ended>>,
}

/// What the thread returns: the checkpointer, and the result of the last save.
type Ended = (Checkpointer, Result<(), CheckpointError>);

impl Checkpointer {
    /// Starts a thread that saves on a schedule, until [`BackgroundCheckpointer::close`].
    ///
    /// `flush` is as in [`checkpoint`](Checkpointer::checkpoint). `on_error` is called with every
    /// error. After an error the thread tries again when the next save is due. If the store is
    /// poisoned, it saves no more and waits to be closed; the floors no longer move.
    ///
    /// # Errors
    /// [`SpawnError`] if the operating system cannot start a thread; it holds the checkpointer.
    pub fn spawn<E: Into<Box<dyn Error + Send + Sync>>>(
        self,
        when: Schedule,
        flush: impl FnMut(&mut Snapshot) -> Result<(), E> + Send + 'static,
        on_error: impl FnMut(&CheckpointError) + Send + 'static,
    ) -> Result<BackgroundCheckpointer, SpawnError> {
        let floors = self.floors();
        let signal = Arc::new(Signal::default());
        let marks = when.moved.map(|_| self.last_marks());
        let first = LastSave { began: Instant::now(), marks };
        let work = Work { checkpointer: self, when, flush, on_error };
        // Shared, as a thread that cannot be started drops what it owns.
        let work = Arc::new(Mutex::new(Some(work)));
        let run = {
            let (floors, signal, work) = (floors.clone(), Arc::clone(&signal), Arc::clone(&work));
            move || {
                let mut work = taken(&work);
                let ended = catch_unwind(AssertUnwindSafe(|| work.run(first, &signal)));
                match ended {
                    Ok(last) => (work.checkpointer, last),
                    Err(panic) => {
                        floors.set_health(Health::Stopped { error: message(&*panic) });
                        std::panic::resume_unwind(panic)
                    }
                }
            }
        };
        let thread = match thread::Builder::new().name("checkpointer".to_owned()).spawn(run) {
            Ok(thread) => thread,
            Err(source) => {
                let checkpointer = Box::new(taken(&work).checkpointer);
                return Err(SpawnError { source, checkpointer });
            }
        };
        Ok(BackgroundCheckpointer { floors, signal, thread: Some(thread) })
    }
}

impl BackgroundCheckpointer {
    /// Returns a view of what is saved, for other parts of the engine.
    pub fn floors(&self) -> Floors {
        self.floors.clone()
    }

    /// Requests a save at once, and does not wait for it.
    pub fn save_now(&self) {
        self.signal.ask(|asked| asked.save = true);
    }

    /// Saves a last time, ends the thread and returns the checkpointer.
    ///
    /// Blocks until the thread has ended. The functions given to the thread must not call it, as
    /// the thread would wait for itself.
    ///
    /// # Errors
    /// [`CloseError`] if the last save failed or the thread panicked.
    pub fn close(mut self) -> Result<Checkpointer, CloseError> {
        self.signal.ask(|asked| asked.end = Some(End::AfterLastSave));
        let Some(thread) = self.thread.take() else {
            return Err(CloseError::Panicked("it was closed before".to_owned()));
        };
        match thread.join() {
            Ok((checkpointer, Ok(()))) => Ok(checkpointer),
            Ok((checkpointer, Err(source))) => {
                Err(CloseError::LastSave { source, checkpointer: Box::new(checkpointer) })
            }
            Err(panic) => Err(CloseError::Panicked(message(&*panic))),
        }
    }
}

impl Drop for BackgroundCheckpointer {
    /// Waits for a save in progress, so that the store is closed afterwards.
    fn drop(&mut self) {
        self.signal.ask(|asked| asked.end = Some(asked.end.unwrap_or(End::AtOnce)));
        // One of its own callbacks may drop it, and a thread must not wait for itself.
        let own = |t: &JoinHandle<Ended>| t.thread().id() == thread::current().id();
        if let Some(thread) = self.thread.take().filter(|t| !own(t)) {
            // `Health::Stopped` has reported a panic.
            let _ = thread.join();
        }
    }
}

/// Takes the value: the thread does, or `spawn` if the thread cannot start.
#[expect(clippy::expect_used, reason = "the thread has started or it has not")]
fn taken<T>(once: &Mutex<Option<T>>) -> T {
    once.lock().unwrap_or_else(PoisonError::into_inner).take().expect("taken once")
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}
