//! Watchers of what is awaited have wakers too: these are the caller's code as well.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use crate::{Queued, calling, counting, ends, poll, single};
use repl_core::{Advance, AwaitedChanges, Reached, ReplicationState, Shard, ShardId};

/// Each way to change what is awaited, from a wait for 5.
const CHANGES: [fn(&ReplicationState, &Shard, &mut Option<Queued>); 6] = [
    |_, shard, _| drop(Queued::new(shard, 2)),
    |_, _, waiting| drop(waiting.take()),
    |_, shard, _| assert_eq!(shard.advance(5), Advance::Advanced { from: 0 }),
    |_, shard, _| shard.close(),
    |state, _, _| state.close(),
    |state, _, _| drop(state.remove_shard(ShardId::SINGLE)),
];

/// Changes that have seen a wait for 5.
fn after_5(shard: &Shard) -> AwaitedChanges {
    let mut changes = shard.awaited_changes();
    assert_eq!(changes.next().wait(), Ok(Some(5)));
    changes
}

#[test]
fn a_panicking_waker_stops_neither_the_other_watchers_nor_the_caller() {
    for change in CHANGES {
        let (state, shard) = single();
        let mut waiting = Some(Queued::new(&shard, 5));
        let mut all: Vec<_> = (0..40).map(|_| after_5(&shard)).collect();
        let (counter, waker) = counting();
        let panics = calling(|| panic!("a waker's own panic"));
        let mut pending: Vec<_> = all.iter_mut().map(AwaitedChanges::next).collect();
        for (i, next) in pending.iter_mut().enumerate() {
            assert!(poll(next, if i % 8 == 3 { &panics } else { &waker }).is_pending());
        }
        change(&state, &shard, &mut waiting);
        assert_eq!(counter.count(), 35);
    }
}

#[test]
fn a_panicking_watcher_stops_no_waiter() {
    let (_state, shard) = single();
    let mut waiting = Queued::new(&shard, 5);
    let mut changes = after_5(&shard);
    let mut next = changes.next();
    assert!(poll(&mut next, &calling(|| panic!("a waker's own panic"))).is_pending());
    assert_eq!(shard.advance(5), Advance::Advanced { from: 0 });
    assert_eq!((waiting.wakes(), waiting.poll()), (1, Poll::Ready(Ok(5))));
}

#[test]
fn a_watcher_that_blocks_holds_no_lock() {
    for change in CHANGES {
        let (state, shard) = single();
        let mut waiting = Some(Queued::new(&shard, 5));
        let mut changes = after_5(&shard);
        let (entered, is_in) = mpsc::channel();
        let (leave, may_leave) = mpsc::channel::<()>();
        let (entered, may_leave) = (Mutex::new(entered), Mutex::new(may_leave));
        let blocks = calling(move || {
            entered.lock().unwrap().send(()).unwrap();
            may_leave.lock().unwrap().recv().unwrap();
        });
        ends(move || {
            let mut next = changes.next();
            assert!(poll(&mut next, &blocks).is_pending());
            thread::scope(|s| {
                let changing = s.spawn(|| change(&state, &shard, &mut waiting));
                is_in.recv().unwrap();
                use_all(&state, &shard);
                assert!(!changing.is_finished());
                leave.send(()).unwrap();
                changing.join().unwrap();
            });
        });
    }
}

/// Makes every kind of call that takes the lock of the shard.
fn use_all(state: &ReplicationState, shard: &Shard) {
    let _ = shard.reached(1_000).wait_timeout(Duration::ZERO);
    let _ = shard.awaited();
    let _ = shard.awaited_changes().next().wait_timeout(Duration::ZERO);
    shard.complete(900);
    assert!(shard.is_removed() || shard.contains(900));
    let _ = state.snapshot();
    shard.advance(7);
    shard.close();
}

#[test]
fn a_watcher_may_call_back() {
    for change in CHANGES {
        let (state, shard) = single();
        let state = Arc::new(state);
        let mut waiting = Some(Queued::new(&shard, 5));
        let mut changes = after_5(&shard);
        let called = Arc::new(AtomicUsize::new(0));
        let calls_back = calling({
            let (state, shard, called) = (Arc::clone(&state), shard.clone(), Arc::clone(&called));
            move || {
                use_all(&state, &shard);
                called.fetch_add(1, Ordering::Relaxed);
            }
        });
        let called = ends(move || {
            let mut next = changes.next();
            assert!(poll(&mut next, &calls_back).is_pending());
            change(&state, &shard, &mut waiting);
            called.load(Ordering::Relaxed)
        });
        assert_eq!(called, 1);
    }
}

/// A waker that owns a wait on the same shard, and drops it when it is dropped itself.
struct Owns(#[expect(dead_code, reason = "held to be dropped")] Reached);

impl Wake for Owns {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_watcher_may_drop_a_wait_of_the_shard_when_it_is_dropped() {
    for change in CHANGES {
        let (state, shard) = single();
        let (counter, waker) = counting();
        let mut waiting = Some(Queued::new(&shard, 5));
        let [mut woken, mut dropped, mut replaced] = [(); 3].map(|()| after_5(&shard));
        let owns = || {
            let mut reached = shard.reached(9);
            assert!(poll(&mut reached, &waker).is_pending());
            Waker::from(Arc::new(Owns(reached)))
        };
        let wakers = [owns(), owns(), owns()];
        assert_eq!(Arc::strong_count(&counter), 5);
        ends(move || {
            let [first, second, third] = wakers;
            let mut dropped = dropped.next();
            assert!(poll(&mut dropped, &first).is_pending());
            drop(first);
            drop(dropped);
            let mut replaced = replaced.next();
            assert!(poll(&mut replaced, &second).is_pending());
            drop(second);
            assert!(poll(&mut replaced, Waker::noop()).is_pending());
            let mut woken = woken.next();
            assert!(poll(&mut woken, &third).is_pending());
            drop(third);
            change(&state, &shard, &mut waiting);
        });
        assert_eq!(Arc::strong_count(&counter), 2, "all waits with the waker are dropped");
    }
}

/// More waiters than are woken under one lock: those of the later batches are reached all the same.
#[test]
fn a_reached_seqno_is_never_awaited() {
    let (_state, shard) = single();
    let waiting: Vec<Queued> = (1..=100).map(|seqno| Queued::new(&shard, seqno)).collect();
    let mut changes = shard.awaited_changes();
    assert_eq!(changes.next().wait(), Ok(Some(1)));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let look = {
        let (shard, seen) = (shard.clone(), Arc::clone(&seen));
        calling(move || seen.lock().unwrap().push((shard.applied(), shard.awaited())))
    };
    let mut next = changes.next();
    assert!(poll(&mut next, &look).is_pending());
    shard.advance(90);
    assert_eq!(*seen.lock().unwrap(), [(90, Some(91))]);
    drop(waiting);
}

#[test]
fn a_watcher_that_was_woken_takes_no_other_with_it_when_it_is_dropped() {
    let (_state, shard) = single();
    let (mut first, mut second) = (shard.awaited_changes(), shard.awaited_changes());
    assert_eq!((first.next().wait(), second.next().wait()), (Ok(None), Ok(None)));
    let mut woken = first.next();
    assert!(poll(&mut woken, Waker::noop()).is_pending());
    drop(Queued::new(&shard, 5));
    let (counter, waker) = counting();
    let mut next = second.next();
    assert!(poll(&mut next, &waker).is_pending());
    drop(woken);
    let _waiting = Queued::new(&shard, 6);
    assert_eq!((counter.count(), poll(&mut next, &waker)), (1, Poll::Ready(Ok(Some(6)))));
}
