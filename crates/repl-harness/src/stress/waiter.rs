//! Threads that only wait.

use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use repl_core::SeqNo;

use super::checker::{Checked, Checker};
use super::faults::Faults;
use super::held::Held;
use super::report::Operations;
use super::round::Round;
use super::tasks::Tasks;

use super::waits::Ended;
use crate::seed::{self, one_in};

/// A timeout that no wait for a reached seqno exceeds.
const LONG: Duration = Duration::from_secs(3600);

/// The longest of the short timeouts.
const SHORT_MICROS: u64 = 5_000;

pub(crate) struct Waiter<'a, F: Faults> {
    pub(crate) round: &'a Round<F>,
    pub(crate) checker: Checker<'a, F>,
    pub(crate) rng: Rng,
    pub(crate) done: Operations,
}

impl<'a, F: Faults> Waiter<'a, F> {
    pub(crate) fn new(round: &'a Round<F>, thread: u64) -> Self {
        let (seed, stream) = round.stream(1 << 8 | thread);
        let checker = round.checker();
        Waiter { round, checker, rng: seed::stream(seed, stream), done: Operations::default() }
    }

    /// Waits again and again until the state is closed, and once more.
    pub(crate) fn run(mut self) -> Operations {
        loop {
            let closed = self.checker.ledger.closed.load(SeqCst);
            if let Err(violation) = self.one() {
                self.round.fail(violation.into());
            }
            if closed {
                return self.done;
            }
        }
    }

    fn one(&mut self) -> Checked {
        let ended = match self.rng.u64(..8) {
            0..3 => self.wait(None)?,
            3 => self.wait(Some(LONG))?,
            4 => {
                let short = Duration::from_micros(self.rng.u64(..SHORT_MICROS));
                self.wait(Some(short))?
            }
            5 => self.follow()?,
            _ => return self.run_tasks(),
        };
        if let Some(ended) = ended {
            self.done.count_wait(ended);
        }
        Ok(())
    }

    /// A handle on a tracked shard, and a seqno that it may reach soon.
    pub(crate) fn choose(&mut self) -> Checked<Option<(Held, SeqNo)>> {
        let shards = &self.checker.ledger.shards;
        let any = self.rng.usize(..shards.len());
        let Some((handle, record)) = self.checker.look_up(&shards[any])? else {
            thread::yield_now(); // before the next try
            return Ok(None);
        };
        let held = Held { handle, record };
        let seqno = held.ahead(&mut self.rng, shards[any].kind);
        Ok(Some((held, seqno)))
    }

    fn wait(&mut self, timeout: Option<Duration>) -> Checked<Option<Ended>> {
        let Some((held, seqno)) = self.choose()? else { return Ok(None) };
        let before = self.checker.before_wait(&held.record, seqno, timeout);
        let doing = if timeout.is_some() { "Reached::wait_timeout" } else { "Reached::wait" };
        let watched = self.round.watched(doing, &held, seqno, timeout);
        let result = self.checker.subject.wait(&held.handle, seqno, timeout);
        drop(watched);
        self.checker.check_wait(&held.handle, &held.record, &before, result).map(Some)
    }

    /// Waits for some changes of one mark.
    fn follow(&mut self) -> Checked<Option<Ended>> {
        let Some((held, _)) = self.choose()? else { return Ok(None) };
        let mut changes = held.handle.changes();
        let (mut next, mut ended) = (0, None);
        for _ in 0..=self.rng.u64(..8) {
            let before = self.checker.before_wait(&held.record, next, Some(LONG));
            let doing = "NextChange::wait_timeout";
            let watched = self.round.watched(doing, &held, next, Some(LONG));
            let result = self.checker.subject.wait_next(&held.handle, &mut changes, next, LONG);
            drop(watched);
            let now = self.checker.check_wait(&held.handle, &held.record, &before, result)?;
            if let Some(ended) = ended.replace(now) {
                self.done.count_wait(ended);
            }
            let Ended::Reached(mark) = now else { break };
            next = mark.saturating_add(1);
        }
        Ok(ended)
    }

    fn run_tasks(&mut self) -> Checked {
        let mut tasks = Tasks::default();
        for _ in 0..=self.rng.u64(..6) {
            let Some((held, seqno)) = self.choose()? else { continue };
            let polls = one_in(&mut self.rng, 4).then(|| 1 + self.rng.u64(..2));
            let times = self.rng.u64(..8);
            if one_in(&mut self.rng, 2) {
                tasks.add(reach(self.round, held, seqno), polls);
            } else {
                tasks.add(follow(self.round, held, times), polls);
            }
        }
        tasks.run(&mut self.rng, &mut self.done)
    }
}

async fn reach<F: Faults>(round: &Round<F>, held: Held, seqno: SeqNo) -> Checked<Vec<Ended>> {
    let checker = round.checker();
    let before = checker.before_wait(&held.record, seqno, None);
    let watched = round.watched("the future of Shard::reached", &held, seqno, None);
    let result = checker.subject.reached(&held.handle, seqno).await;
    drop(watched);
    checker.check_wait(&held.handle, &held.record, &before, result).map(|ended| vec![ended])
}

async fn follow<F: Faults>(round: &Round<F>, held: Held, times: u64) -> Checked<Vec<Ended>> {
    let checker = round.checker();
    let mut changes = held.handle.changes();
    let (mut next, mut all) = (0, Vec::new());
    for _ in 0..=times {
        let before = checker.before_wait(&held.record, next, None);
        let watched = round.watched("the future of Changes::next", &held, next, None);
        let result = checker.subject.next(&held.handle, &mut changes, next).await;
        drop(watched);
        let ended = checker.check_wait(&held.handle, &held.record, &before, result)?;
        all.push(ended);
        let Ended::Reached(mark) = ended else { break };
        next = mark.saturating_add(1);
    }
    Ok(all)
}
