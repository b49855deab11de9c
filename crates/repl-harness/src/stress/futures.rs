//! Futures that the working threads poll now and then, woken or not, and drop while they wait.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use repl_core::SeqNo;

use super::checker::Checked;
use super::ledger::Kind;
use super::seqnos;
use super::subject::{Handle, Subject, Waiting};
use super::threads::{Held, Worker};
use super::waits::{Asked, Ended};
use super::watch::Wait;
use crate::rng::Rng;

/// How many futures a working thread holds.
const FUTURES: u64 = 4;

/// The longest that a working thread blocks: nobody else may be there to advance.
const MOMENT_MICROS: u64 = 200;

/// A future that was polled.
pub(crate) struct Polled<H> {
    shard: usize,
    held: Held<H>,
    asked: Asked,
    future: Waiting<'static>,
}

/// A seqno that a shard of this kind may reach soon.
pub(crate) fn ahead<H: Handle>(rng: &mut Rng, kind: Kind, held: &Held<H>) -> SeqNo {
    let (at, shard) = (held.handle.applied(), held.life.shard);
    match kind {
        Kind::Plain | Kind::Relay => seqnos::by_id(seqnos::progress(at) + rng.below(4), shard),
        Kind::Window { .. } => at.saturating_add(rng.below(16)),
    }
}

impl<S: Subject> Worker<'_, S> {
    pub(crate) fn poll_or_cancel(&mut self) -> Checked {
        let one = usize::try_from(self.rng.below(FUTURES)).unwrap_or(0);
        if one >= self.futures.len() {
            let any = self.any();
            let Some(held) = self.hold(any)? else { return Ok(()) };
            let kind = self.checker.ledger.shards[any].kind;
            let seqno = ahead(&mut self.rng, kind, &held);
            let asked = self.checker.asks(&held.life, seqno, None);
            let future = held.handle.reached(seqno);
            return self.poll(Polled { shard: any, held, asked, future });
        }
        let polled = self.futures.swap_remove(one);
        if self.rng.one_in(4) {
            self.done.waits_cancelled += 1;
            return Ok(());
        }
        self.poll(polled)
    }

    fn poll(&mut self, mut polled: Polled<S::Handle>) -> Checked {
        self.done.polls += 1;
        let poll = polled.future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(result) = poll else {
            self.futures.push(polled);
            return Ok(());
        };
        let Polled { shard, held: Held { handle, life }, asked, .. } = polled;
        let ended = self.checker.waited(&handle, &life, &asked, result)?;
        self.done.waited(ended);
        if ended == Ended::Removed {
            self.put_aside(shard);
        }
        Ok(())
    }

    /// Blocks for a little while, by handle or by id.
    pub(crate) fn wait_a_moment(&mut self) -> Checked {
        let any = self.any();
        let timeout = Duration::from_micros(self.rng.below(MOMENT_MICROS));
        let by_id = self.rng.one_in(2);
        let ledger = &self.checker.ledger.shards[any];
        let view = ledger.view();
        let Some(held) = self.hold(any)? else { return Ok(()) };
        let seqno = ahead(&mut self.rng, ledger.kind, &held);
        let Held { handle, life } = &held;
        let asked = self.checker.asks(life, seqno, Some(timeout));
        let watched = self.round.watch.begins(Wait {
            doing: if by_id { "a timed wait by id" } else { "a timed wait" },
            handle: (!by_id).then(|| handle.clone()),
            life: Arc::clone(life),
            seqno,
            until: Instant::now().checked_add(timeout),
        });
        let result = if by_id {
            self.checker.subject.wait_for_timeout(life.shard, seqno, timeout)
        } else {
            handle.wait_for_timeout(seqno, timeout)
        };
        drop(watched);
        let is_of_life = view.current == Some(life.incarnation) && view.held_until(&ledger.view());
        if by_id && !is_of_life {
            return Ok(()); // it may have met another life, or none
        }
        let ended = self.checker.waited(handle, life, &asked, result)?;
        self.done.waited(ended);
        if ended == Ended::Removed {
            self.put_aside(any);
        }
        Ok(())
    }
}
