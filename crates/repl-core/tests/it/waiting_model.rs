//! Any sequence of polls, drops, advances, closes and removals has the same results as on a list of
//! waiters.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use crate::{Wakes, counting, poll, single};
use repl_core::{
    Advance, AwaitedChanges, Changes, NewShard, Reached, ReplicationState, Shard, ShardId,
    WaitError,
};

/// The number of wakers that each future is polled with.
const WAKERS: usize = 2;

#[derive(Debug, Clone)]
enum Call {
    New(u64),
    Poll(prop::sample::Index, usize),
    Drop(prop::sample::Index),
    Advance(u64),
    Next,
    NextAwaited,
    Close,
    CloseShard,
    Reset(u64),
    Remove,
}

fn call() -> impl Strategy<Value = Call> {
    let seqno = || {
        prop_oneof![8 => 0..12_u64, 1 => (1 << 63) - 2..(1_u64 << 63) + 2,
        1 => Just(u64::MAX)]
    };
    let index = || any::<prop::sample::Index>();
    prop_oneof![
        6 => seqno().prop_map(Call::New),
        9 => (index(), 0..WAKERS).prop_map(|(i, waker)| Call::Poll(i, waker)),
        2 => index().prop_map(Call::Drop),
        5 => seqno().prop_map(Call::Advance),
        3 => Just(Call::Next),
        3 => Just(Call::NextAwaited),
        1 => Just(Call::Close),
        1 => Just(Call::CloseShard),
        1 => seqno().prop_map(Call::Reset),
        1 => Just(Call::Remove),
    ]
}

#[derive(Clone, Copy)]
struct Incarnation {
    mark: u64,
    removed: bool,
    closed: bool,
}

impl Incarnation {
    fn outcome(&self, seqno: u64) -> Poll<Result<u64, WaitError>> {
        if self.removed {
            Poll::Ready(Err(WaitError::Removed))
        } else if self.mark >= seqno {
            Poll::Ready(Ok(self.mark))
        } else if self.closed {
            Poll::Ready(Err(WaitError::Closed))
        } else {
            Poll::Pending
        }
    }
}

struct Waiter {
    reached: Reached,
    seqno: u64,
    wakers: Vec<(Arc<Wakes>, Waker)>,
    /// In the model: its incarnation, the waker in the queue, its result, and how often each waker was
    /// woken.
    incarnation: usize,
    queued: Option<usize>,
    ready: Option<Result<u64, WaitError>>,
    woken: [usize; WAKERS],
}

struct Both {
    state: ReplicationState,
    shard: Shard,
    changes: Changes,
    awaited_changes: AwaitedChanges,
    /// In the model: what was last given out as awaited, `None` before the first.
    #[expect(clippy::option_option, reason = "the inner one is the value")]
    seen: Option<Option<u64>>,
    waiters: Vec<Waiter>,
    incarnations: Vec<Incarnation>,
    closed: bool,
}

impl Both {
    fn new() -> Self {
        let (state, shard) = single();
        let first = Incarnation { mark: 0, removed: false, closed: false };
        let (changes, awaited_changes) = (shard.changes(), shard.awaited_changes());
        Both {
            state,
            shard,
            changes,
            awaited_changes,
            seen: None,
            waiters: Vec::new(),
            incarnations: vec![first],
            closed: false,
        }
    }

    fn incarnation(&mut self) -> &mut Incarnation {
        let now = self.incarnations.len() - 1;
        &mut self.incarnations[now]
    }

    /// Wakes the waiters of the present incarnation for seqnos up to `seqno`.
    fn wake(&mut self, seqno: u64) {
        let now = self.incarnations.len() - 1;
        for waiter in self.waiters.iter_mut().filter(|waiter| waiter.incarnation == now) {
            if waiter.seqno <= seqno
                && let Some(waker) = waiter.queued.take()
            {
                waiter.woken[waker] += 1;
            }
        }
    }

