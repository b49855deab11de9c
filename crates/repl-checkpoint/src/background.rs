//! A checkpointer on a thread of its own.

mod close;
mod error;
mod requests;
mod signal;
mod work;

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::attempt::Attempt;
use crate::checkpointer::{CheckpointError, Checkpointer};
use crate::floors::Floors;

pub use self::close::Close;
use self::close::Ended;
pub use self::error::{CloseError, SaveAndWaitError, SpawnError};
pub use self::requests::SaveAndWait;
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
    /// A save is skipped if the last two hold the marks already: after a change, two are written.
    /// The thread sleeps after several that were skipped. The first change wakes it, and is saved
    /// when the next save would have been due: at most one interval later.
    pub interval: Duration,
    /// Save earlier, once the marks of all shards have moved by this many seqnos in sum.
    ///
    /// A range completed above a mark counts once the mark has passed it. The thread polls the
    /// marks, so that an advance need not count.
    pub moved: Option<u64>,
    /// The time between two polls, at least a millisecond.
    ///
    /// A poll wakes the thread, loads each mark and allocates eight bytes per shard. Polling every
    /// 10 ms takes less than half a percent of a core for a few shards, and five percent for 65,536
    /// (docs/scale.md). There is no poll while the thread sleeps.
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
/// [`Checkpointer::spawn`] returns it. Dropping it ends the thread without a last save, and does not
/// wait for that. The next start replays the segments applied since the last save, as after a
/// crash. The lock of the store is free when the thread has ended, after the save in progress; to
/// open the store again in this process, [`close`](BackgroundCheckpointer::close) it instead.
#[derive(Debug)]
pub struct BackgroundCheckpointer {
    floors: Floors,
    signal: Arc<Signal>,
    ended: Arc<Ended>,
}

