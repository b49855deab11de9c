//! Runs the threads of one round.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::error::StressError;
use super::faults::Faults;
use super::marks::LastRound;
use super::relay::Player;
use super::report::{Operations, Progress, Report};
use super::round::Round;
use super::waiter::Waiter;
use super::worker::Worker;
use crate::locked::locked;

/// The interval between two calls of the observer.
const OBSERVED: Duration = Duration::from_millis(100);

/// The interval between two looks at threads that are ending.
const LOOKED: Duration = Duration::from_millis(1);

/// The time that the threads of a broken round have to end.
const LEFT_BEHIND: Duration = Duration::from_millis(300);

impl<F: Faults> Round<F> {
    /// Runs all threads until `ends` or until the first error. Closes the state while threads wait.
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
        // No thread advances any more, so a waiter that was not woken by now stays asleep.
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
        Ok(LastRound { gone: self.ledger.gone(), ..saves.last.clone() })
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

    /// Waits until the threads have ended. A thread of a broken round may hang: it is left behind.
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
}
