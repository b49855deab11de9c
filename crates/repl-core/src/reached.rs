//! Waiting for one seqno: as a future that needs no runtime, and blocking.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use crate::ids::SeqNo;
use crate::shard::Shard;
use crate::sync::{Condvar, Mutex, locked};

/// Why a wait ended without its seqno being reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WaitError {
    /// The time was up. The shard may reach the seqno later.
    Timeout,
    /// The state was [closed](crate::ReplicationState::close).
    Closed,
    /// The shard was removed or reset: this life of it reaches nothing any more. Look it up again.
    Removed,
    /// Only from calls by id: the state does not track this shard.
    UnknownShard,
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WaitError::Timeout => "timed out before the seqno was reached",
            WaitError::Closed => "the replication state was closed before the seqno was reached",
            WaitError::Removed => "the shard was removed or reset: look it up again",
            WaitError::UnknownShard => "the state does not track this shard",
        })
    }
}

impl std::error::Error for WaitError {}

/// A future of a mark reaching a seqno: see [`Shard::reached`].
///
/// It runs under any executor. It does nothing until it is polled first; dropped, it leaves nothing
/// behind. Polled after it was ready it tells how the shard stands then.
#[must_use = "a future waits only while it is polled"]
pub struct Reached {
    /// `None` for a shard that is not tracked.
    shard: Option<Shard>,
    seqno: SeqNo,
    ticket: Option<u64>,
}

impl Reached {
    pub(crate) fn new(shard: Option<Shard>, seqno: SeqNo) -> Self {
        Reached { shard, seqno, ticket: None }
    }

    /// The seqno that is awaited.
    pub fn seqno(&self) -> SeqNo {
        self.seqno
    }

    fn poll_with(&mut self, waker: &Waker) -> Poll<Result<SeqNo, WaitError>> {
        match &self.shard {
            Some(shard) => shard.cell().poll_reached(self.seqno, &mut self.ticket, waker),
            None => Poll::Ready(Err(WaitError::UnknownShard)),
        }
    }

    /// Blocks the thread. A wake-up that comes as the time runs out counts.
    pub(crate) fn block(mut self, deadline: Option<Instant>) -> Result<SeqNo, WaitError> {
        let parker = Arc::new(Parker::default());
        let waker = Waker::from(Arc::clone(&parker));
        loop {
            if let Poll::Ready(result) = self.poll_with(&waker) {
                return result;
            }
            if !parker.park(deadline) {
                return match self.poll_with(&waker) {
                    Poll::Ready(result) => result,
                    Poll::Pending => Err(WaitError::Timeout),
                };
            }
        }
    }
}

impl Future for Reached {
    type Output = Result<SeqNo, WaitError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().poll_with(context.waker())
    }
}

impl Drop for Reached {
    fn drop(&mut self) {
        if let Some(shard) = &self.shard {
            shard.cell().leave(self.seqno, &mut self.ticket);
        }
    }
}

impl fmt::Debug for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reached { shard, seqno, ticket } = self;
        f.debug_struct("Reached")
            .field("shard", shard)
            .field("seqno", seqno)
            .field("waiting", &ticket.is_some())
            .finish()
    }
}

/// When a wait that begins now and may take `timeout` ends; `None` for a time too far to name.
pub(crate) fn deadline(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

/// Puts one thread to sleep. Not `std::thread::park`: its token belongs to the caller's code.
#[derive(Default)]
struct Parker {
    woken: Mutex<bool>,
    condvar: Condvar,
}

impl Parker {
    /// Sleeps until woken; false where the deadline came first.
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
