//! The applier process. Numbers in comments are those of the steps in README.md.

use std::iter;
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use example_support::{Context, Error, Work, lock, rng, run_all, send};
use repl_core::{
    AppliedSet, ApplyWindow, Claim, ClaimError, ReplicationState, SeqNo, ShardId, Snapshot,
    SnapshotEntry, WaitError,
};
use serde::{Deserialize, Serialize};

use crate::accounts::Accounts;
use crate::log::{Log, Record};
use crate::run::{Args, Mutant};

/// How far above the mark a record may be applied.
const CAPACITY: u64 = 256;

/// How long a thread waits for room before it looks for a lower seqno.
const ROOM_WITHIN: Duration = Duration::from_millis(100);

/// An event of the applier.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Event {
    Started { mark: SeqNo, above: u64 },
    Committed { done: u64, counts: Counts },
}

/// Counts since the process started.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Records committed before an earlier one was.
    out_of_order: u64,
    /// Records that were completed already.
    passed_over: u64,
    waits_for_room: u64,
    /// Batches that were dropped, and applied again.
    failed_batches: u64,
}

impl Counts {
    /// Adds the counts of another process.
    pub(crate) fn add(&mut self, other: Counts) {
        self.out_of_order += other.out_of_order;
        self.passed_over += other.passed_over;
        self.waits_for_room += other.waits_for_room;
        self.failed_batches += other.failed_batches;
    }
}

struct Applier<'a> {
    args: &'a Args,
    log: &'a Log,
    accounts: &'a Accounts,
    window: ApplyWindow,
    /// What the database held when the process started.
    found: AppliedSet,
    next: Mutex<Next>,
    counts: Mutex<Counts>,
}

/// The seqno to try next.
struct Next {
    seqno: SeqNo,
    /// Seqnos below this were tried before.
    first_time: SeqNo,
}

/// A record that is not committed yet.
struct Finished {
    claim: Claim,
    record: Record,
}

/// Applies the log to its end.
pub(crate) fn run(args: &Args, log: &Log, accounts: &Accounts) -> Result<(), Error> {
    let found = accounts.applied()?; // 1.
    let (mark, above) = (found.mark(), above_mark(&found));
    send(Event::Started { mark, above });
    let entry = SnapshotEntry::new(ShardId::SINGLE, found.clone()).with_log(log.id());
    let state = ReplicationState::restore(&Snapshot::from_iter([entry])); // 2.
    let shard = state.shard(ShardId::SINGLE).ok_or("the restored state lacks its shard")?;
    let window = ApplyWindow::new(shard, CAPACITY)?;
    let first = mark.saturating_add(1);
    let applier = &Applier {
        args,
        log,
        accounts,
        window,
        found,
        next: Mutex::new(Next { seqno: first, first_time: first }),
        counts: Mutex::default(),
    };
    let (sender, finished) = mpsc::channel();
    let mut threads: Vec<Work<'_>> = vec![Box::new(move || applier.write_all(&finished))];
    for sender in iter::repeat_n(sender, args.threads.into()) {
        threads.push(Box::new(move || applier.work(&sender)));
    }
    // A thread that fails ends the waits of the others: no thread may be left to move the mark.
    run_all(threads, || state.close())?;
    let passed_over = lock(&applier.counts).passed_over;
    if passed_over != above {
        let why = format!("{above} were recorded as completed, but {passed_over} passed over");
        return Err(why.into());
    }
    applier.send_progress();
    Ok(())
}

