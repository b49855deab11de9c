//! One round: the subject opened, run by all threads at once, and dropped.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use repl_core::ShardId;

use super::checker::Checker;
use super::ledger::{Ledger, locked};
use super::saves::{LastRound, Saves, between, marks};
use super::subject::Subject;
use super::threads::Worker;
use super::{Config, Progress, Report, StressError};

/// Few enough that threads meet on them.
const SHARDS: u64 = 8;

/// How often the observer is called.
const OBSERVED: Duration = Duration::from_millis(100);

/// What the threads of one round share.
pub(crate) struct Round<'a, S> {
    config: &'a Config,
    dir: &'a Path,
    number: u64,
    subject: S,
    ledger: Ledger,
    saves: Mutex<Saves>,
    /// The first thing found wrong.
    broken: Mutex<Option<StressError>>,
    stop: AtomicBool,
    operations: AtomicU64,
    acknowledged: AtomicU64,
}

impl<'a, S: Subject> Round<'a, S> {
    /// Opens the subject, and checks that it goes on from what the round before left.
    pub(crate) fn open(
        config: &'a Config,
        dir: &'a Path,
        number: u64,
        last: &LastRound,
    ) -> Result<Self, StressError> {
        let shards: Vec<ShardId> = (0..SHARDS).map(ShardId).collect();
        let seed = config.seed;
        let failed = |source| StressError::Subject { act: "open the store", seed, source };
        let subject = S::open(dir, &shards).map_err(failed)?;
        let ledger = Ledger::new(&shards);
        let recovered = subject.snapshot();
        let checker = Checker { subject: &subject, ledger: &ledger, seed };
        between(checker, last, &marks(&recovered))?;
        for entry in recovered.entries() {
            let Some(shard) = ledger.shard(entry.shard) else { continue };
            let Some(life) = shard.life(entry.incarnation) else { continue };
            // What was recovered is durable, and the least that the mark can be from now on.
            let _ = life.start.set(entry.mark);
            life.seen.store(entry.mark, Ordering::SeqCst);
            life.flushed.store(entry.mark, Ordering::SeqCst);
            locked(&shard.changing).newest = Some(entry.incarnation);
            shard.change_begins();
            shard.change_ends(Some(entry.incarnation));
        }
        Ok(Round {
            config,
            dir,
            number,
            subject,
            ledger,
            saves: Mutex::new(Saves::after(last.clone())),
            broken: Mutex::default(),
            stop: AtomicBool::new(false),
            operations: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
        })
    }

    pub(crate) fn checker(&self) -> Checker<'_, S> {
        Checker { subject: &self.subject, ledger: &self.ledger, seed: self.config.seed }
    }

    /// Runs all threads until `ends` or until one of them finds something wrong.
    pub(crate) fn run(
        self,
        ends: Instant,
        start: Instant,
        report: &mut Report,
        observer: &mut impl FnMut(&Progress),
    ) -> Result<LastRound, StressError> {
        let (done, acknowledged) = (report.operations.total(), report.saves);
        thread::scope(|scope| {
            let this = &self;
            let thread = |n: usize| scope.spawn(move || Worker::new(this, n as u64).run());
            let threads: Vec<_> = (0..self.config.threads.max(1)).map(thread).collect();
            while !self.is_over() && Instant::now() < ends {
                thread::sleep(OBSERVED.min(ends.saturating_duration_since(Instant::now())));
                observer(&Progress {
                    elapsed: start.elapsed(),
                    duration: self.config.duration,
                    operations: done + self.operations.load(Ordering::Relaxed),
                    saves: acknowledged + self.acknowledged.load(Ordering::Relaxed),
                });
            }
            self.stop.store(true, Ordering::Relaxed);
            for thread in threads {
                match thread.join() {
                    Ok(operations) => report.operations.add(&operations),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
        let broken = self.broken.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = broken {
            return Err(error);
        }
        let seed = self.config.seed;
        Checker { subject: &self.subject, ledger: &self.ledger, seed }.end()?;
        let saves = self.saves.into_inner().unwrap_or_else(PoisonError::into_inner);
        report.saves += saves.acknowledged;
        report.refused += saves.refused;
        Ok(saves.last)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Ends the round for all threads.
    pub(crate) fn fail(&self, error: StressError) {
        locked(&self.broken).get_or_insert(error);
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Distinguishes the streams of random numbers of all threads of all rounds.
    pub(crate) fn stream(&self, thread: u64) -> (u64, u64) {
        (self.config.seed, self.number << 16 | thread)
    }

    pub(crate) fn did(&self, operations: u64) {
        self.operations.fetch_add(operations, Ordering::Relaxed);
    }

    /// Has the subject checkpoint, unless another thread is at it.
    pub(crate) fn checkpoint(&self, rng: &mut crate::rng::Rng) -> Result<bool, StressError> {
        let Ok(mut saves) = self.saves.try_lock() else { return Ok(false) };
        saves.checkpoint(self.checker(), self.dir, rng)?;
        self.acknowledged.store(saves.acknowledged, Ordering::Relaxed);
        Ok(true)
    }
}
