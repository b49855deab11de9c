//! A handle on one shard: the hot path.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::cell::Cell;
use crate::changes::Changes;
use crate::completed::AppliedSet;
use crate::ids::{Incarnation, LogId, SeqNo, ShardId};
use crate::ranges::SeqRange;
use crate::reached::{Reached, WaitError, deadline};

/// What came of an attempt to advance a mark.
///
/// It only reports: whether to apply a segment is decided *before* applying, by
/// `applied() < seqno`. So it may be ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Advance {
    /// This call moved the mark, from `from` to the seqno that was asked for, and published all
    /// that its thread wrote before.
    Advanced {
        /// The mark just before.
        from: SeqNo,
    },
    /// The mark was already there or above; nothing changed and nothing was published.
    Stale {
        /// The mark that was seen.
        at: SeqNo,
    },
    /// Only from [`Shard::advance_from`]: segments between the mark and the expected one are
    /// missing; nothing changed.
    Gap {
        /// The mark that was seen: the next segment wanted follows it.
        at: SeqNo,
    },
    /// The shard was removed or reset after this handle was taken; nothing changed for the shard
    /// of today. Look it up again.
    Removed,
    /// Only from calls by id: the state does not track this shard; nothing changed.
    UnknownShard,
}

/// Shares one shard of a [`ReplicationState`](crate::ReplicationState): a cheap handle through
/// which to read and advance its mark, without a look-up.
///
/// Cloning it shares the same mark. It stays valid for ever: once the shard is removed or reset,
/// [`advance`](Shard::advance) answers [`Advance::Removed`] and [`applied`](Shard::applied) keeps
/// answering with the last mark of that life. Dropping the state ends no waiting; closing it does.
///
/// A handle keeps alive the memory of all shards that were added in the same call as its own.
///
/// ```
/// use repl_core::{Advance, ReplicationState};
///
/// let state = ReplicationState::single();
/// let shard = state.shard(repl_core::ShardId::SINGLE).ok_or("not tracked")?;
/// let seqno = 1;
/// if shard.applied() < seqno {
///     // apply segment 1 here
///     assert_eq!(shard.advance(seqno), Advance::Advanced { from: 0 });
/// }
/// assert_eq!(shard.advance(seqno), Advance::Stale { at: 1 });
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone)]
pub struct Shard {
    slab: Arc<[Cell]>,
    index: usize,
}

impl Shard {
    pub(crate) fn new(slab: Arc<[Cell]>, index: usize) -> Self {
        Shard { slab, index }
    }

    #[inline]
    pub(crate) fn cell(&self) -> &Cell {
        &self.slab[self.index]
    }

    /// The shard's id.
    pub fn id(&self) -> ShardId {
        self.cell().key().shard
    }

    /// The log that this shard follows, as given when it was added.
    pub fn log(&self) -> LogId {
        self.cell().key().log
    }

    /// Which life of the shard this handle speaks of.
    pub fn incarnation(&self) -> Incarnation {
        self.cell().key().incarnation
    }

    /// Whether the shard was removed or reset since this handle was taken.
    pub fn is_removed(&self) -> bool {
        self.cell().is_removed()
    }

    /// The mark: the last segment that has been fully applied; 0 for none.
    ///
    /// Whoever reads `n` sees all that the threads which brought the mark there wrote before.
    /// Costs one atomic load.
    #[inline]
    pub fn applied(&self) -> SeqNo {
        self.cell().applied()
    }

    /// Moves the mark forward to `seqno`; a smaller or equal one changes nothing.
    ///
    /// Safe from any number of threads at once. `u64::MAX` is legal, and such a shard can never
    /// move again. Costs one `fetch_max`, and two loads where it is stale.
    #[inline]
    pub fn advance(&self, seqno: SeqNo) -> Advance {
        self.cell().advance(seqno)
    }

