//! Applies the log of one shard to its replica.
//!
//! For each transaction, in the order of the log:
//! 1. make the log durable up to it, and further if more transactions are there;
//! 2. check the mark: a transaction at or below it is applied already;
//! 3. write its pages into the replica;
//! 4. record the position, which must be known before the mark can be saved;
//! 5. move the mark.
//!
//! Step 1 is the write-ahead rule. The leader syncs its log only before a checkpoint, so the
//! follower does it. Otherwise a power cut could remove the end of the log while its pages stay in
//! the replica, and nothing would ever overwrite them.
//!
//! The pages of one shard are applied in the order of its log, by one thread at a time (`pool.rs`):
//! - A frame is a whole page and overwrites the older page. In the wrong order the older one would
//!   win.
//! - The pages of one transaction point at each other. With only some of them applied, a B-tree is
//!   torn. The commit frame makes the whole transaction visible at once.
//!
//! No page of one database points at a page of another, so shards need no common order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use repl_core::{Advance, SeqNo, Shard};
use thiserror::Error;

use crate::events::{Event, send};
use crate::layout::Layout;
use crate::position::Position;
use crate::positions::Positions;
use crate::replica::{Replica, ReplicaError};
use crate::restart::RestartRecords;
use crate::start::{LogReset, ResetReason, reset};
use crate::tail::{Step, Tail, TailError};
use crate::wal::LogPoint;

/// The shortest time until the next look at a log without anything new.
const IDLE: Duration = Duration::from_millis(2);

/// How long a busy shard keeps its thread.
const TURN: Duration = Duration::from_millis(4);

/// The applier of one shard.
#[derive(Debug)]
pub(crate) struct Applier {
    pub(crate) layout: Layout,
    pub(crate) positions: Arc<Positions>,
    pub(crate) replica: Arc<Replica>,
    pub(crate) shard: Shard,
    pub(crate) tail: Tail,
    /// The place in the log up to which the replica is applied.
    pub(crate) position: Position,
    /// The mark before the next transaction. It lies in the previous log if `position` is the start
    /// of a log.
    pub(crate) mark: SeqNo,
    /// Up to where the log is known to be durable.
    pub(crate) durable: LogPoint,
    /// Whether step 1 is taken. A mutant leaves it out.
    pub(crate) log_first: bool,
}

/// An error that ends the applier of a shard.
#[derive(Debug, Error)]
pub(crate) enum ApplyError {
    #[error(transparent)]
    LogReset(#[from] LogReset),
    #[error(transparent)]
    Tail(#[from] TailError),
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    #[error(transparent)]
    Records(#[from] crate::durable::FileError),
    #[error("shard {shard}: the mark did not move from {from} to {to}: {outcome:?}")]
    Mark { shard: u64, from: u64, to: u64, outcome: Advance },
}

impl Applier {
    /// Follows the log for one turn. Returns the time until the next turn is due, or `None` at the
    /// end of the log if `finishing`.
    ///
    /// Read `finishing` before the call, so that the call sees all that was written before the
    /// order to finish.
    pub(crate) fn turn(&mut self, finishing: bool) -> Result<Option<Duration>, ApplyError> {
        let began = Instant::now();
        while began.elapsed() < TURN {
            let looked = Instant::now();
            match self.tail.step(&self.position.at)? {
                Step::Transaction(t) if self.log_first && !t.is_within(&self.durable) => {
                    self.durable = self.tail.make_durable(self.position.at)?; // 1
                }
                Step::Transaction(transaction) => {
                    let next = self.position.moved_to(transaction.end);
                    let (id, frames) = (self.shard.id(), transaction.frame_count() as u64);
                    let (seqno, from) = (next.seqno(), self.mark);
                    if self.shard.applied() < seqno {
                        // 2
                        self.replica.apply(&transaction, seqno)?; // 3
                        self.positions.reached(id, next); // 4
                        let outcome = self.shard.advance_from(from, seqno); // 5
                        if !matches!(outcome, Advance::Advanced { .. }) {
                            let (shard, to) = (id.0, seqno);
                            return Err(ApplyError::Mark { shard, from, to, outcome });
                        }
                    }
                    (self.position, self.mark) = (next, seqno);
                    send(Event::Applied { shard: id.0, seqno, frames, at: next.at });
                }
                Step::NewLog(header) => {
                    let id = self.shard.id();
                    let records = RestartRecords::load(&self.layout.restarts(id))?;
                    let next = records.follow(self.position, &header);
                    self.position = next.map_err(|e| self.reset(e.into()))?;
                    send(Event::NextLog { shard: id.0 });
                }
                Step::Idle if finishing => return Ok(None),
                // An unfinished transaction is read from its start each time, so back off.
                Step::Idle => return Ok(Some(IDLE.max(looked.elapsed()))),
                Step::Rewritten => return Err(self.reset(ResetReason::Rewritten).into()),
                Step::NoLog => return Err(self.reset(ResetReason::NoLog).into()),
            }
        }
        Ok(Some(Duration::ZERO))
    }

    fn reset(&self, reason: ResetReason) -> LogReset {
        reset(&self.layout, self.shard.id(), self.position, reason)
    }
}
