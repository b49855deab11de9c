//! How does one shard follow its log, from its start to the end?
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
//! One thread applies one shard, since the pages of one transaction go over those of the one
//! before: two of them out of order would leave the older page.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
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

/// How long to wait where the log held nothing new.
const IDLE: Duration = Duration::from_millis(2);

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
    /// Follows the log until it is told to finish, and then to the log's end.
    pub(crate) fn run(self, finish: &AtomicBool) -> Result<(), ApplyError> {
        let Applier {
            layout,
            positions,
            replica,
            shard,
            mut tail,
            mut position,
            mut mark,
            log_first,
        } = self;
        let id = shard.id();
        let reset = |position, reason| reset(&layout, id, position, reason);
        let mut durable = position.at;
        loop {
            // Read before the log is: what was written before the word was given is then seen.
            let finishing = finish.load(Ordering::Acquire);
            let began = Instant::now();
            match tail.step(&position.at)? {
                Step::Transaction(t) if log_first && !t.is_within(&durable) => {
                    durable = tail.make_durable(position.at)?; // 1
                }
                Step::Transaction(transaction) => {
                    let next = position.moved_to(transaction.end);
                    let frames = transaction.frame_count() as u64;
                    let (seqno, from) = (next.seqno(), mark);
                    if shard.applied() < seqno {
                        // 2
                        replica.apply(&transaction, seqno)?; // 3
                        positions.reached(id, next); // 4
                        let answer = shard.advance_from(from, seqno); // 5
                        if !matches!(answer, Advance::Moved { .. }) {
                            let (shard, to) = (id.0, seqno);
                            return Err(ApplyError::Mark { shard, from, to, answer });
                        }
                    }
                    (position, mark) = (next, seqno);
                    tell(Event::Applied { shard: id.0, seqno, frames, at: next.at });
                }
                Step::NewLog(header) => {
                    let records = RestartRecords::load(&layout.restarts(id))?;
                    let next = records.follow(position, &header);
                    position = next.map_err(|e| reset(position, e.into()))?;
                    tell(Event::NextLog { shard: id.0 });
                }
                Step::Idle if finishing => return Ok(()),
                // A transaction that is still growing is read from its start each time.
                Step::Idle => thread::sleep(IDLE.max(began.elapsed())),
                Step::Rewritten => return Err(reset(position, ResetReason::Rewritten).into()),
                Step::NoLog => return Err(reset(position, ResetReason::NoLog).into()),
            }
        }
    }
}
