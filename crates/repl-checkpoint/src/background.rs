//! The checkpointer on a thread of its own.

use std::any::Any;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use repl_core::Snapshot;

use crate::checkpointer::{CheckpointError, Checkpointer};
use crate::floors::{Floors, Health};

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
pub struct Schedule {
    /// Save this long after the last save began, if any mark has moved or anything was completed
    /// above one; a millisecond at least.
    pub interval: Duration,
    /// Save earlier where the marks have moved by this many seqnos, all shards together: what is
    /// completed above a mark counts once the mark has passed it. RecoveryReport by polling, as advancing
    /// counts nothing.
    pub moved: Option<u64>,
    /// How often to poll, a millisecond at least; each time costs one load a shard.
    pub poll: Duration,
}

/// A shorter interval would keep a core busy with finding that nothing has moved.
const SHORTEST: Duration = Duration::from_millis(1);

impl Schedule {
    /// Saves every `interval`.
    pub fn every(interval: Duration) -> Self {
        Schedule { interval, moved: None, poll: Duration::from_millis(10) }
    }

    /// Saves earlier where the marks have moved by `moved` in sum.
    #[must_use]
    pub fn or_after(self, moved: u64) -> Self {
        Schedule { moved: Some(moved), ..self }
    }

    /// Looks every `poll` whether they have; 10 ms unless told.
    #[must_use]
    pub fn poll_every(self, poll: Duration) -> Self {
        Schedule { poll, ..self }
    }
}

/// A [`Checkpointer`] at work on a thread of its own, from [`Checkpointer::spawn`].
///
/// Dropping it ends the thread without a last save: as after a crash, what was applied since the
/// last one is offered again.
#[derive(Debug)]
pub struct BackgroundCheckpointer<E> {
    floors: Floors,
    signal: Arc<Signal>,
    thread: Option<JoinHandle<Ended<E>>>,
}

/// How the thread ended: with the checkpointer, and what came of the last save.
type Ended<E> = (Checkpointer, Result<(), CheckpointError<E>>);

/// The background thread did not end well. The checkpointer is given back where there is one, to
/// try again or to forget shards.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloseError<E> {
    /// The last save failed.
    #[error("the last checkpoint before closing failed: {source}")]
    LastSave {
        /// Why.
        source: CheckpointError<E>,
        /// The checkpointer.
        checkpointer: Box<Checkpointer>,
    },
    /// A function that the thread was given panicked; the store is free again.
    #[error("the background checkpointer panicked: {0}")]
    Panicked(String),
}

