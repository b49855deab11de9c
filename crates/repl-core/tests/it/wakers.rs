//! A waker is the caller's code: a panic, a block or a call back in it harms no other waiter, and a
//! dropped future leaves no waker behind.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use crate::{advance_each, calling, counting, ends, poll, single};
use repl_core::{
    Advance, NewShard, Reached, ReplicationState, SeqRange, Shard, ShardId, WaitError,
};

/// Each way to end a wait for seqno 1.
const ENDS: [fn(&ReplicationState); 4] = [
    |state| _ = state.advance(ShardId::SINGLE, 1),
    ReplicationState::close,
    |state| drop(state.remove_shard(ShardId::SINGLE)),
    |state| drop(state.reset_shard(NewShard::new(ShardId::SINGLE))),
];

fn waiting(shard: &Shard, seqno: u64, waker: &Waker) -> Reached {
    let mut reached = shard.reached(seqno);
    assert_eq!(poll(&mut reached, waker), Poll::Pending);
    reached
}

#[test]
fn a_panicking_waker_stops_neither_the_others_nor_the_caller() {
    for end in ENDS {
        let (state, shard) = single();
        let (counter, waker) = counting();
        let panics = calling(|| panic!("a waker's own panic"));
        let mut all: Vec<_> = (0..70).map(|_| waiting(&shard, 1, &waker)).collect();
        all.extend([(); 3].map(|()| waiting(&shard, 1, &panics)));
        all.extend((0..70).map(|_| waiting(&shard, 1, &waker)));
        end(&state);
        assert_eq!(counter.count(), 140);
        for reached in &mut all {
            assert!(poll(reached, &waker).is_ready());
        }
    }
}

#[test]
fn an_advance_returns_its_outcome_although_a_waker_panics() {
    let (_state, shard) = single();
    let _waiting = waiting(&shard, 2, &calling(|| panic!("a waker's own panic")));
    assert_eq!(shard.advance(2), Advance::Advanced { from: 0 });
    assert_eq!(shard.reached(2).wait(), Ok(2));
}

#[test]
fn a_waker_that_blocks_holds_no_lock() {
    for end in ENDS {
        let (state, shard) = single();
        let (entered, is_in) = mpsc::channel();
        let (leave, may_leave) = mpsc::channel::<()>();
        let (entered, may_leave) = (Mutex::new(entered), Mutex::new(may_leave));
        let blocks = calling(move || {
            entered.lock().unwrap().send(()).unwrap();
            may_leave.lock().unwrap().recv().unwrap();
        });
        let _blocked = waiting(&shard, 1, &blocks);
        ends(move || {
            thread::scope(|s| {
                let ending = s.spawn(|| end(&state));
                is_in.recv().unwrap();
                use_all(&state, &shard);
                assert!(!ending.is_finished());
                leave.send(()).unwrap();
                ending.join().unwrap();
            });
        });
    }
}

/// Makes every kind of call that takes a lock.
fn use_all(state: &ReplicationState, shard: &Shard) {
    let (_, waker) = counting();
    let _ = shard.reached(1_000).wait_timeout(Duration::ZERO);
    let mut reached = shard.reached(1_000);
    let _ = poll(&mut reached, &waker);
    drop(reached);
    let mut reached = shard.reached(500);
    let _ = poll(&mut reached, &waker);
    shard.advance(500);
    assert!(poll(&mut reached, &waker).is_ready());
    let id = ShardId(77);
    let other = state.add_shard(NewShard::new(id)).unwrap();
    other.complete(2..=3);
    assert_eq!(other.applied_set().range_count(), 1);
    state.reset_shard(NewShard::new(id)).unwrap();
    state.remove_shard(id).unwrap();
    drop(state.clone());
    state.close();
    let _ = shard.changes().next().wait();
}