    fn apply(&mut self, call: &Call) -> Result<(), TestCaseError> {
        match *call {
            Call::New(seqno) => self.new_waiter(seqno),
            Call::Poll(ref which, waker) if !self.waiters.is_empty() => {
                let waiter = which.index(self.waiters.len());
                let waiter = &mut self.waiters[waiter];
                let incarnation = self.incarnations[waiter.incarnation];
                let expected = waiter.ready.map_or(incarnation.outcome(waiter.seqno), Poll::Ready);
                prop_assert_eq!(poll(&mut waiter.reached, &waiter.wakers[waker].1), expected);
                waiter.queued = expected.is_pending().then_some(waker);
                if let Poll::Ready(result) = expected {
                    waiter.ready = Some(result);
                }
            }
            Call::Drop(ref which) if !self.waiters.is_empty() => {
                let gone = self.waiters.remove(which.index(self.waiters.len()));
                drop(gone.reached);
                for (i, (counter, _)) in gone.wakers.iter().enumerate() {
                    prop_assert_eq!(
                        (counter.count(), Arc::strong_count(counter)),
                        (gone.woken[i], 2)
                    );
                }
            }
            Call::Poll(..) | Call::Drop(_) => {}
            Call::Advance(to) => self.advance(to)?,
            Call::Next => self.next()?,
            Call::NextAwaited => self.next_awaited()?,
            Call::Close => {
                self.state.close();
                self.closed = true;
                self.close();
            }
            Call::CloseShard => {
                self.shard.close();
                self.close();
            }
            Call::Reset(mark) => {
                let new = NewShard::new(ShardId::SINGLE).with_mark(mark);
                self.end();
                self.shard = match self.state.reset_shard(new.clone()) {
                    Some(shard) => shard,
                    None => self.state.add_shard(new).unwrap(),
                };
                self.changes = self.shard.changes();
                (self.awaited_changes, self.seen) = (self.shard.awaited_changes(), None);
                self.incarnations.push(Incarnation { mark, removed: false, closed: self.closed });
            }
            Call::Remove => {
                self.state.remove_shard(ShardId::SINGLE);
                self.end();
            }
        }
        Ok(())
    }

    fn new_waiter(&mut self, seqno: u64) {
        // A result that is known when the future is created is kept. Whether waiting is closed is
        // known only when it is polled.
        let ready = match self.incarnation().outcome(seqno) {
            Poll::Ready(result) if result != Err(WaitError::Closed) => Some(result),
            _ => None,
        };
        self.waiters.push(Waiter {
            reached: self.shard.reached(seqno),
            seqno,
            wakers: [(); WAKERS].map(|()| counting()).into(),
            incarnation: self.incarnations.len() - 1,
            queued: None,
            ready,
            woken: [0; WAKERS],
        });
    }

    fn close(&mut self) {
        let incarnation = self.incarnation();
        if !incarnation.removed {
            incarnation.closed = true;
            self.wake(u64::MAX);
        }
    }

    fn end(&mut self) {
        self.wake(u64::MAX);
        self.incarnation().removed = true;
    }

    fn advance(&mut self, to: u64) -> Result<(), TestCaseError> {
        let incarnation = self.incarnation();
        let expected = match *incarnation {
            Incarnation { removed: true, .. } => Advance::Removed,
            Incarnation { mark, .. } if mark >= to => Advance::Stale { at: mark },
            Incarnation { mark: from, .. } => {
                incarnation.mark = to;
                self.wake(to);
                Advance::Advanced { from }
            }
        };
        prop_assert_eq!(self.shard.advance(to), expected);
        Ok(())
    }

    fn next(&mut self) -> Result<(), TestCaseError> {
        let incarnation = *self.incarnation();
        let expected = match self.changes.seen() {
            None => incarnation.outcome(0),
            Some(u64::MAX) => Poll::Ready(Err(WaitError::Closed)),
            Some(seen) => incarnation.outcome(seen + 1),
        };
        let next = pin!(self.changes.next()).poll(&mut Context::from_waker(Waker::noop()));
        prop_assert_eq!(next, expected);
        if let Poll::Ready(Ok(mark)) = next {
            prop_assert_eq!(self.changes.seen(), Some(mark));
        }
        Ok(())
    }

    /// The lowest seqno that anything in the queue of the present incarnation waits for.
    fn awaited(&self) -> Option<u64> {
        let now = self.incarnations.len() - 1;
        let queued = |waiter: &&Waiter| waiter.incarnation == now && waiter.queued.is_some();
        self.waiters.iter().filter(queued).map(|waiter| waiter.seqno).min()
    }

    fn next_awaited(&mut self) -> Result<(), TestCaseError> {
        let (awaited, incarnation) = (self.awaited(), *self.incarnation());
        let expected = if incarnation.removed {
            Poll::Ready(Err(WaitError::Removed))
        } else if self.seen != Some(awaited) {
            self.seen = Some(awaited);
            Poll::Ready(Ok(awaited))
        } else if incarnation.closed {
            Poll::Ready(Err(WaitError::Closed))
        } else {
            Poll::Pending
        };
        prop_assert_eq!(poll(&mut self.awaited_changes.next(), Waker::noop()), expected);
        Ok(())
    }

    fn agree(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.shard.awaited(), self.awaited());
        for waiter in &self.waiters {
            for (i, (counter, _)) in waiter.wakers.iter().enumerate() {
                let kept = usize::from(waiter.queued == Some(i));
                let expected = (waiter.woken[i], 2 + kept);
                prop_assert_eq!((counter.count(), Arc::strong_count(counter)), expected);
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn waiting_agrees_with_a_naive_list(calls in prop::collection::vec(call(), 1..80)) {
        let mut both = Both::new();
        for call in &calls {
            both.apply(call)?;
            both.agree()?;
        }
    }
}
