//! The applier process. Numbers in comments are those of the steps in `main.rs`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use kill_loop::{below, random, send};
use repl_checkpoint::{CheckpointBytes, Floors, UnsealError};
use repl_core::{Advance, ReplicationState, SeqNo, Shard, ShardId};
use rusqlite::{ErrorCode, Transaction};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::cli::{ApplyArgs, Mutant};
use crate::database::{Database, DatabaseError, add, store_marks, stored_marks};
use crate::log::{LogError, Logs, SHARDS, Segment};

/// What the applier sends to its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    /// A commit took effect.
    Committed,
    /// Another transaction has changed the marks first.
    Conflict,
    /// A commit was in doubt.
    InDoubt,
    /// The stored marks say that an earlier commit took effect.
    FoundApplied,
}

/// The longest time that the work on a segment takes.
const WORK_UP_TO_MICROS: u64 = 400;

/// An error that ends the applier.
#[derive(Debug, Error)]
pub(crate) enum ApplyError {
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error("cannot apply a segment to the database")]
    Apply(#[from] rusqlite::Error),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("the stored marks are damaged")]
    Marks(#[from] UnsealError),
    #[error("the stored marks lack shard {0}")]
    NoShard(ShardId),
    #[error("a thread of the applier panicked")]
    Panicked,
}

struct Applier<'a> {
    args: &'a ApplyArgs,
    logs: &'a Logs,
    path: &'a Path,
    live: Arc<ReplicationState>,
    floors: Floors,
    failed: AtomicBool,
}

/// How a transaction ended.
enum Outcome {
    Committed,
    FoundApplied { mark: SeqNo },
    InDoubt,
}

/// Applies all logs to their ends.
pub(crate) fn run(args: &ApplyArgs, logs: &Logs, path: &Path) -> Result<(), ApplyError> {
    let database = Database::open(path)?;
    database.fold_log()?;
    let stored = database.marks()?; // 1
    let live = Arc::new(ReplicationState::from_checkpoint_bytes(&stored, &SHARDS)?);
    let floors = Floors::of_durable(Arc::clone(&live));
    let failed = AtomicBool::new(false);
    let applier = &Applier { args, logs, path, live, floors, failed };
    thread::scope(|scope| {
        let deleters =
            SHARDS.map(|shard| scope.spawn(move || applier.guard(|| applier.delete(shard))));
        let appliers =
            SHARDS.map(|shard| scope.spawn(move || applier.guard(|| applier.apply(shard))));
        let join =
            |thread: ScopedJoinHandle<'_, _>| thread.join().unwrap_or(Err(ApplyError::Panicked));
        let ended = appliers.map(join);
        applier.live.close(); // ends the deleters, once they have seen the last marks
        ended.into_iter().chain(deleters.map(join)).collect()
    })
}

