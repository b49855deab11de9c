//! One round: the subject opened, run by all threads at once, and dropped.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use repl_core::ShardId;

use super::checker::Checker;
use super::ledger::{Kind, Ledger, locked};
use super::relay::Player;
use super::report::Operations;
use super::saves::{LastRound, Saves, between, marks};
use super::subject::Subject;
use super::threads::Worker;
use super::waiter::Waiter;
use super::watch::Watch;
use super::windows::Open;
use super::{Config, Progress, Report, StressError};

/// Few enough that threads meet on them.
pub(crate) const PLAIN: Range<usize> = 0..8;
/// Those that are completed out of order. The window of the second is larger than the rings in
/// which windows keep what is near.
pub(crate) const WINDOWS: Range<usize> = 8..10;
/// The one that two threads advance in turn.
pub(crate) const RELAY: usize = 10;

fn shards() -> Vec<(ShardId, Kind)> {
    let plain = PLAIN.map(|_| Kind::Plain);
    let windows = [24, 16_384 + 96].map(|capacity| Kind::Window { capacity });
    let kinds = plain.chain(windows).chain([Kind::Relay]);
    (0..).map(ShardId).zip(kinds).collect()
}

/// How often the observer is called.
const OBSERVED: Duration = Duration::from_millis(100);

/// How often the threads are looked after while they end.
const LOOKED: Duration = Duration::from_millis(1);

/// How long the threads of a broken round are given to end.
const LEFT_BEHIND: Duration = Duration::from_millis(300);

/// What the threads of one round share.
pub(crate) struct Round<S: Subject> {
    config: Config,
    dir: PathBuf,
    number: u64,
    subject: S,
    ledger: Ledger,
    saves: Mutex<Saves>,
    /// The windows of the shards, where they have one: only at [`WINDOWS`].
    pub(crate) windows: Vec<Mutex<Option<Arc<Open<S>>>>>,
    pub(crate) watch: Watch<S::Handle>,
    /// The first thing found wrong.
    broken: Mutex<Option<StressError>>,
    stop: AtomicBool,
    operations: AtomicU64,
    acknowledged: AtomicU64,
}

impl<S: Subject> Round<S> {
    /// Opens the subject, and checks that it goes on from what the round before left.
    pub(crate) fn open(
        config: &Config,
        dir: &Path,
        number: u64,
        last: &LastRound,
    ) -> Result<Arc<Self>, StressError> {
        let kinds = shards();
        let shards: Vec<ShardId> = kinds.iter().map(|(shard, _)| *shard).collect();
        let seed = config.seed;
        let failed = |source| StressError::Subject { act: "open the store", seed, source };
        let subject = S::open(dir, &shards).map_err(failed)?;
        let ledger = Ledger::new(&kinds);
        let recovered = subject.snapshot();
        let checker = Checker { subject: &subject, ledger: &ledger, seed };
        let found = marks(&recovered);
        between(checker, last, &found)?;
        for (shard, (incarnation, completed)) in &found {
            let Some(shard) = ledger.shard(*shard) else { continue };
            locked(&shard.changing).newest = Some(*incarnation);
            shard.change_begins();
            shard.change_ends(Some(*incarnation));
            checker.goes_on(shard, *incarnation, completed)?;
        }
        Ok(Arc::new(Round {
            config: config.clone(),
            dir: dir.to_owned(),
            number,
            subject,
            ledger,
            saves: Mutex::new(Saves::after(last.clone())),
            windows: kinds.iter().map(|_| Mutex::default()).collect(),
            watch: Watch::new(config.hung_after),
            broken: Mutex::default(),
            stop: AtomicBool::new(false),
            operations: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
        }))
    }

    pub(crate) fn checker(&self) -> Checker<'_, S> {
        Checker { subject: &self.subject, ledger: &self.ledger, seed: self.config.seed }
    }

    /// Runs all threads until `ends` or until one of them finds something wrong, and closes the
    /// subject while some of them wait.
    pub(crate) fn run(
        self: Arc<Self>,
        ends: Instant,
        start: Instant,
        report: &mut Report,
        observer: &mut impl FnMut(&Progress),
    ) -> Result<LastRound, StressError> {
        let (done, acknowledged) = (report.operations.total(), report.saves);
        let threads = self.config.threads.max(1) as u64;
        let workers = self.spawn(0..threads, |round, n| Worker::new(round, n).run());
        let mut waiters = self.spawn(0..threads, |round, n| Waiter::new(round, n).run());
        waiters.extend(self.spawn(0..2, |round, n| Player::new(round, n).run()));
        while !self.is_over() && Instant::now() < ends {
            thread::sleep(OBSERVED.min(ends.saturating_duration_since(Instant::now())));
            self.look();
            observer(&Progress {
                elapsed: start.elapsed(),
                duration: self.config.duration,
                operations: done + self.operations.load(Ordering::Relaxed),
                saves: acknowledged + self.acknowledged.load(Ordering::Relaxed),
            });
        }
        self.stop.store(true, Ordering::Relaxed);
        self.join(workers, report);
        // Nobody advances any more: who should have been woken by now is woken by nothing else.
        while self.look() > 0 && !self.is_broken() {
            thread::sleep(LOOKED);
        }
        self.close();
        self.join(waiters, report);
        if let Some(error) = locked(&self.broken).take() {
            return Err(error);
        }
        self.windows.iter().for_each(|window| drop(locked(window).take()));
        self.checker().end()?;
        let saves = locked(&self.saves);
        report.saves += saves.acknowledged;
        report.refused += saves.refused;
        Ok(saves.last.clone())
    }

    fn spawn(
        self: &Arc<Self>,
        threads: Range<u64>,
        run: impl Fn(&Self, u64) -> Operations + Copy + Send + 'static,
    ) -> Vec<JoinHandle<Operations>> {
        let spawn = |n| {
            let round = Arc::clone(self);
            thread::spawn(move || run(&round, n))
        };
        threads.map(spawn).collect()
    }

    /// Waits until the threads have ended. Where the round is broken one may never do so: it is
    /// left behind.
    fn join(&self, threads: Vec<JoinHandle<Operations>>, report: &mut Report) {
        let mut broken_since = None;
        while threads.iter().any(|thread| !thread.is_finished()) {
            self.look();
            if self.is_broken() {
                self.close();
                let since = *broken_since.get_or_insert_with(Instant::now);
                if since.elapsed() > LEFT_BEHIND {
                    break;
                }
            }
            thread::sleep(LOOKED);
        }
        for thread in threads.into_iter().filter(JoinHandle::is_finished) {
            match thread.join() {
                Ok(operations) => report.operations.add(&operations),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    }

    fn close(&self) {
        self.ledger.closing.store(true, Ordering::SeqCst);
        self.subject.close();
        self.ledger.closed.store(true, Ordering::SeqCst);
    }

    /// How many waits should have ended by now; fails the round where one has hung for too long.
    fn look(&self) -> usize {
        let due = self.watch.look(&self.ledger, self.config.seed);
        due.unwrap_or_else(|violation| {
            self.fail(violation.into());
            0
        })
    }

    fn is_broken(&self) -> bool {
        locked(&self.broken).is_some()
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
        saves.checkpoint(self.checker(), &self.dir, rng)?;
        self.acknowledged.store(saves.acknowledged, Ordering::Relaxed);
        Ok(true)
    }
}