    /// Moves the mark to `to` only where it has reached `expected`, the segment before: otherwise
    /// segments are missing, and the answer is [`Advance::Gap`].
    ///
    /// A mark at or beyond `to` is [`Advance::Stale`], whatever was expected.
    #[inline]
    pub fn advance_from(&self, expected: SeqNo, to: SeqNo) -> Advance {
        self.cell().advance_from(expected, to)
    }

    /// Blocks until the mark is at `seqno` or above, and returns it.
    ///
    /// One that is reached already returns at once, for the price of two loads; otherwise the
    /// thread sleeps. An advance wakes only those whose seqno it reaches, and costs no more for
    /// those whose seqno lies above.
    ///
    /// # Errors
    /// [`WaitError::Removed`] once the shard is removed or reset, whatever its last mark was;
    /// [`WaitError::Closed`] where the state is [closed](crate::ReplicationState::close) and the
    /// seqno not reached.
    pub fn wait_for(&self, seqno: SeqNo) -> Result<SeqNo, WaitError> {
        let now = self.cell().outcome(seqno);
        now.unwrap_or_else(|| self.reached(seqno).block(None))
    }

    /// As [`wait_for`](Shard::wait_for), for at most `timeout`.
    ///
    /// # Errors
    /// The same, and [`WaitError::Timeout`].
    pub fn wait_for_timeout(&self, seqno: SeqNo, timeout: Duration) -> Result<SeqNo, WaitError> {
        let now = self.cell().outcome(seqno);
        now.unwrap_or_else(|| self.reached(seqno).block(deadline(timeout)))
    }

    /// As [`wait_for`](Shard::wait_for), as a future. It needs no runtime of a kind, and may be
    /// dropped at any time: it leaves nothing behind.
    ///
    /// ```
    /// use repl_core::{ReplicationState, ShardId, WaitError};
    /// use std::{pin::pin, task::{Context, Poll, Waker}};
    ///
    /// let state = ReplicationState::single();
    /// let shard = state.shard(ShardId::SINGLE).ok_or("not tracked")?;
    /// let mut reached = pin!(shard.reached(2)); // or `.await` it
    /// let mut context = Context::from_waker(Waker::noop());
    /// assert_eq!(reached.as_mut().poll(&mut context), Poll::Pending);
    /// shard.advance(5);
    /// assert_eq!(reached.as_mut().poll(&mut context), Poll::Ready(Ok(5)));
    /// # Ok::<(), &str>(())
    /// ```
    pub fn reached(&self, seqno: SeqNo) -> Reached {
        Reached::new(Some(self.clone()), seqno)
    }

    /// The mark as it is, and then every change of it, coalesced.
    ///
    /// ```
    /// let state = repl_core::ReplicationState::single();
    /// let shard = state.shard(repl_core::ShardId::SINGLE).ok_or("not tracked")?;
    /// shard.advance(3);
    /// let mut changes = shard.changes();
    /// assert_eq!(changes.wait_next(), Ok(3));
    /// (4..=9).for_each(|seqno| drop(shard.advance(seqno)));
    /// assert_eq!(changes.wait_next(), Ok(9));
    /// # Ok::<(), &str>(())
    /// ```
    pub fn changes(&self) -> Changes {
        Changes::new(self.clone())
    }

    /// The mark, and what is completed above it: by an [`ApplyWindow`](crate::ApplyWindow), or as a
    /// checkpoint recorded it. Nothing is above the mark of a shard that was removed. Copies the
    /// ranges, and costs a load for each seqno of the window up to the highest completed.
    pub fn completed(&self) -> AppliedSet {
        self.cell().completed()
    }

    /// Declares that the seqnos of `range` are completed, though the mark may not have come to
    /// them: once it does, it moves over them. For bringing back what was saved.
    pub fn complete(&self, range: SeqRange) {
        self.cell().complete(range);
    }
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard")
            .field("id", &self.id())
            .field("applied", &self.applied())
            .field("removed", &self.is_removed())
            .finish_non_exhaustive()
    }
}
