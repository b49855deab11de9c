//! One life of the applier. The numbers are those of the steps in `lib.rs`.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use repl_core::{
    AlreadyTracked, AppliedSet, ApplyWindow, Claim, ClaimError, NewShard, ReplicationState, SeqNo,
    ShardId, WindowError,
};
use thiserror::Error;

use crate::accounts::{Accounts, AccountsError};
use crate::cli::{ApplyArgs, Sabotage};
use crate::events::{Event, tell};
use crate::log::{Log, LogError, Record};
use crate::random::{below, random};

/// How far above the mark a record may be applied: bounds the ranges that each commit writes.
const CAPACITY: u64 = 256;

/// The applier cannot go on.
#[derive(Debug, Error)]
pub(crate) enum ApplyError {
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Shard(#[from] AlreadyTracked),
    #[error(transparent)]
    Window(#[from] WindowError),
    #[error("record {0} is recorded as completed, and was offered again")]
    OfferedAgain(SeqNo),
    #[error("{found} records were recorded as completed, and {passed_over} were passed over")]
    NotAllPassedOver { found: u64, passed_over: u64 },
    #[error("the window holds {held:?}, and the database {written:?}")]
    Diverged { held: AppliedSet, written: AppliedSet },
    #[error("a thread panicked")]
    Panicked,
}

struct Applier<'a> {
    args: &'a ApplyArgs,
    log: &'a Log,
    accounts: &'a Accounts,
    window: ApplyWindow,
    /// What was in the database when this life began.
    found: AppliedSet,
    next: Mutex<Next>,
    queue: Mutex<Queue>,
    passed_over: AtomicU64,
    waits: AtomicU64,
    batches: AtomicU64,
    failed: AtomicU64,
}

/// Which seqno to try next.
struct Next {
    seqno: SeqNo,
    /// Those below were tried before.
    first_time: SeqNo,
}

/// What is worked through and not yet committed.
#[derive(Default)]
struct Queue {
    finished: Vec<Finished>,
    /// Whether a thread is the writer: it takes along what is queued meanwhile.
    writing: bool,
}

struct Finished {
    claim: Claim,
    record: Record,
}

/// Applies the log to its end.
pub(crate) fn run(args: &ApplyArgs, log: &Log, accounts: &Accounts) -> Result<(), ApplyError> {
    let found = accounts.applied()?; // 1.
    let (mark, above) = (found.mark(), above_mark(&found));
    tell(Event::Started { mark, above });
    let state = ReplicationState::new(&[]);
    let shard =
        state.add_shard(NewShard::new(ShardId::SINGLE).with_mark(mark).with_log(log.id()))?;
    let window = ApplyWindow::restore(shard, CAPACITY, found.above())?; // 2.
    // Where the ranges touched the mark, it has moved over them.
    let first = window.shard().applied().saturating_add(1);
    let applier = Applier {
        args,
        log,
        accounts,
        window,
        found,
        next: Mutex::new(Next { seqno: first, first_time: first }),
        queue: Mutex::default(),
        passed_over: AtomicU64::new(0),
        waits: AtomicU64::new(0),
        batches: AtomicU64::new(0),
        failed: AtomicU64::new(0),
    };
    thread::scope(|scope| {
        // One that fails ends the waiting of the others: nobody may be left to move the mark.
        let work = || {
            let worked = catch_unwind(AssertUnwindSafe(|| applier.work()));
            worked.unwrap_or(Err(ApplyError::Panicked)).inspect_err(|_| state.close())
        };
        let threads: Vec<_> = (0..args.threads).map(|_| scope.spawn(work)).collect();
        let ended = threads.into_iter().map(|t| t.join().unwrap_or(Err(ApplyError::Panicked)));
        ended.collect::<Vec<_>>().into_iter().collect::<Result<(), _>>()
    })?;
    let passed_over = applier.passed_over.load(Relaxed);
    if passed_over != above {
        return Err(ApplyError::NotAllPassedOver { found: above, passed_over });
    }
    applier.tell();
    Ok(())
}

impl Applier<'_> {
    /// What each thread does.
    fn work(&self) -> Result<(), ApplyError> {
        while let Some((seqno, first_time)) = self.take() {
            let claim = match self.claim(seqno) {
                Ok(claim) => claim, // 3.
                Err(ClaimError::AlreadyCompleted) => {
                    if first_time && self.found.contains(seqno) {
                        self.passed_over.fetch_add(1, Relaxed);
                    }
                    continue;
                }
                // Should its batch fail, the writer of that batch goes back to it.
                Err(ClaimError::Claimed) => continue,
                // Another thread has failed, and says why.
                Err(ClaimError::Full(_) | ClaimError::Ended(_)) => return Ok(()),
            };
            if self.found.contains(seqno) {
                return Err(ApplyError::OfferedAgain(seqno));
            }
            let record = self.log.read(seqno)?;
            thread::sleep(self.work_on(record)); // 4.
            self.put(Finished { claim, record })?;
        }
        Ok(())
    }

