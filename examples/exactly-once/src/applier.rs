//! The applier process. Numbers in comments are those of the steps in README.md.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use example_support::{Error, Work, rng, run_all, send};
use repl_checkpoint::{CheckpointBytes, Floors};
use repl_core::{Advance, ReplicationState, SeqNo, Shard, ShardId};
use rusqlite::{ErrorCode, Transaction};
use serde::{Deserialize, Serialize};

use crate::database::{Database, add, store_marks, stored_marks};
use crate::log::{Logs, SHARDS, Segment};
use crate::{Args, Mutant};

/// What the applier sends to its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    /// A commit took effect.
    Committed,
    /// Another transaction has changed the marks first.
    Conflict,
    /// A commit was in doubt.
    InDoubt,
    /// The stored marks say that a commit in doubt took effect.
    FoundApplied,
}

/// The longest time that the work on a segment takes.
const WORK_UP_TO_MICROS: u64 = 400;

struct Applier<'a> {
    args: &'a Args,
    logs: &'a Logs,
    live: Arc<ReplicationState>,
    floors: Floors,
    failed: AtomicBool,
}

/// Applies all logs to their ends.
pub(crate) fn run(args: &Args, logs: &Logs) -> Result<(), Error> {
    let database = Database::open(&logs.database())?;
    let stored = database.marks()?; // 1
    let live = Arc::new(ReplicationState::from_checkpoint_bytes(&stored, &SHARDS)?);
    let floors = Floors::of_durable(Arc::clone(&live));
    let failed = AtomicBool::new(false);
    let applier = &Applier { args, logs, live, floors, failed };
    let appliers = SHARDS.map(|shard| Box::new(move || applier.apply(shard)) as Work<'_>);
    let deleters = SHARDS.map(|shard| Box::new(move || applier.delete(shard)) as Work<'_>);
    run_all(appliers.into_iter().chain(deleters), || {
        applier.failed.store(true, Relaxed);
        applier.live.close();
    })
}

impl Applier<'_> {
    /// Applies the log of a shard.
    fn apply(&self, id: ShardId) -> Result<(), Error> {
        let mut database = Database::open(&self.logs.database())?;
        let shard = self.shard(id)?;
        let mut mark = shard.applied();
        while mark < self.logs.segments && !self.failed.load(Relaxed) {
            let segment = self.logs.read(id, mark + 1)?;
            let mut rng = rng(&[self.logs.seed, id.0, segment.seqno]);
            mark = loop {
                match self.try_apply(database.begin()?, segment, &mut rng) {
                    Ok(Some(mark)) => break mark,
                    Ok(None) => send(Event::InDoubt),
                    Err(error) if is_conflict(&error) => send(Event::Conflict),
                    Err(error) => return Err(error),
                }
            };
            shard.advance(mark); // 7
        }
        Ok(())
    }

    /// Applies a segment in a transaction, unless the database holds it. Returns the mark of its
    /// shard that is stored then, or `None` if it is in doubt whether the commit took effect.
    fn try_apply(
        &self,
        transaction: Transaction<'_>,
        segment: Segment,
        rng: &mut fastrand::Rng,
    ) -> Result<Option<SeqNo>, Error> {
        let Segment { shard, seqno, .. } = segment;
        let advance = |marks: &ReplicationState| marks.advance(shard, seqno);
        let (next, moved) = if self.args.mutant == Some(Mutant::CloneLiveState) {
            let clone = self.live.as_ref().clone();
            let moved = advance(&clone);
            (clone.to_checkpoint_bytes(), moved)
        } else {
            let stored = stored_marks(&transaction)?; // 2
            ReplicationState::next_checkpoint_bytes(&stored, advance)? // 3
        };
        match moved {
            Advance::Advanced { .. } => {}
            Advance::Stale { at: mark } => {
                send(Event::FoundApplied);
                return Ok(Some(mark));
            }
            _ => return Err(no_shard(shard)),
        }
        if self.args.mutant == Some(Mutant::AdvanceBeforeCommit) {
            self.live.advance(shard, seqno);
        }
        thread::sleep(Duration::from_micros(rng.u64(..WORK_UP_TO_MICROS))); // 4
        add(&transaction, segment)?;
        store_marks(&transaction, &next)?; // 5
        let one_in = self.args.doubt_one_in;
        if one_in > 0 && rng.u64(..one_in) == 0 {
            if rng.bool() {
                transaction.commit()?;
            }
            return Ok(None);
        }
        transaction.commit()?; // 6
        send(Event::Committed);
        Ok(Some(seqno))
    }

    /// Deletes the segments of a log up to the floor, until all are deleted or waiting is closed.
    fn delete(&self, id: ShardId) -> Result<(), Error> {
        let mut next = self.logs.kept(id)?.first().copied().unwrap_or(SeqNo::MAX);
        let (mut changes, keep) = (self.shard(id)?.changes(), self.args.keep);
        while next <= self.logs.segments.saturating_sub(keep) && changes.next().wait().is_ok() {
            let floor = self.floors.retention_floor(id).unwrap_or(0); // 8
            while next <= floor.saturating_sub(keep) {
                self.logs.delete(id, next)?;
                next += 1;
            }
        }
        Ok(())
    }

    fn shard(&self, id: ShardId) -> Result<Shard, Error> {
        self.live.shard(id).ok_or_else(|| no_shard(id))
    }
}

/// Whether another transaction was in the way, so that this one took no effect.
fn is_conflict(error: &Error) -> bool {
    let error = error.downcast_ref().and_then(rusqlite::Error::sqlite_error_code);
    error == Some(ErrorCode::DatabaseBusy)
}

fn no_shard(id: ShardId) -> Error {
    format!("the stored marks lack shard {id}").into()
}
