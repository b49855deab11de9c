//! Futures that working threads poll at random, woken or not, and drop while they wait.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::checker::Checked;
use super::faults::Faults;
use super::held::Held;
use super::waits::Ended;
use super::watch::OpenWait;
use super::worker::{Polled, Worker};
use crate::seed::one_in;

/// The number of futures that a working thread holds.
const FUTURES: usize = 4;

/// The longest time that a working thread blocks: it may be the only one that advances.
const MOMENT_MICROS: u64 = 200;

impl<F: Faults> Worker<'_, F> {
    pub(crate) fn poll_or_cancel(&mut self) -> Checked {
        let one = self.rng.usize(..FUTURES);
        if one >= self.futures.len() {
            let any = self.any();
            let Some(held) = self.hold(any)? else { return Ok(()) };
            let kind = self.checker.ledger.shards[any].kind;
            let seqno = held.ahead(&mut self.rng, kind);
            let before = self.checker.before_wait(&held.record, seqno, None);
            let awaited = self.checker.subject.faults.awaited(&held.handle, seqno);
            let future = held.handle.reached(awaited);
            return self.poll(Polled { shard: any, held, before, future });
        }
        let polled = self.futures.swap_remove(one);
        if one_in(&mut self.rng, 4) {
            self.done.waits_cancelled += 1;
            return Ok(());
        }
        self.poll(polled)
    }

    fn poll(&mut self, mut polled: Polled) -> Checked {
        self.done.polls += 1;
        let poll = Pin::new(&mut polled.future).poll(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(result) = poll else {
            self.futures.push(polled);
            return Ok(());
        };
        let Polled { shard, held: Held { handle, record }, before, .. } = polled;
        let ended = self.checker.check_wait(&handle, &record, &before, result)?;
        self.done.count_wait(ended);
        if ended == Ended::Removed {
            self.put_aside(shard);
        }
        Ok(())
    }

    /// Blocks for a short time, by handle or by id.
    pub(crate) fn wait_a_moment(&mut self) -> Checked {
        let any = self.any();
        let timeout = Duration::from_micros(self.rng.u64(..MOMENT_MICROS));
        let by_id = one_in(&mut self.rng, 2);
        let ledger = &self.checker.ledger.shards[any];
        let view = ledger.view();
        let Some(held) = self.hold(any)? else { return Ok(()) };
        let seqno = held.ahead(&mut self.rng, ledger.kind);
        let Held { handle, record } = &held;
        let before = self.checker.before_wait(record, seqno, Some(timeout));
        let watched = self.round.watch.begins(OpenWait {
            doing: if by_id { "a timed wait by id" } else { "a timed wait" },
            handle: (!by_id).then(|| handle.clone()),
            record: Arc::clone(record),
            seqno,
            until: Instant::now().checked_add(timeout),
        });
        let wait = if by_id {
            self.checker.subject.state.reached(record.shard, seqno)
        } else {
            handle.reached(seqno)
        };
        let result = wait.wait_timeout(timeout);
        drop(watched);
        let is_same_incarnation =
            view.current == Some(record.incarnation) && view.unchanged_until(&ledger.view());
        if by_id && !is_same_incarnation {
            return Ok(()); // it may have waited on another incarnation, or on none
        }
        let ended = self.checker.check_wait(handle, record, &before, result)?;
        self.done.count_wait(ended);
        if ended == Ended::Removed {
            self.put_aside(any);
        }
        Ok(())
    }
}