impl Checkpointer {
    /// Starts a thread that saves on a schedule, until [`BackgroundCheckpointer::close`].
    ///
    /// `flush` is as in [`checkpoint`](Checkpointer::checkpoint); it may block the thread.
    /// `on_error` is called with every error, that of the last save included; its causes are in
    /// [`source`](std::error::Error::source). Set [`on_save`](Checkpointer::on_save) before.
    ///
    /// After an error the thread tries again when the next save is due. After a save in doubt it
    /// saves no more, and the floors no longer move: close it, take the checkpointer out of
    /// [`CloseError::LastSave`], [`reopen`](Checkpointer::reopen) and spawn it again.
    ///
    /// A panic of `flush`, `on_error` or `on_save` ends the thread, and `on_error` is not called
    /// for it: the marks still move, and nothing is saved. [`Floors::health`] shows it as
    /// [`Status::Stopped`](crate::Status::Stopped). It also shows errors, and a flush that hangs.
    ///
    /// An async flush may run to its end here, as with `Handle::block_on` of tokio. Or run
    /// [`begin`](Checkpointer::begin) and [`save`](Checkpointer::save) in a task of the engine
    /// instead. docs/adopting.md shows both.
    ///
    /// # Errors
    /// [`SpawnError`] if the operating system cannot start a thread; it holds the checkpointer.
    pub fn spawn(
        self,
        when: Schedule,
        flush: impl FnMut(&mut Attempt) -> Result<(), Box<dyn Error + Send + Sync>> + Send + 'static,
        on_error: impl FnMut(&CheckpointError) + Send + 'static,
    ) -> Result<BackgroundCheckpointer, SpawnError> {
        let floors = self.floors();
        let signal = Arc::new(Signal::new());
        let ended = Arc::new(Ended::new());
        let marks = when.moved.map(|_| self.last_marks());
        let first = LastSave { began: Instant::now(), marks };
        let shared = Arc::clone(self.shared());
        let work = Work { checkpointer: self, when, flush, on_error };
        // Shared, as a thread that cannot be started drops what it owns.
        let work = Arc::new(Mutex::new(Some(work)));
        let run = {
            let (signal, ended, work) =
                (Arc::clone(&signal), Arc::clone(&ended), Arc::clone(&work));
            move || {
                let mut work = taken(&work);
                let mut last = caught(|| work.run(first, &signal));
                let Work { checkpointer, when: _, flush, on_error } = work;
                // What they hold of the engine is dropped before anything sees the end.
                for dropped in [caught(|| drop(flush)), caught(|| drop(on_error))] {
                    last = last.and_then(|last| dropped.map(|()| last));
                }
                let result = match last {
                    // Nothing can take it. Its drop may block or panic, and so is made here, and
                    // not in a drop on another thread.
                    Ok(_) if signal.ends_at_once() => {
                        let _ = caught(|| drop(checkpointer));
                        return signal.finish();
                    }
                    Ok(last) => Ok((checkpointer, last)),
                    Err(panic) => {
                        shared.stopped(panic.clone());
                        let _ = caught(|| drop(checkpointer)); // and with it the store
                        Err(CloseError::Panicked(panic))
                    }
                };
                signal.finish();
                ended.set(result);
            }
        };
        match thread::Builder::new().name("checkpointer".to_owned()).spawn(run) {
            Ok(_) => Ok(BackgroundCheckpointer { floors, signal, ended }),
            Err(source) => {
                let checkpointer = Box::new(taken(&work).checkpointer);
                Err(SpawnError { source, checkpointer })
            }
        }
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

    /// Requests a save at once; the future waits for its result.
    ///
    /// The save begins after this call, so it covers every mark at the time of the call. Requests
    /// that arrive during a save share the next one. The request stands if the future is dropped.
    ///
    /// # Errors
    /// The future fails with [`SaveAndWaitError`] if that checkpoint fails, or the thread ends
    /// before it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use repl_checkpoint::{FileStore, JsonCodec, OnCorrupt, Schedule, StoreId, recover};
    /// use repl_core::ShardId;
    ///
    /// let dir = tempfile::tempdir()?;
    /// let store = FileStore::open(dir.path(), StoreId::UNNAMED)?;
    /// let follower = recover(store, JsonCodec, &[ShardId(1)], OnCorrupt::Fail)?;
    /// let when = Schedule::every(Duration::from_secs(60));
    /// let background =
    ///     follower.checkpointer.spawn(when, |_| Ok(()), |error| eprintln!("{error:?}"))?;
    /// follower.state.advance(ShardId(1), 7);
    /// background.save_and_wait().wait()?; // blocks the thread; or `.await` it
    /// assert_eq!(background.floors().checkpointed(ShardId(1)), Some(7));
    /// background.close().wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save_and_wait(&self) -> SaveAndWait {
        self.signal.request()
    }

    /// Saves a last time and ends the thread; the future returns the checkpointer.
    ///
    /// Signals the thread immediately. The thread ends even if the future is dropped.
    ///
    /// # Errors
    /// The future fails with [`CloseError`] if the last save failed, as it does after a save in
    /// doubt, or the thread panicked.
    pub fn close(self) -> Close {
        if self.signal.is_inherited() {
            return Close::new(Arc::new(Ended::inherited()));
        }
        self.signal.ask(|asked| asked.end = Some(End::AfterLastSave));
        Close::new(Arc::clone(&self.ended))
    }
}

impl Drop for BackgroundCheckpointer {
    fn drop(&mut self) {
        self.signal.ask(|asked| asked.end = Some(asked.end.unwrap_or(End::AtOnce)));
    }
}

/// Takes the value: the thread does, or `spawn` if the thread cannot start.
#[expect(clippy::expect_used, reason = "the thread has started or it has not")]
fn taken<T>(once: &Mutex<Option<T>>) -> T {
    once.lock().unwrap_or_else(PoisonError::into_inner).take().expect("taken once")
}

/// Runs `f`, or returns the message of its panic.
fn caught<T>(f: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        std::mem::forget(panic); // its drop may panic too
        text.unwrap_or_else(|| "a panic without a message".to_owned())
    })
}
