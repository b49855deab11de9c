//! Threads that do nothing but wait, for as long as it takes.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::{Duration, Instant};

use repl_core::SeqNo;

use super::checker::{Checked, Checker};
use super::futures::ahead;
use super::report::Operations;
use super::round::Round;
use super::subject::{Changes, Handle, Subject};
use super::tasks::Tasks;
use super::threads::Held;
use super::waits::Ended;
use super::watch::{Wait, Watched};
use crate::rng::Rng;

/// Longer than any wait takes on the way to a seqno that is reached.
const LONG: Duration = Duration::from_secs(3600);

/// The longest of the short ones.
const SHORT_MICROS: u64 = 5_000;

pub(crate) struct Waiter<'a, S: Subject> {
    pub(crate) round: &'a Round<S>,
    pub(crate) checker: Checker<'a, S>,
    pub(crate) rng: Rng,
    pub(crate) done: Operations,
}

impl<'a, S: Subject> Waiter<'a, S> {
    pub(crate) fn new(round: &'a Round<S>, thread: u64) -> Self {
        let (seed, stream) = round.stream(1 << 8 | thread);
        let checker = round.checker();
        Waiter { round, checker, rng: Rng::new(seed, stream), done: Operations::default() }
    }

    /// Waits until the subject is closed, and once more.
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
        let ended = match self.rng.below(8) {
            0..3 => self.wait(None)?,
            3 => self.wait(Some(LONG))?,
            4 => {
                let short = Duration::from_micros(self.rng.below(SHORT_MICROS));
                self.wait(Some(short))?
            }
            5 => self.follow()?,
            _ => return self.run_tasks(),
        };
        if let Some(ended) = ended {
            self.done.waited(ended);
        }
        Ok(())
    }

    /// A shard that is tracked now, and a seqno that it may reach soon.
    pub(crate) fn choose(&mut self) -> Checked<Option<(Held<S::Handle>, SeqNo)>> {
        let shards = &self.checker.ledger.shards;
        let any = usize::try_from(self.rng.below(shards.len() as u64)).unwrap_or(0);
        let Some((handle, life)) = self.checker.look_up(&shards[any])? else {
            thread::yield_now(); // before the next try
            return Ok(None);
        };
        let held = Held { handle, life };
        let seqno = ahead(&mut self.rng, shards[any].kind, &held);
        Ok(Some((held, seqno)))
    }

    fn wait(&mut self, timeout: Option<Duration>) -> Checked<Option<Ended>> {
        let Some((held, seqno)) = self.choose()? else { return Ok(None) };
        let asked = self.checker.asks(&held.life, seqno, timeout);
        let doing = if timeout.is_some() { "wait_for_timeout" } else { "wait_for" };
        let watched = self.round.watched(doing, &held, seqno, timeout);
        let result = match timeout {
            Some(timeout) => held.handle.wait_for_timeout(seqno, timeout),
            None => held.handle.wait_for(seqno),
        };
        drop(watched);
        self.checker.waited(&held.handle, &held.life, &asked, result).map(Some)
    }

    /// Takes some changes of one mark.
    fn follow(&mut self) -> Checked<Option<Ended>> {
        let Some((held, _)) = self.choose()? else { return Ok(None) };
        let mut changes = held.handle.changes();
        let (mut next, mut ended) = (0, None);
        for _ in 0..=self.rng.below(8) {
            let asked = self.checker.asks(&held.life, next, Some(LONG));
            let doing = "Changes::wait_next_timeout";
            let watched = self.round.watched(doing, &held, next, Some(LONG));
            let result = changes.wait_next_timeout(LONG);
            drop(watched);
            let now = self.checker.waited(&held.handle, &held.life, &asked, result)?;
            if let Some(ended) = ended.replace(now) {
                self.done.waited(ended);
            }
            let Ended::Reached(mark) = now else { break };
            next = mark.saturating_add(1);
        }
        Ok(ended)
    }

    fn run_tasks(&mut self) -> Checked {
        let mut tasks = Tasks::default();
        for _ in 0..=self.rng.below(6) {
            let Some((held, seqno)) = self.choose()? else { continue };
            let polls = self.rng.one_in(4).then(|| 1 + self.rng.below(2));
            let times = self.rng.below(8);
            if self.rng.one_in(2) {
                tasks.add(reach(self.round, held, seqno), polls);
            } else {
                tasks.add(follow(self.round, held, times), polls);
            }
        }
        tasks.run(&mut self.rng, &mut self.done)
    }
}

impl<S: Subject> Round<S> {
    /// A wait on one life begins; it ends as what is returned is dropped.
    pub(crate) fn watched(
        &self,
        doing: &'static str,
        held: &Held<S::Handle>,
        seqno: SeqNo,
        timeout: Option<Duration>,
    ) -> Watched<'_, S::Handle> {
        self.watch.begins(Wait {
            doing,
            handle: Some(held.handle.clone()),
            life: Arc::clone(&held.life),
            seqno,
            until: timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
        })
    }
}

async fn reach<S: Subject>(
    round: &Round<S>,
    held: Held<S::Handle>,
    seqno: SeqNo,
) -> Checked<Vec<Ended>> {
    let checker = round.checker();
    let asked = checker.asks(&held.life, seqno, None);
    let watched = round.watched("the future of wait_for", &held, seqno, None);
    let result = held.handle.reached(seqno).await;
    drop(watched);
    checker.waited(&held.handle, &held.life, &asked, result).map(|ended| vec![ended])
}

async fn follow<S: Subject>(
    round: &Round<S>,
    held: Held<S::Handle>,
    times: u64,
) -> Checked<Vec<Ended>> {
    let checker = round.checker();
    let mut changes = held.handle.changes();
    let (mut next, mut all) = (0, Vec::new());
    for _ in 0..=times {
        let asked = checker.asks(&held.life, next, None);
        let watched = round.watched("the future of Changes::next", &held, next, None);
        let result = changes.next().await;
        drop(watched);
        let ended = checker.waited(&held.handle, &held.life, &asked, result)?;
        all.push(ended);
        let Ended::Reached(mark) = ended else { break };
        next = mark.saturating_add(1);
    }
    Ok(all)
}
