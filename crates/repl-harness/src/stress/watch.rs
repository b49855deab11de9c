//! Finds waits that do not end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use repl_core::SeqNo;

use super::checker::Checked;
use super::ledger::{Ledger, Life, locked};
use super::subject::Handle;
use super::violation::{Due, HungWait, Invariant, Violation};

/// At most this of the time between two looks counts: a machine that stands still for a minute
/// stops the waiting threads too.
const COUNTED: Duration = Duration::from_millis(200);

/// What a wait waits for.
#[derive(Debug)]
pub(crate) struct Wait<H> {
    /// What the thread does.
    pub(crate) doing: &'static str,
    /// `None` for a wait by id: which life it has met is not known.
    pub(crate) handle: Option<H>,
    pub(crate) life: Arc<Life>,
    pub(crate) seqno: SeqNo,
    pub(crate) until: Option<Instant>,
}

impl<H: Handle> Wait<H> {
    /// Why it should have ended, and the mark.
    fn due(&self, ledger: &Ledger) -> (Option<Due>, Option<SeqNo>) {
        let mark = self.handle.as_ref().map(Handle::applied);
        let due = if ledger.closed.load(Ordering::SeqCst) {
            Some(Due::Closed)
        } else if mark.is_some() && self.life.ended.load(Ordering::SeqCst) {
            Some(Due::Removed)
        } else if mark.is_some_and(|mark| mark >= self.seqno) {
            Some(Due::Reached)
        } else {
            self.until.filter(|until| *until <= Instant::now()).map(|_| Due::TimedOut)
        };
        (due, mark)
    }
}

/// All waits of a round.
#[derive(Debug)]
pub(crate) struct Watch<H> {
    /// With how long each has been due.
    waits: Mutex<BTreeMap<u64, (Wait<H>, Duration)>>,
    next: AtomicU64,
    limit: Duration,
    looked: Mutex<Instant>,
}

/// A wait that goes on until this is dropped.
#[derive(Debug)]
#[must_use = "the wait ends as this is dropped"]
pub(crate) struct Watched<'a, H> {
    watch: &'a Watch<H>,
    number: u64,
}

impl<H> Drop for Watched<'_, H> {
    fn drop(&mut self) {
        let ended = locked(&self.watch.waits).remove(&self.number);
        drop(ended);
    }
}

impl<H: Handle> Watch<H> {
    pub(crate) fn new(limit: Duration) -> Self {
        Watch {
            waits: Mutex::default(),
            next: AtomicU64::new(0),
            limit,
            looked: Mutex::new(Instant::now()),
        }
    }

    /// To be called before a wait begins.
    pub(crate) fn begins(&self, wait: Wait<H>) -> Watched<'_, H> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        locked(&self.waits).insert(number, (wait, Duration::ZERO));
        Watched { watch: self, number }
    }

    /// How many waits should have ended; a violation where one has hung for too long.
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
                    shard: wait.life.shard,
                    incarnation: Some(wait.life.incarnation),
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
