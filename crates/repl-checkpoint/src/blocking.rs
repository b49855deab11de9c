//! Blocking on a future: puts one thread to sleep until it is woken or its time is up.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

/// Blocks the thread until the future is ready; `None` if `deadline` comes first.
pub(crate) fn block_until<F: Future + Unpin>(
    mut future: F,
    deadline: Option<Instant>,
) -> Option<F::Output> {
    let parker = Arc::new(Parker::default());
    let waker = Waker::from(Arc::clone(&parker));
    loop {
        let in_time = deadline.is_none_or(|deadline| Instant::now() < deadline);
        match Pin::new(&mut future).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return Some(output),
            Poll::Pending if in_time => parker.park(deadline),
            Poll::Pending => return None,
        }
    }
}

/// Not `std::thread::park`: its token belongs to the caller's code.
#[derive(Default)]
struct Parker {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Parker {
    /// Sleeps until a wake-up, or until `deadline`.
    fn park(&self, deadline: Option<Instant>) {
        let woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        let asleep = |woken: &mut bool| !*woken;
        let mut woken = match deadline {
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                let waited = self.changed.wait_timeout_while(woken, left, asleep);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.changed.wait_while(woken, asleep).unwrap_or_else(PoisonError::into_inner),
        };
        *woken = false;
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        *self.woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }
}
