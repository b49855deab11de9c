//! Every change of one mark, coalesced.

use std::time::{Duration, Instant};

use crate::ids::SeqNo;
use crate::reached::{Reached, WaitError, deadline};
use crate::shard::Shard;

/// The mark of a shard as it is now, and then every change of it: see [`Shard::changes`].
///
/// Changes are coalesced: who comes late gets the newest mark, once. Nothing is queued. Each mark
/// is above the one before it, and no change is missed between two calls.
///
/// After a mark of `u64::MAX`, which can never move again, the answer is [`WaitError::Closed`].
#[derive(Debug, Clone)]
pub struct Changes {
    shard: Shard,
    seen: Option<SeqNo>,
}

impl Changes {
    pub(crate) fn new(shard: Shard) -> Self {
        Changes { shard, seen: None }
    }

    /// The last mark that was given out, `None` before the first.
    pub fn seen(&self) -> Option<SeqNo> {
        self.seen
    }

    /// The next change, blocking until there is one. The first call returns at once, with the mark
    /// as it is.
    ///
    /// # Errors
    /// [`WaitError::Removed`]; [`WaitError::Closed`], but not before the last change was given out.
    pub fn wait_next(&mut self) -> Result<SeqNo, WaitError> {
        self.block(None)
    }

    /// As [`wait_next`](Changes::wait_next), for at most `timeout`.
    ///
    /// # Errors
    /// The same, and [`WaitError::Timeout`]: the next call goes on from the same place.
    pub fn wait_next_timeout(&mut self, timeout: Duration) -> Result<SeqNo, WaitError> {
        self.block(deadline(timeout))
    }

    /// The next change, without blocking, under any executor. Dropping the future loses nothing.
    ///
    /// # Errors
    /// As [`wait_next`](Changes::wait_next).
    pub async fn next(&mut self) -> Result<SeqNo, WaitError> {
        let result = match self.reached() {
            Some(reached) => reached.await,
            None => Err(WaitError::Closed),
        };
        self.saw(result)
    }

    fn block(&mut self, deadline: Option<Instant>) -> Result<SeqNo, WaitError> {
        let result = match self.reached() {
            Some(reached) => reached.block(deadline),
            None => Err(WaitError::Closed),
        };
        self.saw(result)
    }

    /// `None` where no mark can follow.
    fn reached(&self) -> Option<Reached> {
        let next = self.seen.map_or(Some(0), |seen| seen.checked_add(1))?;
        Some(self.shard.reached(next))
    }

    fn saw(&mut self, result: Result<SeqNo, WaitError>) -> Result<SeqNo, WaitError> {
        if let Ok(mark) = result {
            self.seen = Some(mark);
        }
        result
    }
}
