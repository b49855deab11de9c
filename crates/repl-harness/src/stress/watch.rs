//! Finds waits that hang.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use repl_core::{SeqNo, Shard};

use super::checker::Checked;
use super::ledger::{Ledger, Record};
use super::violation::{Due, HungWait, Invariant, Violation};
use crate::locked::locked;

/// The most time between two looks that counts. If the machine stops for a minute, so do the waiting
/// threads.
const COUNTED: Duration = Duration::from_millis(200);

/// A wait that has not ended.
#[derive(Debug)]
pub(crate) struct OpenWait {
    /// The operation of the thread.
    pub(crate) doing: &'static str,
    /// `None` for a wait by id, whose incarnation is not known.
    pub(crate) handle: Option<Shard>,
    pub(crate) record: Arc<Record>,
    pub(crate) seqno: SeqNo,
    pub(crate) until: Option<Instant>,
}

impl OpenWait {
    /// The reason for which it should have ended, if any, and the mark.
    fn due(&self, ledger: &Ledger) -> (Option<Due>, Option<SeqNo>) {
        let mark = self.handle.as_ref().map(Shard::applied);
        let due = if ledger.closed.load(Ordering::SeqCst) {
            Some(Due::Closed)
        } else if mark.is_some() && self.record.ended.load(Ordering::SeqCst) {
            Some(Due::Removed)
        } else if mark.is_some_and(|mark| mark >= self.seqno) {
            Some(Due::Reached)
        } else {
            self.until.filter(|until| *until <= Instant::now()).map(|_| Due::TimedOut)
        };
        (due, mark)
    }
}

/// Every wait of a round.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Each wait, with the time since it should have ended.
    waits: Mutex<BTreeMap<u64, (OpenWait, Duration)>>,
    next: AtomicU64,
    limit: Duration,
    looked: Mutex<Instant>,
}

/// A wait that is watched until this is dropped.
#[derive(Debug)]
#[must_use = "the wait is watched until this is dropped"]
pub(crate) struct Watched<'a> {
    watch: &'a Watch,
    number: u64,
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        let ended = locked(&self.watch.waits).remove(&self.number);
        drop(ended);
    }
}

impl Watch {
    pub(crate) fn new(limit: Duration) -> Self {
        Watch {
            waits: Mutex::default(),
            next: AtomicU64::new(0),
            limit,
            looked: Mutex::new(Instant::now()),
        }
    }

    /// Watches a wait. Must be called before the wait begins.
    pub(crate) fn begins(&self, wait: OpenWait) -> Watched<'_> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        locked(&self.waits).insert(number, (wait, Duration::ZERO));
        Watched { watch: self, number }
    }

    /// Returns how many waits should have ended.
    ///
    /// # Errors
    /// If a wait has hung for too long.
    pub(crate) fn look(&self, ledger: &Ledger, seed: u64) -> Checked<usize> {
        let now = Instant::now();
        let before = std::mem::replace(&mut *locked(&self.looked), now);
        let passed = now.saturating_duration_since(before).min(COUNTED);
        let mut all = locked(&self.waits);
        let (waiting, mut found) = (all.len(), 0);
        for (wait, due_for) in all.values_mut() {
            let (Some(due), mark) = wait.due(ledger) else { continue };
            found += 1;
            *due_for += passed;
            if *due_for >= self.limit {
                return Err(Violation {
                    invariant: Invariant::WaitEnds,
                    shard: wait.record.shard,
                    incarnation: Some(wait.record.incarnation),
                    lesser: Some(wait.seqno),
                    greater: mark,
                    seed,
                    hung: Some(HungWait { doing: wait.doing, due, due_for: *due_for, waiting }),
                });
            }
        }
        Ok(found)
    }
}