/// The operating system has no thread left. The checkpointer is gone and its store free again.
#[derive(Debug, thiserror::Error)]
#[error("failed to start the checkpointer's thread: {0}")]
pub struct SpawnError(#[from] io::Error);

#[derive(Debug, Default)]
struct Signal {
    asked: Mutex<Asked>,
    changed: Condvar,
}

#[derive(Debug, Default, Clone, Copy)]
struct Asked {
    end: Option<End>,
    save: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    AfterLastSave,
    AtOnce,
}

impl Signal {
    fn ask(&self, change: impl FnOnce(&mut Asked)) {
        change(&mut self.asked.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Waits until something is asked, or `timeout` has passed; takes a wish to save.
    fn wait(&self, timeout: Option<Duration>) -> Asked {
        let nothing_asked = |asked: &mut Asked| asked.end.is_none() && !asked.save;
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let mut asked = match timeout {
            Some(timeout) => {
                let waited = self.changed.wait_timeout_while(asked, timeout, nothing_asked);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self
                .changed
                .wait_while(asked, nothing_asked)
                .unwrap_or_else(PoisonError::into_inner),
        };
        Asked { save: std::mem::take(&mut asked.save), ..*asked }
    }
}

impl<E> BackgroundCheckpointer<E> {
    pub(crate) fn start(
        checkpointer: Checkpointer,
        when: Schedule,
        flush: impl FnMut(&mut Snapshot) -> Result<(), E> + Send + 'static,
        on_error: impl FnMut(&CheckpointError<E>) + Send + 'static,
    ) -> Result<Self, SpawnError>
    where
        E: fmt::Display + Send + 'static,
    {
        let floors = checkpointer.floors();
        let signal = Arc::new(Signal::default());
        let first = Turn { began: Instant::now(), marks: checkpointer.last_marks() };
        let mut work = Work { checkpointer, when, flush, on_error };
        let run = {
            let (floors, signal) = (floors.clone(), Arc::clone(&signal));
            move || {
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
        let thread = thread::Builder::new().name("checkpointer".to_owned()).spawn(run)?;
        Ok(BackgroundCheckpointer { floors, signal, thread: Some(thread) })
    }

    /// What is saved, for others to read.
    pub fn floors(&self) -> Floors {
        self.floors.clone()
    }

    /// Asks for a save now, whatever the schedule says; does not wait for it.
    pub fn save_now(&self) {
        self.signal.ask(|asked| asked.save = true);
    }

    /// Saves a last time, ends the thread and gives the checkpointer back, for instance to forget
    /// shards and spawn it again. Not to be called by the functions given to the thread: it would
    /// wait for itself.
    ///
    /// # Errors
    /// [`CloseError`]: the last save failed, or the thread had panicked.
    pub fn close(mut self) -> Result<Checkpointer, CloseError<E>> {
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

impl<E> Drop for BackgroundCheckpointer<E> {
    /// Waits for a save in progress, so that the store is free again afterwards.
    fn drop(&mut self) {
        self.signal.ask(|asked| asked.end = Some(asked.end.unwrap_or(End::AtOnce)));
        // Dropped by one of its own callbacks, the thread must not wait for itself.
        let own = |t: &JoinHandle<Ended<E>>| t.thread().id() == thread::current().id();
        if let Some(thread) = self.thread.take().filter(|t| !own(t)) {
            // A panic was reported through `Health::Stopped`.
            let _ = thread.join();
        }
    }
}

/// When the last save was tried, and what the marks were then.
struct Turn {
    began: Instant,
    marks: Snapshot,
}

struct Work<F, G> {
    checkpointer: Checkpointer,
    when: Schedule,
    flush: F,
    on_error: G,
}

impl<F, G> Work<F, G> {
    /// Saves when it is time to, until it is told to end; returns what came of the last save.
    fn run<E>(&mut self, first: Turn, signal: &Signal) -> Result<(), CheckpointError<E>>
    where
        E: fmt::Display,
        F: FnMut(&mut Snapshot) -> Result<(), E>,
        G: FnMut(&CheckpointError<E>),
    {
        let mut last = first;
        loop {
            match self.wait(signal, &last) {
                Some(End::AtOnce) => return Ok(()),
                Some(End::AfterLastSave) => return self.save(),
                None => {}
            }
            last = Turn { began: Instant::now(), marks: self.marks() };
            // The failure was reported; the next turn tries again, or waits to be closed.
            let _ = self.save();
        }
    }

    /// Waits for the next turn; `Some` where the thread is to end.
    fn wait(&self, signal: &Signal, last: &Turn) -> Option<End> {
        let stuck = self.is_poisoned();
        // An interval beyond the clock's end: only when asked to.
        let due = last.began.checked_add(self.when.interval.max(SHORTEST));
        loop {
            let left = due.map(|due| due.saturating_duration_since(Instant::now()));
            let poll = self.when.moved.map(|_| self.when.poll.max(SHORTEST));
            let timeout = left.into_iter().chain(poll).min();
            let asked = signal.wait(if stuck { None } else { timeout });
            if asked.end.is_some() {
                return asked.end;
            }
            let is_due = || due.is_some_and(|due| Instant::now() >= due);
            if !stuck && (asked.save || is_due() || self.moved_enough(last)) {
                return None;
            }
        }
    }

    fn moved_enough(&self, last: &Turn) -> bool {
        self.when.moved.is_some_and(|by| self.marks().advanced_since(&last.marks) >= by)
    }

    fn marks(&self) -> Snapshot {
        self.checkpointer.state().marks()
    }

    fn is_poisoned(&self) -> bool {
        matches!(self.checkpointer.floors().health(), Health::Poisoned { .. })
    }

    fn save<E>(&mut self) -> Result<(), CheckpointError<E>>
    where
        E: fmt::Display,
        F: FnMut(&mut Snapshot) -> Result<(), E>,
        G: FnMut(&CheckpointError<E>),
    {
        match self.checkpointer.checkpoint(&mut self.flush) {
            Ok(_) => Ok(()),
            Err(error) => {
                (self.on_error)(&error);
                Err(error)
            }
        }
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}
