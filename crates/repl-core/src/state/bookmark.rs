//! Waiting for a write by its bookmark, from one epoch to the next.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use super::ReplicationState;
use crate::epochs::{EpochEnd, Epochs};
use crate::ids::{Bookmark, SeqNo, ShardId};
use crate::outcome::{BookmarkError, WaitError};
use crate::park;
use crate::reached::Reached;

/// A future that is ready once a bookmark is reached, or cannot be: see
/// [`ReplicationState::reached_bookmark`].
///
/// Dropping it leaves nothing behind. Once it is ready it keeps its result.
#[must_use = "a future does nothing until it is polled or waited on"]
pub struct ReachedBookmark<'a> {
    state: &'a ReplicationState,
    shard: ShardId,
    bookmark: Bookmark,
    step: Step,
}

#[derive(Debug)]
enum Step {
    /// In an incarnation that has the epoch.
    Reach(Reached),
    /// In an incarnation that lacks the epoch: until it ends.
    AwaitEpoch(Reached),
    Done(Result<SeqNo, BookmarkError>),
}

impl ReplicationState {
    /// Waits until the write of a bookmark is applied; the result is the mark.
    ///
    /// Where [`reached`](Self::reached) stays with one incarnation, this wait goes on in the next:
    /// when an epoch begins, it ends only if the write is lost. If the shard has not seen the epoch
    /// of the bookmark yet, it waits until it has; until then [`awaited`](crate::Shard::awaited) may
    /// be `u64::MAX`. If the write is applied already, this call itself answers.
    ///
    /// ```
    /// use repl_core::{Bookmark, BookmarkError, EpochStart, LogId, ReplicationState, ShardId};
    ///
    /// let state = ReplicationState::single();
    /// let epoch_3 = EpochStart { epoch: 3, first: 1 };
    /// state.begin_epoch(ShardId::SINGLE, epoch_3)?.shard.advance(95);
    /// let written = |seqno| Bookmark { log: LogId::UNNAMED, epoch: 3, seqno };
    /// assert_eq!(state.reached_bookmark(ShardId::SINGLE, written(95)).wait(), Ok(95));
    ///
    /// // Another leader brings other segments from 91 on.
    /// let epoch_4 = EpochStart { epoch: 4, first: 91 };
    /// state.begin_epoch(ShardId::SINGLE, epoch_4)?.shard.advance(95);
    /// let lost = state.reached_bookmark(ShardId::SINGLE, written(95));
    /// assert_eq!(lost.wait(), Err(BookmarkError::Lost)); // blocks the thread; or `.await` it
    /// assert_eq!(state.reached_bookmark(ShardId::SINGLE, written(88)).wait(), Ok(95));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The future fails with [`BookmarkError`]:
    /// - [`Lost`](BookmarkError::Lost) if a later epoch begins at or below its segment, or if the
    ///   shard has later epochs and not this one;
    /// - [`TooOld`](BookmarkError::TooOld) if its epoch is below the first epoch of the shard, and
    ///   its segment before that;
    /// - [`OtherLog`](BookmarkError::OtherLog) if both logs have a name, and not the same;
    /// - [`UnknownShard`](BookmarkError::UnknownShard) if the shard is not tracked, and
    ///   [`Removed`](BookmarkError::Removed) if it was removed during the wait;
    /// - [`Closed`](BookmarkError::Closed) if the state or the shard is closed, or if the shard
    ///   lacks the epoch and has a mark of `u64::MAX`.
    pub fn reached_bookmark(&self, shard: ShardId, bookmark: Bookmark) -> ReachedBookmark<'_> {
        let step = self.step_of(shard, bookmark, BookmarkError::UnknownShard);
        ReachedBookmark { state: self, shard, bookmark, step }
    }

    /// What a bookmark waits for in the present incarnation.
    fn step_of(&self, shard: ShardId, bookmark: Bookmark, untracked: BookmarkError) -> Step {
        let Some((handle, epochs)) = self.table.handle_and_epochs(shard) else {
            return Step::Done(Err(untracked));
        };
        if !handle.log().may_be(bookmark.log) {
            return Step::Done(Err(BookmarkError::OtherLog));
        }
        match kept(bookmark, &epochs) {
            Ok(true) => Step::Reach(handle.reached(bookmark.seqno)),
            Ok(false) => Step::AwaitEpoch(handle.reached(SeqNo::MAX)),
            Err(error) => Step::Done(Err(error)),
        }
    }
}

/// Whether the log of these epochs has the segment of a bookmark, once it is long enough; false if
/// it does not have its epoch yet.
fn kept(Bookmark { epoch, seqno, .. }: Bookmark, epochs: &Epochs) -> Result<bool, BookmarkError> {
    match epochs.end_of(epoch, SeqNo::MAX) {
        _ if seqno == 0 => Ok(true), // nothing was written
        EpochEnd::AfterLatest => Ok(false),
        EpochEnd::At { epoch: known, last } if known == epoch && seqno <= last => Ok(true),
        EpochEnd::BeforeFirst { last } if seqno <= last => Err(BookmarkError::TooOld),
        EpochEnd::At { .. } | EpochEnd::BeforeFirst { .. } => Err(BookmarkError::Lost),
    }
}

impl ReachedBookmark<'_> {
    /// Blocks the thread until the bookmark is reached; returns the mark.
    ///
    /// # Errors
    /// [`BookmarkError`], but not [`BookmarkError::Timeout`].
    pub fn wait(self) -> Result<SeqNo, BookmarkError> {
        park::block_on(self)
    }

    /// Blocks the thread for at most `timeout`; returns the mark.
    ///
    /// # Errors
    /// [`BookmarkError`].
    pub fn wait_timeout(self, timeout: Duration) -> Result<SeqNo, BookmarkError> {
        park::block_for(self, timeout).unwrap_or(Err(BookmarkError::Timeout))
    }

    /// Blocks the thread until `deadline` at the latest; returns the mark.
    ///
    /// # Errors
    /// [`BookmarkError`].
    pub fn wait_deadline(self, deadline: Instant) -> Result<SeqNo, BookmarkError> {
        park::block_until(self, deadline).unwrap_or(Err(BookmarkError::Timeout))
    }
}

impl Future for ReachedBookmark<'_> {
    type Output = Result<SeqNo, BookmarkError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let ReachedBookmark { state, shard, bookmark, step } = self.get_mut();
        loop {
            let (reached, in_epoch) = match step {
                Step::Reach(reached) => (reached, true),
                Step::AwaitEpoch(reached) => (reached, false),
                Step::Done(result) => return Poll::Ready(*result),
            };
            *step = match ready!(Pin::new(reached).poll(context)) {
                Ok(mark) if in_epoch => Step::Done(Ok(mark)),
                // A thread that learns that an incarnation has ended finds the next one.
                Err(WaitError::Removed) => state.step_of(*shard, *bookmark, BookmarkError::Removed),
                // A mark of u64::MAX, too: only a new incarnation could go on.
                _ => Step::Done(Err(BookmarkError::Closed)),
            };
        }
    }
}

impl fmt::Debug for ReachedBookmark<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReachedBookmark")
            .field("shard", &self.shard)
            .field("bookmark", &self.bookmark)
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}