impl Applier<'_> {
    /// Runs one thread. If it fails, the others end as well.
    fn guard(&self, work: impl FnOnce() -> Result<(), ApplyError>) -> Result<(), ApplyError> {
        let worked = catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(ApplyError::Panicked));
        worked.inspect_err(|_| self.failed.store(true, Relaxed))
    }

    /// Applies the log of a shard.
    fn apply(&self, id: ShardId) -> Result<(), ApplyError> {
        let mut database = Database::open(self.path)?;
        let shard = self.shard(id)?;
        let mut mark = shard.applied();
        while mark < self.logs.segments && !self.failed.load(Relaxed) {
            let segment = self.logs.read(id, mark + 1)?;
            mark = self.apply_segment(&mut database, segment)?;
            shard.advance(mark); // 7
        }
        Ok(())
    }

    /// Applies a segment, unless the database holds it. Returns the mark of its shard that is
    /// stored then.
    fn apply_segment(
        &self,
        database: &mut Database,
        segment: Segment,
    ) -> Result<SeqNo, ApplyError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.try_apply(database.begin()?, segment, attempt) {
                Ok(Outcome::Committed) => {
                    send(Event::Committed);
                    return Ok(segment.seqno);
                }
                Ok(Outcome::FoundApplied { mark }) => {
                    send(Event::FoundApplied);
                    return Ok(mark);
                }
                Ok(Outcome::InDoubt) => send(Event::InDoubt),
                Err(error) if error.is_conflict() => send(Event::Conflict),
                Err(error) => return Err(error),
            }
        }
    }

    /// Applies a segment in a transaction, which is rolled back unless it is committed.
    fn try_apply(
        &self,
        transaction: Transaction<'_>,
        segment: Segment,
        attempt: u64,
    ) -> Result<Outcome, ApplyError> {
        let Segment { shard, seqno, .. } = segment;
        let (next, moved) = self.next_marks(&transaction, segment)?; // 2, 3
        match moved {
            Advance::Advanced { .. } => {}
            Advance::Stale { at: mark } => return Ok(Outcome::FoundApplied { mark }),
            _ => return Err(ApplyError::NoShard(shard)),
        }
        if self.args.mutant == Some(Mutant::AdvanceBeforeCommit) {
            self.live.advance(shard, seqno);
        }
        let work = below(WORK_UP_TO_MICROS, &self.words(segment, attempt, 2));
        thread::sleep(Duration::from_micros(work)); // 4
        add(&transaction, segment)?;
        store_marks(&transaction, &next)?; // 5
        self.commit(transaction, segment, attempt) // 6
    }

    /// Commits, or leaves in doubt whether the commit took effect.
    fn commit(
        &self,
        transaction: Transaction<'_>,
        segment: Segment,
        attempt: u64,
    ) -> Result<Outcome, ApplyError> {
        let words = self.words(segment, attempt, 3);
        let in_doubt = self.args.doubt_one_in > 0 && below(self.args.doubt_one_in, &words) == 0;
        let takes_effect = !in_doubt || random(&self.words(segment, attempt, 4)).is_multiple_of(2);
        if takes_effect {
            transaction.commit()?;
        }
        Ok(if in_doubt { Outcome::InDoubt } else { Outcome::Committed })
    }

    /// What the random choices of an attempt depend on.
    fn words(&self, segment: Segment, attempt: u64, choice: u64) -> [u64; 5] {
        [self.logs.seed, segment.shard.0, segment.seqno, attempt, choice]
    }

    /// The bytes to store next, and what the move of the segment did to the marks.
    fn next_marks(
        &self,
        transaction: &Transaction<'_>,
        segment: Segment,
    ) -> Result<(Vec<u8>, Advance), ApplyError> {
        let advance = |marks: &ReplicationState| marks.advance(segment.shard, segment.seqno);
        if self.args.mutant == Some(Mutant::CloneLiveState) {
            let clone = self.live.as_ref().clone();
            let moved = advance(&clone);
            return Ok((clone.to_checkpoint_bytes(), moved));
        }
        let stored = stored_marks(transaction)?; // 2
        Ok(ReplicationState::next_checkpoint_bytes(&stored, advance)?) // 3
    }

    /// Deletes the segments of a log up to the floor, until waiting is closed.
    fn delete(&self, id: ShardId) -> Result<(), ApplyError> {
        let mut next = self.logs.kept(id)?.into_iter().min().unwrap_or(SeqNo::MAX);
        let mut changes = self.shard(id)?.changes();
        while changes.next().wait().is_ok() {
            let floor = self.floors.retention_floor(id).unwrap_or(0); // 8
            while next <= floor.saturating_sub(self.args.keep) {
                self.logs.delete(id, next)?;
                next += 1;
            }
        }
        Ok(())
    }

    fn shard(&self, id: ShardId) -> Result<Shard, ApplyError> {
        self.live.shard(id).ok_or(ApplyError::NoShard(id))
    }
}

impl ApplyError {
    /// Whether another transaction was in the way, so that this one took no effect.
    fn is_conflict(&self) -> bool {
        match self {
            ApplyError::Apply(e) => e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy),
            _ => false,
        }
    }
}
