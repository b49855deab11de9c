//! Waiting until a mark is saved.

mod ended;
mod failed_reopen;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::task::{Context, Poll, Wake};
use std::time::{Duration, Instant};

use repl_checkpoint::{Floors, UntilSaved};
use repl_core::{ReplicationState, SeqNo, ShardId, WaitError};
use smol::future::{block_on, poll_once};

use crate::support::scripted::Scripted;
use crate::support::{begun, save, watched};

const ONE: ShardId = ShardId(1);

const _: () = {
    const fn sent<T: Send + Sync + Unpin + 'static>() {}
    sent::<UntilSaved>();
};

/// The result if there is one now.
fn now(saved: &mut UntilSaved) -> Option<Result<SeqNo, WaitError>> {
    block_on(poll_once(saved))
}

/// A thread that waits.
struct Blocked(Receiver<Result<SeqNo, WaitError>>);

impl Blocked {
    fn new(wait: impl FnOnce() -> Result<SeqNo, WaitError> + Send + 'static) -> Self {
        let (ended, end) = channel();
        std::thread::spawn(move || ended.send(wait()));
        Blocked(end)
    }

    /// The result of a wait that must end.
    fn result(self) -> Result<SeqNo, WaitError> {
        self.0.recv_timeout(Duration::from_secs(20)).unwrap()
    }
}

/// Starts a thread that waits, and returns once something waits for the seqno to be applied.
fn blocked(state: &ReplicationState, floors: &Floors, seqno: SeqNo) -> Blocked {
    let mut awaited = state.shard(ONE).unwrap().awaited_changes();
    let saved = floors.saved(ONE, seqno);
    let blocked = Blocked::new(|| saved.wait());
    while awaited.next().wait() != Ok(Some(seqno)) {}
    blocked
}

#[test]
fn a_future_waits_for_the_apply_and_then_for_the_save() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    let mut saved = floors.saved(ONE, 5);
    assert_eq!(now(&mut saved), None);
    save(&mut follower.checkpointer);
    assert_eq!(now(&mut saved), None, "it is not applied");
    follower.state.advance(ONE, 4);
    assert_eq!(now(&mut saved), None);
    follower.state.advance(ONE, 6);
    assert_eq!(now(&mut saved), None, "it is not saved");
    follower.checkpointer.checkpoint(|_| Err("no".into())).unwrap_err();
    assert_eq!(now(&mut saved), None, "the checkpoint failed");
    save(&mut follower.checkpointer);
    assert_eq!(now(&mut saved), Some(Ok(6)));
}

/// Whether it was woken.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

#[test]
fn a_future_is_woken_by_the_apply_and_by_the_save() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let mut saved = follower.checkpointer.floors().saved(ONE, 5);
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Arc::clone(&woken).into();
    let mut poll = || Pin::new(&mut saved).poll(&mut Context::from_waker(&waker));
    assert!(poll().is_pending());
    follower.state.advance(ONE, 5);
    assert!(woken.0.swap(false, SeqCst));
    assert!(poll().is_pending());
    assert!(!woken.0.load(SeqCst));
    save(&mut follower.checkpointer);
    assert!(woken.0.load(SeqCst));
    assert_eq!(poll(), Poll::Ready(Ok(5)));
}

/// Asks the floors when it is woken.
struct Asking(Floors, AtomicBool);

impl Wake for Asking {
    fn wake(self: Arc<Self>) {
        let Asking(floors, asked) = &*self;
        assert!(floors.health().last_success.is_some());
        assert!(!floors.is_unreferenced(ONE));
        assert_eq!(now(&mut floors.saved(ONE, 5)), Some(Ok(5)));
        asked.store(true, SeqCst);
    }
}

#[test]
fn a_waker_may_ask_the_floors_that_the_save_has_moved() {
    watched("a waker", || {
        let store = Scripted::default();
        let mut follower = store.recovered(&[1]);
        let floors = follower.checkpointer.floors();
        follower.state.advance(ONE, 5);
        let mut saved = floors.saved(ONE, 5);
        let asking = Arc::new(Asking(floors, AtomicBool::new(false)));
        let waker = Arc::clone(&asking).into();
        assert!(Pin::new(&mut saved).poll(&mut Context::from_waker(&waker)).is_pending());
        save(&mut follower.checkpointer);
        assert!(asking.1.load(SeqCst));
    });
}

/// One thread applies and saves, the other waits; each round in another order.
#[test]
fn no_save_is_missed_by_a_wait_that_begins_at_the_same_time() {
    const ROUNDS: u64 = 10_000;
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    let (requests, wanted) = channel();
    let (results, has_ended) = channel();
    let long = Duration::from_secs(20);
    std::thread::spawn(move || {
        for seqno in wanted {
            results.send(floors.saved(ONE, seqno).wait_timeout(long)).unwrap();
        }
    });
    for round in 1..=ROUNDS {
        if round % 2 == 0 {
            follower.state.advance(ONE, round);
            requests.send(round).unwrap();
        } else {
            requests.send(round).unwrap();
            follower.state.advance(ONE, round);
        }
        for _ in 0..round % 50 {
            std::hint::spin_loop();
        }
        save(&mut follower.checkpointer);
        assert_eq!(has_ended.recv().unwrap(), Ok(round));
    }
}

