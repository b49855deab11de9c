//! Every way to wait for a mark, with the wake-ups that a planted fault loses.
//!
//! A wait for a seqno that is reached when it begins ends without a wake-up: no fault can lose one.

use std::future::pending;
use std::thread;
use std::time::Duration;

use repl_core::{Changes, SeqNo, Shard};

use super::faults::Faults;
use super::subject::Subject;
use super::waits::Waited;

impl<F: Faults> Subject<F> {
    /// Blocks until the mark is at `seqno`.
    pub(crate) fn wait(&self, shard: &Shard, seqno: SeqNo, timeout: Option<Duration>) -> Waited {
        let sleeps = shard.applied() < seqno;
        let mut awaited = self.faults.awaited(shard, seqno);
        loop {
            let reached = shard.reached(awaited);
            let result = match timeout {
                Some(timeout) => reached.wait_timeout(timeout),
                None => reached.wait(),
            };
            if !sleeps || !self.faults.is_lost(shard, result) {
                return result;
            }
            awaited = result.unwrap_or_else(|_| hang()).saturating_add(1);
        }
    }

    /// Waits until the mark is at `seqno`.
    pub(crate) async fn reached(&self, shard: &Shard, seqno: SeqNo) -> Waited {
        let sleeps = shard.applied() < seqno;
        let mut awaited = self.faults.awaited(shard, seqno);
        loop {
            let result = shard.reached(awaited).await;
            if !sleeps || !self.faults.is_lost(shard, result) {
                return result;
            }
            let Ok(mark) = result else { return pending().await };
            awaited = mark.saturating_add(1);
        }
    }

    /// Blocks until the mark has changed: it was below `seqno` when it was last given out.
    pub(crate) fn wait_next(
        &self,
        shard: &Shard,
        changes: &mut Changes,
        seqno: SeqNo,
        timeout: Duration,
    ) -> Waited {
        let sleeps = shard.applied() < seqno;
        loop {
            let result = changes.next().wait_timeout(timeout);
            if !sleeps || !self.faults.is_lost(shard, result) {
                return result;
            }
            result.unwrap_or_else(|_| hang());
        }
    }

    /// Waits until the mark has changed: it was below `seqno` when it was last given out.
    pub(crate) async fn next(&self, shard: &Shard, changes: &mut Changes, seqno: SeqNo) -> Waited {
        let sleeps = shard.applied() < seqno;
        loop {
            let result = changes.next().await;
            if !sleeps || !self.faults.is_lost(shard, result) {
                return result;
            }
            if result.is_err() {
                return pending().await;
            }
        }
    }
}

/// Waits for ever: the suite finds that, and leaves the thread behind.
fn hang() -> ! {
    loop {
        thread::park();
    }
}
