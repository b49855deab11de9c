//! Waiting by id, for one shard and for all of a snapshot; and the end of all waiting.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::ReplicationState;
use crate::cell::Cell;
use crate::ids::{SeqNo, ShardId};
use crate::outcome::{WaitAllError, WaitError};
use crate::park;
use crate::reached::Reached;
use crate::snapshot::Snapshot;
use crate::wakers::Woken;

impl ReplicationState {
    /// Waits until the mark of one shard is at `seqno` or above: see
    /// [`Shard::reached`](crate::Shard::reached).
    ///
    /// The wait stays with the incarnation that the shard has now.
    ///
    /// # Errors
    /// Those of [`Shard::reached`](crate::Shard::reached), and [`WaitError::UnknownShard`].
    pub fn reached(&self, shard: ShardId, seqno: SeqNo) -> Reached {
        if let Some(Some(result)) = self.table.with(shard, |cell| cell.outcome(seqno)) {
            return Reached::ready(result);
        }
        match self.table.handle(shard) {
            Some(shard) => Reached::waiting(shard, seqno),
            None => Reached::ready(Err(WaitError::UnknownShard)),
        }
    }

    /// Returns the number of waits in the queues of all shards: see
    /// [`Shard::waiter_count`](crate::Shard::waiter_count).
    ///
    /// O(shards), with a lock for each. Waits for a call that is adding or removing shards.
    pub fn waiter_count(&self) -> usize {
        self.table.order().cells().map(Cell::waiter_count).sum()
    }

    /// Waits until every shard of `snapshot` is at its mark there or above.
    ///
    /// For a read that spans shards, after writes whose seqnos were collected in a snapshot. What is
    /// completed above marks does not count. The waits stay with the incarnations of now. O(shards).
    ///
    /// ```
    /// use repl_core::{ReplicationState, ShardId, Snapshot};
    ///
    /// let state = ReplicationState::new(&[ShardId(1), ShardId(2)]);
    /// let written = Snapshot::from_iter([(ShardId(1), 3), (ShardId(2), 1)]);
    /// std::thread::scope(|s| {
    ///     s.spawn(|| (state.advance(ShardId(1), 3), state.advance(ShardId(2), 1)));
    ///     state.reached_all(&written).wait() // blocks the thread; or `.await` it
    /// })?;
    /// assert!(state.snapshot().dominates(&written));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The future fails with [`WaitAllError`] for a shard that cannot reach its mark. That a single
    /// shard was [closed](crate::Shard::close) during the wait may be noticed only once other shards
    /// are reached.
    pub fn reached_all(&self, snapshot: &Snapshot) -> ReachedAll {
        let mut waiting = Vec::new();
        for (shard, mark) in snapshot {
            let reached = self.reached(shard, mark);
            if !reached.is_ok() {
                waiting.push((shard, reached));
            }
        }
        ReachedAll { waiting, queued: false, failed: None }
    }

    /// Closes all waiting, permanently: current and future waits for a seqno that is not reached fail
    /// with [`WaitError::Closed`], on shards that are added later too.
    ///
    /// Marks can still be read and moved, so appliers can finish and a last checkpoint can be
    /// taken. A clone of a closed state is open. O(shards).
    pub fn close(&self) {
        self.table.close().into_iter().for_each(Woken::wake);
        self.bell.close();
    }
}

/// A future that is ready once every shard has reached its mark in a snapshot: see
/// [`ReplicationState::reached_all`].
///
/// Dropping it leaves nothing behind.
#[derive(Debug)]
#[must_use = "a future does nothing until it is polled or waited on"]
pub struct ReachedAll {
    /// Those that are not known to be reached.
    waiting: Vec<(ShardId, Reached)>,
    /// Whether all of them were polled once, so that each is awaited on its shard.
    queued: bool,
    failed: Option<WaitAllError>,
}

impl ReachedAll {
    /// Blocks the thread until every mark is reached.
    ///
    /// # Errors
    /// [`WaitAllError`], but not with [`WaitError::Timeout`].
    pub fn wait(self) -> Result<(), WaitAllError> {
        park::block_on(self)
    }

    /// Blocks the thread for at most `timeout`.
    ///
    /// # Errors
    /// [`WaitAllError`].
    pub fn wait_timeout(self, timeout: Duration) -> Result<(), WaitAllError> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.wait_deadline(deadline),
            None => self.wait(), // beyond the clock's end
        }
    }

    /// Blocks the thread until `deadline` at the latest.
    ///
    /// # Errors
    /// [`WaitAllError`].
    pub fn wait_deadline(mut self, deadline: Instant) -> Result<(), WaitAllError> {
        park::block_until(&mut self, deadline).unwrap_or_else(|| self.timed_out())
    }

    fn timed_out(&self) -> Result<(), WaitAllError> {
        match self.waiting.last() {
            Some((shard, _)) => Err(WaitAllError { shard: *shard, reason: WaitError::Timeout }),
            None => Ok(()),
        }
    }
}

impl Future for ReachedAll {
    type Output = Result<(), WaitAllError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let ReachedAll { waiting, queued, failed } = self.get_mut();
        let first = !std::mem::replace(queued, true);
        // A mark never falls, so those that were reached once need no second look.
        waiting.retain_mut(|(shard, reached)| {
            let result = match reached.peek() {
                None if first => match Pin::new(reached).poll(context) {
                    Poll::Ready(result) => Some(result),
                    Poll::Pending => None,
                },
                result => result,
            };
            if let Some(Err(reason)) = result {
                failed.get_or_insert(WaitAllError { shard: *shard, reason });
            }
            !matches!(result, Some(Ok(_)))
        });
        if let Some(failed) = *failed {
            return Poll::Ready(Err(failed));
        }
        // The wakers of the others may be old: each gets the present one when its turn comes.
        while let Some((shard, reached)) = waiting.last_mut() {
            let shard = *shard;
            if let Err(reason) = ready!(Pin::new(reached).poll(context)) {
                let error = WaitAllError { shard, reason };
                *failed = Some(error);
                return Poll::Ready(Err(error));
            }
            waiting.pop();
        }
        Poll::Ready(Ok(()))
    }
}