#[test]
fn threads_that_block_are_released_by_the_save_that_holds_their_seqno() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    let low: Vec<_> = (0..3).map(|_| blocked(&follower.state, &floors, 5)).collect();
    follower.state.advance(ONE, 5);
    let high = blocked(&follower.state, &floors, 9);
    save(&mut follower.checkpointer);
    for thread in low {
        assert_eq!(thread.result(), Ok(5));
    }
    follower.state.advance(ONE, 12);
    save(&mut follower.checkpointer);
    assert_eq!(high.result(), Ok(12), "the result is the saved mark");
}

#[test]
fn what_is_saved_already_is_ready_at_once() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    follower.state.advance(ONE, 5);
    save(&mut follower.checkpointer);
    follower.state.advance(ONE, 9);
    for seqno in 0..=5 {
        assert_eq!(now(&mut floors.saved(ONE, seqno)), Some(Ok(5)));
        assert_eq!(floors.saved(ONE, seqno).wait(), Ok(5));
        assert_eq!(floors.saved(ONE, seqno).wait_timeout(Duration::ZERO), Ok(5));
    }
    assert_eq!(now(&mut floors.saved(ONE, 6)), None);
    drop(follower);
    assert_eq!(floors.saved(ONE, 5).wait(), Ok(5), "no later crash loses it");
}

#[test]
fn nothing_is_saved_before_the_first_save_of_this_process() {
    let store = Scripted::default();
    let mut first = store.recovered(&[1]);
    first.state.advance(ONE, 5);
    save(&mut first.checkpointer);
    let mut second = store.recovered(&[1]);
    let mut saved = second.checkpointer.floors().saved(ONE, 0);
    assert_eq!(now(&mut saved), None);
    save(&mut second.checkpointer);
    assert_eq!(now(&mut saved), Some(Ok(5)));
}

#[test]
fn a_mark_that_the_flush_lowered_is_not_saved_yet() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let mut saved = follower.checkpointer.floors().saved(ONE, 5);
    follower.state.advance(ONE, 5);
    let mut attempt = begun(&mut follower.checkpointer);
    attempt.lower(ONE, 4);
    follower.checkpointer.save(attempt).unwrap();
    assert_eq!(now(&mut saved), None);
    save(&mut follower.checkpointer);
    assert_eq!(now(&mut saved), Some(Ok(5)));
}

#[test]
fn a_wait_ends_when_its_time_is_up() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let floors = follower.checkpointer.floors();
    let short = Duration::from_millis(20);
    for applied in [0, 5] {
        follower.state.advance(ONE, applied);
        let before = Instant::now();
        assert_eq!(floors.saved(ONE, 5).wait_timeout(short), Err(WaitError::Timeout));
        assert!(before.elapsed() >= short);
        assert_eq!(floors.saved(ONE, 5).wait_deadline(before), Err(WaitError::Timeout));
    }
    // Beyond the end of the clock.
    let saved = floors.saved(ONE, 9);
    let endless = Blocked::new(|| saved.wait_timeout(Duration::MAX));
    assert_eq!(endless.0.recv_timeout(short), Err(RecvTimeoutError::Timeout));
    follower.state.advance(ONE, 9);
    save(&mut follower.checkpointer);
    assert_eq!(endless.result(), Ok(9));
}

#[test]
fn a_future_that_is_dropped_is_awaited_no_more() {
    let store = Scripted::default();
    let follower = store.recovered(&[1]);
    let mut saved = follower.checkpointer.floors().saved(ONE, 5);
    assert_eq!(now(&mut saved), None);
    let shard = follower.state.shard(ONE).unwrap();
    assert_eq!(shard.awaited(), Some(5));
    drop(saved);
    assert_eq!(shard.awaited(), None);
}

#[test]
fn durable_marks_are_saved_once_they_are_applied() {
    let state = Arc::new(ReplicationState::new(&[ONE]));
    let floors = Floors::of_durable(Arc::clone(&state));
    let mut saved = floors.saved(ONE, 5);
    assert_eq!(now(&mut saved), None);
    let waiting = blocked(&state, &floors, 5);
    state.advance(ONE, 7);
    assert_eq!((now(&mut saved), waiting.result()), (Some(Ok(7)), Ok(7)));
    let mut removed = floors.saved(ONE, 9);
    state.remove_shard(ONE);
    assert_eq!(now(&mut removed), Some(Err(WaitError::Removed)));
    assert_eq!(floors.saved(ONE, 5).wait(), Err(WaitError::UnknownShard));
}
