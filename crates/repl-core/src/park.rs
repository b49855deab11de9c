//! Blocking on a future: puts one thread to sleep until it is woken or its time is up.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use crate::sync::{Condvar, Mutex, locked};

/// Blocks the thread until the future is ready.
pub(crate) fn block_on<F: Future + Unpin>(mut future: F) -> F::Output {
    let parker = Arc::new(Parker::default());
    let waker = Waker::from(Arc::clone(&parker));
    loop {
        if let Poll::Ready(output) = poll(&mut future, &waker) {
            return output;
        }
        parker.park(None);
    }
}

/// Blocks the thread for at most `timeout`; `None` if the time is up first.
pub(crate) fn block_for<F: Future + Unpin>(future: F, timeout: Duration) -> Option<F::Output> {
    match Instant::now().checked_add(timeout) {
        Some(deadline) => block_until(future, deadline),
        None => Some(block_on(future)), // beyond the clock's end
    }
}

/// Blocks the thread until `deadline` at the latest; `None` if that comes first. A wake-up that
/// comes as the time runs out counts.
pub(crate) fn block_until<F: Future + Unpin>(
    mut future: F,
    deadline: Instant,
) -> Option<F::Output> {
    let parker = Arc::new(Parker::default());
    let waker = Waker::from(Arc::clone(&parker));
    let mut in_time = true;
    loop {
        match poll(&mut future, &waker) {
            Poll::Ready(output) => return Some(output),
            Poll::Pending if in_time => {
                in_time = parker.park(Some(deadline)) && Instant::now() < deadline;
            }
            Poll::Pending => return None,
        }
    }
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

/// Not `std::thread::park`: its token belongs to the caller's code.
#[derive(Default)]
struct Parker {
    woken: Mutex<bool>,
    condvar: Condvar,
}

impl Parker {
    /// Sleeps until woken; returns false if the deadline came first.
    fn park(&self, deadline: Option<Instant>) -> bool {
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        while !*woken {
            let Some(deadline) = deadline else {
                woken = self.condvar.wait(woken).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.condvar.wait_timeout(woken, left);
            woken = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *woken = false;
        true
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        locked(&self.woken, |woken| *woken = true);
        self.condvar.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_future_that_is_ready_as_the_time_runs_out_is_in_time() {
        let mut polls = 0;
        let second = std::future::poll_fn(|_| {
            polls += 1;
            if polls < 2 { Poll::Pending } else { Poll::Ready(polls) }
        });
        assert_eq!(block_until(Box::pin(second), Instant::now()), Some(2));
    }

    #[test]
    fn a_future_that_is_woken_before_it_is_ready_is_polled_again_until_it_is() {
        let mut polls = 0;
        let third = std::future::poll_fn(|context| {
            polls += 1;
            context.waker().wake_by_ref();
            if polls < 3 { Poll::Pending } else { Poll::Ready(polls) }
        });
        assert_eq!(block_for(Box::pin(third), Duration::from_secs(100)), Some(3));
    }

    #[test]
    fn a_future_that_is_woken_at_every_poll_times_out() {
        let woken = std::future::poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert_eq!(block_for(Box::pin(woken), Duration::from_millis(5)), None);
    }
}
