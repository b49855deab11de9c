//! Waiting for the lock of a store.

use std::fmt;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::{Duration, Instant};

use repl_core::{Reached, Shard};

use crate::shared::counter;
use crate::store::OpenStoreError;

/// The time between two tries.
const PAUSE: Duration = Duration::from_millis(5);

/// Opens a store, and while another one holds it, tries again for at most `timeout`.
///
/// For a follower that starts while the one before it is still ending. The lock has no queue: it is
/// tried every 5 ms.
///
/// ```
/// use std::time::Duration;
/// use repl_checkpoint::{FileStore, StoreId, open_timeout};
///
/// let dir = tempfile::tempdir()?;
/// let open = || FileStore::open(dir.path(), StoreId::UNNAMED);
/// let before = open()?;
/// let store = std::thread::scope(|s| {
///     s.spawn(move || drop(before));
///     open_timeout(Duration::from_secs(10), open).wait() // blocks the thread
/// })?;
/// # drop(store);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// The future fails with [`OpenStoreError::Locked`] once the time is up, and at once with every
/// other error of `open`.
pub fn open_timeout<S, F>(timeout: Duration, open: F) -> Opening<S, F>
where
    F: FnMut() -> Result<S, OpenStoreError>,
{
    // A time beyond the end of the clock never comes.
    Opening { deadline: Instant::now().checked_add(timeout), open: Some(open), thread: None }
}

/// A future that is ready once a store is open: see [`open_timeout`].
///
/// Block the thread with [`wait`](Opening::wait), or await it under any executor: a thread of its
/// own then tries, until the future is dropped.
#[must_use = "a future does nothing until it is polled or waited on"]
pub struct Opening<S, F> {
    deadline: Option<Instant>,
    /// `None` once a thread has it.
    open: Option<F>,
    thread: Option<Trying<S>>,
}

/// A thread that tries to open a store.
struct Trying<S> {
    result: Arc<Slot<S>>,
    ended: Reached,
}

/// What the thread leaves.
type Slot<S> = Mutex<Option<Result<S, OpenStoreError>>>;

impl<S, F: FnMut() -> Result<S, OpenStoreError>> Opening<S, F> {
    /// Blocks the thread until the store is open or the time is up.
    ///
    /// # Errors
    /// Those of [`open_timeout`].
    pub fn wait(self) -> Result<S, OpenStoreError> {
        match (self.open, self.thread) {
            (Some(mut open), _) => tried(self.deadline, &mut open, || true),
            (None, Some(Trying { result, ended })) => {
                let _ = ended.wait(); // nothing closes or removes it
                taken(&result)
            }
            (None, None) => Err(lost()),
        }
    }
}

/// Tries until the store is open, the time is up or nobody wants it any more.
fn tried<S>(
    deadline: Option<Instant>,
    open: &mut impl FnMut() -> Result<S, OpenStoreError>,
    is_wanted: impl Fn() -> bool,
) -> Result<S, OpenStoreError> {
    loop {
        let result = open();
        let left = deadline.map_or(PAUSE, |at| at.saturating_duration_since(Instant::now()));
        match result {
            Err(OpenStoreError::Locked { .. }) if !left.is_zero() && is_wanted() => {
                thread::sleep(PAUSE.min(left));
            }
            result => return result,
        }
    }
}

impl<S: Send + 'static> Trying<S> {
    fn start<F>(deadline: Option<Instant>, mut open: F) -> io::Result<Self>
    where
        F: FnMut() -> Result<S, OpenStoreError> + Send + 'static,
    {
        let result = Arc::new(Mutex::new(None));
        let ended = counter();
        let trying = Trying { result: Arc::clone(&result), ended: ended.reached(1) };
        let (wanted, end) = (Arc::downgrade(&result), EndGuard(ended));
        drop(result);
        let try_all = move || {
            let result = tried(deadline, &mut open, || wanted.strong_count() > 0);
            // Dropped where nobody wants it.
            if let Some(wanted) = Weak::upgrade(&wanted) {
                *wanted.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            }
            drop(end);
        };
        thread::Builder::new().name("store-opener".to_owned()).spawn(try_all)?;
        Ok(trying)
    }
}

fn taken<S>(slot: &Slot<S>) -> Result<S, OpenStoreError> {
    let result = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    result.unwrap_or_else(|| Err(lost()))
}

/// Ends the wait, also where `open` panics.
struct EndGuard(Shard);

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.0.advance(1);
    }
}

fn lost() -> OpenStoreError {
    let source = io::Error::other("the thread that opened it panicked, or it was taken before");
    OpenStoreError::Io { act: "open", path: PathBuf::new(), source }
}

impl<S, F> Future for Opening<S, F>
where
    S: Send + 'static,
    F: FnMut() -> Result<S, OpenStoreError> + Send + Unpin + 'static,
{
    type Output = Result<S, OpenStoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(mut open) = self.open.take() {
            match open() {
                Err(OpenStoreError::Locked { path }) => match Trying::start(self.deadline, open) {
                    Ok(thread) => self.thread = Some(thread),
                    Err(source) => {
                        let act = "start a thread that waits for";
                        return Poll::Ready(Err(OpenStoreError::Io { act, path, source }));
                    }
                },
                result => return Poll::Ready(result),
            }
        }
        let Some(thread) = self.thread.as_mut() else {
            return Poll::Ready(Err(lost()));
        };
        let _ = ready!(Pin::new(&mut thread.ended).poll(cx));
        Poll::Ready(taken(&thread.result))
    }
}

impl<S, F> fmt::Debug for Opening<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