#[test]
fn a_waker_may_call_back() {
    for end in ENDS {
        let (state, shard) = single();
        let state = Arc::new(state);
        let called = Arc::new(AtomicUsize::new(0));
        let calls_back = calling({
            let (state, shard, called) = (Arc::clone(&state), shard.clone(), Arc::clone(&called));
            move || {
                use_all(&state, &shard);
                called.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut all: Vec<_> = (0..3).map(|_| waiting(&shard, 1, &calls_back)).collect();
        ends({
            let state = Arc::clone(&state);
            move || end(&state)
        });
        assert_eq!(called.load(Ordering::Relaxed), 3);
        assert!(all.iter_mut().all(|reached| poll(reached, Waker::noop()).is_ready()));
    }
}

#[test]
fn a_waker_may_wait_again_and_be_woken_again() {
    let (_state, shard) = single();
    let again = Arc::new(Mutex::new(None::<Reached>));
    let (counter, waker) = counting();
    let waits_again = calling({
        let (shard, again) = (shard.clone(), Arc::clone(&again));
        move || *again.lock().unwrap() = Some(waiting(&shard, shard.applied() + 1, &waker))
    });
    let _first = waiting(&shard, 1, &waits_again);
    ends(move || advance_each(&shard, 1..=2));
    assert_eq!(counter.count(), 1);
    let reached = again.lock().unwrap().take();
    assert_eq!(poll(&mut reached.unwrap(), Waker::noop()), Poll::Ready(Ok(2)));
}

/// A waker that owns a future of the same shard, and drops it when it is dropped itself.
struct Owns(#[expect(dead_code, reason = "held to be dropped")] Reached);

impl Wake for Owns {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_waker_may_drop_another_future_of_the_shard_when_it_is_dropped() {
    for end in ENDS {
        let (state, shard) = single();
        let (counter, waker) = counting();
        let owns = || Waker::from(Arc::new(Owns(waiting(&shard, 9, &waker))));
        let woken = waiting(&shard, 1, &owns());
        let dropped = waiting(&shard, 5, &owns());
        let mut replaced = waiting(&shard, 5, &owns());
        assert_eq!(Arc::strong_count(&counter), 5);
        let left = ends(move || {
            drop(dropped);
            assert_eq!(poll(&mut replaced, Waker::noop()), Poll::Pending);
            end(&state);
            (woken, replaced)
        });
        assert_eq!(Arc::strong_count(&counter), 2, "all futures with it are dropped");
        drop(left);
    }
}

#[test]
fn a_dropped_future_leaves_nothing() {
    let (_state, shard) = single();
    let (counter, waker) = counting();
    assert_eq!(Arc::strong_count(&counter), 2);
    let first = waiting(&shard, 5, &waker);
    let second = waiting(&shard, 5, &waker);
    assert_eq!(Arc::strong_count(&counter), 4);
    drop(first);
    assert_eq!(Arc::strong_count(&counter), 3);
    shard.advance(5);
    assert_eq!(
        (counter.count(), Arc::strong_count(&counter)),
        (1, 2),
        "only the future that is left is woken"
    );
    drop(second);
    assert_eq!(Arc::strong_count(&counter), 2);
}

#[test]
fn a_dropped_future_leaves_nothing_where_a_later_range_is_completed() {
    let (_state, shard) = single();
    let (counter, waker) = counting();
    shard.complete(SeqRange::new(9, 12));
    drop(waiting(&shard, 3, &waker));
    assert_eq!((counter.count(), Arc::strong_count(&counter)), (0, 2));
    shard.advance(3);
    assert_eq!(counter.count(), 0);
}

#[test]
fn a_hundred_thousand_futures_that_are_dropped_leave_nothing() {
    let (_state, shard) = single();
    let (counter, waker) = counting();
    let mut all: Vec<_> = (1..=100_000).map(|i| waiting(&shard, i % 1_000 + 1, &waker)).collect();
    assert_eq!(Arc::strong_count(&counter), 100_002);
    all.truncate(60_000); // from the front, and then one by one from the end
    while all.pop().is_some() {}
    assert_eq!(Arc::strong_count(&counter), 2);
    for _ in 0..1_000 {
        drop(waiting(&shard, 7, &waker));
    }
    shard.advance(1_000);
    assert_eq!((counter.count(), Arc::strong_count(&counter)), (0, 2));
}

#[test]
fn only_the_newest_waker_of_a_future_is_woken_and_kept() {
    let (_state, shard) = single();
    let (old, old_waker) = counting();
    let (new, new_waker) = counting();
    let mut reached = waiting(&shard, 3, &old_waker);
    assert_eq!(poll(&mut reached, &old_waker), Poll::Pending);
    assert_eq!(Arc::strong_count(&old), 3, "polled twice, kept once");
    assert_eq!(poll(&mut reached, &new_waker), Poll::Pending);
    assert_eq!((Arc::strong_count(&old), Arc::strong_count(&new)), (2, 3));
    shard.advance(3);
    assert_eq!((old.count(), new.count()), (0, 1));
    assert_eq!(poll(&mut reached, &new_waker), Poll::Ready(Ok(3)));
    assert_eq!(Arc::strong_count(&new), 2);
}

#[test]
fn a_future_is_in_no_queue_until_it_is_polled() {
    let (_state, shard) = single();
    let mut reached = shard.reached(1);
    assert_eq!(shard.awaited(), None);
    assert!(poll(&mut reached, Waker::noop()).is_pending());
    assert_eq!(shard.awaited(), Some(1));
    shard.advance(1);
    drop(reached);
    assert_eq!(shard.awaited(), None);
}

#[test]
fn a_future_keeps_its_result_once_it_is_ready() {
    let (state, shard) = single();
    let mut polled = waiting(&shard, 2, Waker::noop());
    let mut closed = waiting(&shard, 9, Waker::noop());
    shard.advance(2);
    let at_once = shard.reached(1);
    assert_eq!(poll(&mut polled, Waker::noop()), Poll::Ready(Ok(2)));
    state.close();
    assert_eq!(poll(&mut closed, Waker::noop()), Poll::Ready(Err(WaitError::Closed)));
    shard.advance(9);
    let mut at_once = [at_once, shard.reached(9)];
    state.remove_shard(ShardId::SINGLE).unwrap();
    for _ in 0..2 {
        assert_eq!(poll(&mut polled, Waker::noop()), Poll::Ready(Ok(2)));
        assert_eq!(poll(&mut closed, Waker::noop()), Poll::Ready(Err(WaitError::Closed)));
        assert_eq!(poll(&mut at_once[0], Waker::noop()), Poll::Ready(Ok(2)));
    }
    let [earlier, later] = at_once;
    assert_eq!((earlier.wait(), later.wait()), (Ok(2), Ok(9)));
}

#[test]
fn a_future_moves_to_another_thread_between_polls() {
    let (_state, shard) = single();
    let (here, waker) = counting();
    let mut reached = waiting(&shard, 4, &waker);
    let (there, waker) = counting();
    let mut reached = thread::scope(|s| {
        let moved = s.spawn(move || {
            assert_eq!(poll(&mut reached, &waker), Poll::Pending);
            reached
        });
        moved.join().unwrap()
    });
    shard.advance(4);
    assert_eq!((here.count(), there.count()), (0, 1));
    assert_eq!(poll(&mut reached, Waker::noop()), Poll::Ready(Ok(4)));
}

#[test]
fn futures_dropped_in_many_threads_disturb_no_wait() {
    const LAST: u64 = 4_000;
    let (_state, shard) = single();
    let (counter, waker) = counting();
    let result = ends({
        let shard = shard.clone();
        move || {
            thread::scope(|s| {
                for _ in 0..2 {
                    s.spawn(|| {
                        let mut ready = 0;
                        while shard.applied() < LAST {
                            let mut reached = shard.reached(shard.applied() + 1);
                            ready += usize::from(poll(&mut reached, &waker).is_ready());
                        }
                        ready
                    });
                }
                let last = s.spawn(|| shard.reached(LAST).wait());
                advance_each(&shard, 1..=LAST);
                last.join().unwrap()
            })
        }
    });
    assert_eq!(result, Ok(LAST));
    assert_eq!(Arc::strong_count(&counter), 1, "the waker and every clone of it are dropped");
}