    /// The seqno to try next, and whether nobody has tried it before; `None` where no more are
    /// left. A thread may end then: whoever is the writer of a batch that fails comes back to it.
    fn take(&self) -> Option<(SeqNo, bool)> {
        let mut next = lock(&self.next);
        let seqno = next.seqno;
        if seqno > self.log.records {
            return None;
        }
        next.seqno += 1;
        let first_time = seqno >= next.first_time;
        next.first_time = next.first_time.max(next.seqno);
        Some((seqno, first_time))
    }

    fn claim(&self, seqno: SeqNo) -> Result<Claim, ClaimError> {
        match self.window.claim(seqno) {
            Err(ClaimError::Full(_)) => {
                self.waits.fetch_add(1, Relaxed);
                self.window.claim_blocking(seqno)
            }
            result => result,
        }
    }

    /// How long the work on a record takes: mostly short, and now and then so long that the others
    /// fill the window meanwhile.
    fn work_on(&self, record: Record) -> Duration {
        let words = [self.log.seed, record.seqno, 3];
        let long = random(&words).is_multiple_of(256);
        Duration::from_micros(if long { 60_000 } else { below(400, &words) })
    }

    /// Queues a finished record; as the writer, writes all that is queued.
    fn put(&self, finished: Finished) -> Result<(), ApplyError> {
        let mut queue = lock(&self.queue);
        queue.finished.push(finished);
        if mem::replace(&mut queue.writing, true) {
            return Ok(());
        }
        loop {
            let batch = mem::take(&mut queue.finished);
            if batch.is_empty() {
                queue.writing = false;
                return Ok(());
            }
            drop(queue);
            // After an error nobody becomes the writer any more: what is in doubt stays so.
            self.write(batch)?;
            queue = lock(&self.queue);
        }
    }

    fn write(&self, batch: Vec<Finished>) -> Result<(), ApplyError> {
        let records: Vec<Record> = batch.iter().map(|finished| finished.record).collect();
        let after = self.window.shard().completed().with(records.iter().map(|r| r.seqno));
        let recorded = match self.args.sabotage {
            Some(Sabotage::ForgetRanges) => &AppliedSet::new(after.mark(), []),
            Some(Sabotage::MarkFirst) => {
                self.accounts.prepare(&[], &after)?.commit()?;
                &after
            }
            None => &after,
        };
        let prepared = self.accounts.prepare(&records, recorded)?; // 5., 6.
        if self.is_to_fail() {
            drop(prepared);
            self.give_up(batch);
            return Ok(());
        }
        prepared.commit()?; // 7.
        for finished in batch {
            finished.claim.complete(); // 8.
        }
        let held = self.window.shard().completed();
        if held != after {
            return Err(ApplyError::Diverged { held, written: after });
        }
        self.tell();
        Ok(())
    }

    /// Frees what a failed batch held, and has the threads come back to it. In this order: who came
    /// back sooner would find it claimed, and pass over it for good.
    fn give_up(&self, batch: Vec<Finished>) {
        let lowest = batch.iter().map(|finished| finished.claim.seqno()).min();
        drop(batch); // 9.
        let mut next = lock(&self.next);
        next.seqno = lowest.map_or(next.seqno, |lowest| next.seqno.min(lowest));
        self.failed.fetch_add(1, Relaxed);
    }

    fn is_to_fail(&self) -> bool {
        let batch = self.batches.fetch_add(1, Relaxed);
        let words = [self.log.seed, self.found.mark(), batch, 4];
        self.args.fail_one_in > 0 && below(self.args.fail_one_in, &words) == 0
    }

    fn tell(&self) {
        let held = self.window.shard().completed();
        tell(Event::Committed {
            done: held.mark().saturating_add(above_mark(&held)),
            passed_over: self.passed_over.load(Relaxed),
            waits: self.waits.load(Relaxed),
            failed: self.failed.load(Relaxed),
        });
    }
}

/// A thread that panicked ends the run, and so nobody goes on from what it left half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many records are completed above the mark.
pub(crate) fn above_mark(completed: &AppliedSet) -> u64 {
    completed.above().iter().map(|range| range.last.saturating_sub(range.first) + 1).sum()
}
