//! How does one shard follow its log, one turn after the other?
//!
//! For each transaction, in the order of the log:
//! 1. the log is made durable up to it, for as many transactions at once as are there;
//! 2. the gate: a transaction at or below the mark is applied already;
//! 3. write its pages into the replica;
//! 4. note the position, so that whoever saves the mark finds it;
//! 5. move the mark.
//!
//! Step 1 is the rule of every write-ahead log, kept for the leader, which syncs its log only
//! before a checkpoint. Without it a power cut could take the end of the log and leave its pages in
//! the replica, where nothing would ever overwrite them.
//!
//! The pages of one shard are applied in the order of its log, by one thread at a time (`pool.rs`).
//! A frame is a whole page and overwrites what was there, so of two frames of one page the older
//! would win if it came second. A page is also no unit by itself: the pages of one transaction
//! point at each other, and with some of them from before it and some from after it a B-tree is
//! torn. Only its commit frame makes a transaction visible, and then all of it at once. Between two
//! databases no page points at another, so in which order two shards are applied makes no
//! difference.

use std::sync::Arc;
use std::time::{Duration, Instant};

use repl_core::{Advance, SeqNo, Shard};
use thiserror::Error;

use crate::events::{Event, tell};
use crate::layout::Layout;
use crate::position::Position;
use crate::positions::Positions;
use crate::replica::{Replica, ReplicaError};
use crate::restart::RestartRecords;
use crate::start::{LogReset, ResetReason, reset};
use crate::tail::{Step, Tail, TailError};
use crate::wal::LogPoint;

/// How long to wait where the log held nothing new.
const IDLE: Duration = Duration::from_millis(2);

/// After so long a busy shard lets others go first.
const TURN: Duration = Duration::from_millis(4);

/// One shard on its way.
#[derive(Debug)]
pub(crate) struct Applier {
    pub(crate) layout: Layout,
    pub(crate) positions: Arc<Positions>,
    pub(crate) replica: Arc<Replica>,
    pub(crate) shard: Shard,
    pub(crate) tail: Tail,
    /// The place behind which the log goes on.
    pub(crate) position: Position,
    /// The mark that the next transaction follows; in an earlier log where `position` is the start
    /// of one.
    pub(crate) mark: SeqNo,
    /// Up to where the log is known to be durable.
    pub(crate) durable: LogPoint,
    /// Whether step 1 is taken; tests see what happens without it.
    pub(crate) log_first: bool,
}

/// A shard cannot be followed any further.
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
    #[error("shard {shard}: the mark did not move from {from} to {to}: {answer:?}")]
    Mark { shard: u64, from: u64, to: u64, answer: Advance },
}

impl Applier {
    /// Follows the log for a while. Returns after how long it should be looked at again; `None` at
    /// its end, where that is to be the last.
    ///
    /// `finishing` must have been read before: what was written before it was set is then seen.
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
                        let answer = self.shard.advance_from(from, seqno); // 5
                        if !matches!(answer, Advance::Advanced { .. }) {
                            let (shard, to) = (id.0, seqno);
                            return Err(ApplyError::Mark { shard, from, to, answer });
                        }
                    }
                    (self.position, self.mark) = (next, seqno);
                    tell(Event::Applied { shard: id.0, seqno, frames, at: next.at });
                }
                Step::NewLog(header) => {
                    let id = self.shard.id();
                    let records = RestartRecords::load(&self.layout.restarts(id))?;
                    let next = records.follow(self.position, &header);
                    self.position = next.map_err(|e| self.reset(e.into()))?;
                    tell(Event::NextLog { shard: id.0 });
                }
                Step::Idle if finishing => return Ok(None),
                // A transaction that is still growing is read from its start each time.
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