impl Applier<'_> {
    /// Runs one thread that applies records.
    fn work(&self, finished: &Sender<Finished>) -> Result<(), Error> {
        while let Some((seqno, first_time)) = self.take() {
            let claim = match self.claim(seqno) {
                Ok(claim) => claim, // 3.
                Err(ClaimError::AlreadyCompleted) => {
                    if first_time && self.found.contains(seqno) {
                        lock(&self.counts).passed_over += 1;
                    }
                    continue;
                }
                // If the batch of that claim fails, the threads go back to this seqno.
                Err(ClaimError::Claimed) => continue,
                // A batch below may have failed.
                Err(ClaimError::Timeout) => {
                    self.go_back_to(seqno);
                    continue;
                }
                // Another thread failed and returns the error.
                Err(_) => return Ok(()),
            };
            if self.found.contains(seqno) {
                let why = "is recorded as completed, but was offered again";
                return Err(format!("record {seqno} {why}").into());
            }
            let record = self.log.record(seqno);
            thread::sleep(self.work_on(record)); // 4.
            if finished.send(Finished { claim, record }).is_err() {
                return Ok(()); // the writer failed
            }
        }
        Ok(())
    }

    /// The seqno to try next, and whether it was never tried before; `None` once all are applied,
    /// or another thread failed.
    fn take(&self) -> Option<(SeqNo, bool)> {
        loop {
            let mut next = lock(&self.next);
            let seqno = next.seqno;
            if seqno <= self.log.records {
                next.seqno += 1;
                let first_time = seqno >= next.first_time;
                next.first_time = next.first_time.max(next.seqno);
                return Some((seqno, first_time));
            }
            drop(next);
            // Until then a batch may fail, and the threads go back to its seqnos.
            let all = self.window.shard().reached(self.log.records);
            if all.wait_timeout(Duration::from_millis(1)) != Err(WaitError::Timeout) {
                return None;
            }
        }
    }

    fn claim(&self, seqno: SeqNo) -> Result<Claim, ClaimError> {
        match self.window.try_claim(seqno) {
            Err(ClaimError::Full(_)) => {
                lock(&self.counts).waits_for_room += 1;
                self.window.claim(seqno).wait_timeout(ROOM_WITHIN)
            }
            result => result,
        }
    }

    /// How long the work on a record takes: mostly short, but sometimes so long that the other
    /// threads fill the window meanwhile.
    fn work_on(&self, record: Record) -> Duration {
        let mut rng = rng(&[self.log.seed, record.seqno, 3]);
        Duration::from_micros(if rng.u32(..256) == 0 { 60_000 } else { rng.u64(..400) })
    }

    /// Writes what the other threads finish, all that is there as one batch.
    ///
    /// Ends with the first error: nothing is written after a commit in doubt.
    fn write_all(&self, finished: &Receiver<Finished>) -> Result<(), Error> {
        for number in 0.. {
            let Ok(first) = finished.recv() else { break };
            self.write(iter::once(first).chain(finished.try_iter()).collect(), number)?;
        }
        Ok(())
    }

    fn write(&self, batch: Vec<Finished>, number: u64) -> Result<(), Error> {
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
        let mut rng = rng(&[self.log.seed, self.found.mark(), number, 4]);
        if self.args.fail_one_in > 0 && rng.u64(..self.args.fail_one_in) == 0 {
            drop(prepared);
            self.give_up(batch);
            return Ok(());
        }
        prepared.commit().context(|| "cannot commit a batch".to_owned())?; // 7.
        let ahead = records.iter().filter(|record| record.seqno > after.mark()).count();
        lock(&self.counts).out_of_order += ahead as u64;
        for finished in batch {
            finished.claim.complete()?; // 8.
        }
        let held = self.window.shard().applied_set();
        if held != after {
            let message = format!("the window holds {held:?}, but the database holds {after:?}");
            return Err(message.into());
        }
        self.send_progress();
        Ok(())
    }

    /// Frees the seqnos of a failed batch, then makes the threads go back to them. In the other
    /// order a thread would find them still claimed, and pass over them for good.
    fn give_up(&self, batch: Vec<Finished>) {
        let lowest = batch.iter().map(|finished| finished.claim.seqno()).min();
        drop(batch); // 9.
        self.go_back_to(lowest.unwrap_or(SeqNo::MAX));
        lock(&self.counts).failed_batches += 1;
    }

    fn go_back_to(&self, seqno: SeqNo) {
        let mut next = lock(&self.next);
        next.seqno = next.seqno.min(seqno);
    }

    fn send_progress(&self) {
        let held = self.window.shard().applied_set();
        let done = held.mark().saturating_add(above_mark(&held));
        send(Event::Committed { done, counts: *lock(&self.counts) });
    }
}

/// The number of records completed above the mark.
pub(crate) fn above_mark(completed: &AppliedSet) -> u64 {
    completed.above().map(|range| range.len()).sum()
}
