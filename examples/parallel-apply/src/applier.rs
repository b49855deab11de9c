//! The applier process. Numbers in comments are those of the steps in `lib.rs`.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use kill_loop::{below, random, send};
use repl_core::{
    AppliedSet, ApplyWindow, Claim, ClaimError, CompleteError, ReplicationState, SeqNo, ShardId,
    Snapshot, SnapshotEntry, WindowError,
};
use thiserror::Error;

use crate::accounts::{Accounts, AccountsError};
use crate::cli::{ApplyArgs, Mutant};
use crate::events::Event;
use crate::log::{Log, LogError, Record};

/// How far above the mark a record may be applied. Limits the ranges that each commit writes.
const CAPACITY: u64 = 256;

/// An error that ends the applier.
#[derive(Debug, Error)]
pub(crate) enum ApplyError {
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Window(#[from] WindowError),
    #[error(transparent)]
    Complete(#[from] CompleteError),
    #[error("the restored state does not track its only shard")]
    NoShard,
    #[error("record {0} is recorded as completed, but was offered again")]
    OfferedAgain(SeqNo),
    #[error("{found} records were recorded as completed, but {passed_over} were passed over")]
    NotAllPassedOver { found: u64, passed_over: u64 },
    #[error("the window holds {held:?}, but the database holds {written:?}")]
    Diverged { held: AppliedSet, written: AppliedSet },
    #[error("a thread of the applier panicked")]
    Panicked,
}

struct Applier<'a> {
    args: &'a ApplyArgs,
    log: &'a Log,
    accounts: &'a Accounts,
    window: ApplyWindow,
    /// What the database held when the process started.
    found: AppliedSet,
    next: Mutex<Next>,
    queue: Mutex<Queue>,
    passed_over: AtomicU64,
    waits: AtomicU64,
    batches: AtomicU64,
    failed: AtomicU64,
}

/// The seqno to try next.
struct Next {
    seqno: SeqNo,
    /// Seqnos below this were tried before.
    first_time: SeqNo,
}

/// Finished records that are not committed yet.
#[derive(Default)]
struct Queue {
    finished: Vec<Finished>,
    /// Whether a thread is the writer, which also commits what is queued meanwhile.
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
    send(Event::Started { mark, above });
    let entry = SnapshotEntry::new(ShardId::SINGLE, found.clone()).with_log(log.id());
    let state = ReplicationState::restore(&Snapshot::from_iter([entry])); // 2.
    let shard = state.shard(ShardId::SINGLE).ok_or(ApplyError::NoShard)?;
    let window = ApplyWindow::new(shard, CAPACITY)?;
    let first = mark.saturating_add(1);
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
        // A thread that fails ends the waits of the others: no thread may be left to move the mark.
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
    applier.send_progress();
    Ok(())
}

impl Applier<'_> {
    /// Runs one thread.
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
                // If the batch of that claim fails, its writer goes back to this seqno.
                Err(ClaimError::Claimed) => continue,
                // Another thread failed and returns the error.
                Err(_) => return Ok(()),
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

    /// The seqno to try next, and whether it was never tried before; `None` at the end of the log.
    /// The thread may then end: the writer of a batch that fails goes back to the batch's seqnos.
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
        match self.window.try_claim(seqno) {
            Err(ClaimError::Full(_)) => {
                self.waits.fetch_add(1, Relaxed);
                self.window.claim(seqno).wait()
            }
            result => result,
        }
    }

    /// How long the work on a record takes: mostly short, but sometimes so long that the other
    /// threads fill the window meanwhile.
    fn work_on(&self, record: Record) -> Duration {
        let words = [self.log.seed, record.seqno, 3];
        let long = random(&words).is_multiple_of(256);
        Duration::from_micros(if long { 60_000 } else { below(400, &words) })
    }

    /// Queues a finished record. The writer also commits everything queued.
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
            // After an error `writing` stays set: nothing is written after a commit in doubt.
            self.write(batch)?;
            queue = lock(&self.queue);
        }
    }

    fn write(&self, batch: Vec<Finished>) -> Result<(), ApplyError> {
        let records: Vec<Record> = batch.iter().map(|finished| finished.record).collect();
        let mut after = self.window.shard().applied_set();
        for record in &records {
            after.insert(record.seqno);
        }
        let recorded = match self.args.mutant {
            Some(Mutant::ForgetRanges) => &AppliedSet::up_to(after.mark()),
            Some(Mutant::MarkFirst) => {
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
            finished.claim.complete()?; // 8.
        }
        let held = self.window.shard().applied_set();
        if held != after {
            return Err(ApplyError::Diverged { held, written: after });
        }
        self.send_progress();
        Ok(())
    }

    /// Frees the seqnos of a failed batch, then makes the threads go back to them. In the other
    /// order a thread would find them still claimed, and pass over them for good.
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

    fn send_progress(&self) {
        let held = self.window.shard().applied_set();
        send(Event::Committed {
            done: held.mark().saturating_add(above_mark(&held)),
            passed_over: self.passed_over.load(Relaxed),
            waits: self.waits.load(Relaxed),
            failed: self.failed.load(Relaxed),
        });
    }
}

/// Ignores poisoning: a thread that panics ends the run.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The number of records completed above the mark.
pub(crate) fn above_mark(completed: &AppliedSet) -> u64 {
    completed.above().map(|range| range.len()).sum()
}
