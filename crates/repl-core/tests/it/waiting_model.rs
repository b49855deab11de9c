//! Any sequence of polls, drops, advances and ends gives what a naive list of waiters gives.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use proptest::prelude::*;

use crate::{Wakes, counting, poll, single};
use repl_core::{Advance, Changes, NewShard, Reached, ReplicationState, Shard, ShardId, WaitError};

/// Each future is polled with one of so many wakers.
const WAKERS: usize = 2;

#[derive(Debug, Clone)]
enum Call {
    New(u64),
    Poll(prop::sample::Index, usize),
    Drop(prop::sample::Index),
    Advance(u64),
    Next,
    Close,
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
        1 => Just(Call::Close),
        1 => seqno().prop_map(Call::Reset),
        1 => Just(Call::Remove),
    ]
}

#[derive(Clone, Copy)]
struct Life {
    mark: u64,
    removed: bool,
    closed: bool,
}

impl Life {
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
    wakers: Vec<(Arc<Wakes>, Waker)>,
    /// What the model says: of which life it is, who will be woken, and how often each was.
    life: usize,
    queued: Option<usize>,
    woken: [usize; WAKERS],
}

struct Both {
    state: ReplicationState,
    shard: Shard,
    changes: Changes,
    waiters: Vec<Waiter>,
    lives: Vec<Life>,
    closed: bool,
}

impl Both {
    fn new() -> Self {
        let (state, shard) = single();
        let first = Life { mark: 0, removed: false, closed: false };
        let changes = shard.changes();
        Both { state, shard, changes, waiters: Vec::new(), lives: vec![first], closed: false }
    }

    fn life(&mut self) -> &mut Life {
        let now = self.lives.len() - 1;
        &mut self.lives[now]
    }

    /// Who waits in the present life for a seqno up to `seqno` is woken.
    fn wake(&mut self, seqno: u64) {
        let now = self.lives.len() - 1;
        for waiter in self.waiters.iter_mut().filter(|waiter| waiter.life == now) {
            if waiter.reached.seqno() <= seqno
                && let Some(waker) = waiter.queued.take()
            {
                waiter.woken[waker] += 1;
            }
        }
    }

    fn apply(&mut self, call: &Call) -> Result<(), TestCaseError> {
        match *call {
            Call::New(seqno) => self.waiters.push(Waiter {
                reached: self.shard.reached(seqno),
                wakers: [(); WAKERS].map(|()| counting()).into(),
                life: self.lives.len() - 1,
                queued: None,
                woken: [0; WAKERS],
            }),
            Call::Poll(ref which, waker) if !self.waiters.is_empty() => {
                let waiter = which.index(self.waiters.len());
                let waiter = &mut self.waiters[waiter];
                let expected = self.lives[waiter.life].outcome(waiter.reached.seqno());
                prop_assert_eq!(poll(&mut waiter.reached, &waiter.wakers[waker].1), expected);
                waiter.queued = expected.is_pending().then_some(waker);
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
            Call::Close => {
                self.state.close();
                self.closed = true;
                let life = self.life();
                if !life.removed {
                    life.closed = true;
                    self.wake(u64::MAX);
                }
            }
            Call::Reset(mark) => {
                let new = NewShard::new(ShardId::SINGLE).with_mark(mark);
                self.end();
                self.shard = match self.state.reset_shard(new) {
                    Some(shard) => shard,
                    None => self.state.add_shard(new).unwrap(),
                };
                self.changes = self.shard.changes();
                self.lives.push(Life { mark, removed: false, closed: self.closed });
            }
            Call::Remove => {
                self.state.remove_shard(ShardId::SINGLE);
                self.end();
            }
        }
        Ok(())
    }

    fn end(&mut self) {
        self.wake(u64::MAX);
        self.life().removed = true;
    }

    fn advance(&mut self, to: u64) -> Result<(), TestCaseError> {
        let life = self.life();
        let expected = match *life {
            Life { removed: true, .. } => Advance::Removed,
            Life { mark, .. } if mark >= to => Advance::Stale { at: mark },
            Life { mark: from, .. } => {
                life.mark = to;
                self.wake(to);
                Advance::Advanced { from }
            }
        };
        prop_assert_eq!(self.shard.advance(to), expected);
        Ok(())
    }

    fn next(&mut self) -> Result<(), TestCaseError> {
        let life = *self.life();
        let expected = match self.changes.seen() {
            None => life.outcome(0),
            Some(u64::MAX) => Poll::Ready(Err(WaitError::Closed)),
            Some(seen) => life.outcome(seen + 1),
        };
        let next = pin!(self.changes.next()).poll(&mut Context::from_waker(Waker::noop()));
        prop_assert_eq!(next, expected);
        if let Poll::Ready(Ok(mark)) = next {
            prop_assert_eq!(self.changes.seen(), Some(mark));
        }
        Ok(())
    }

    fn agree(&self) -> Result<(), TestCaseError> {
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
