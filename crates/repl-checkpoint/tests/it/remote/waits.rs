//! What waits for a save outlives a doubt, and ends when the store is lost.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use repl_checkpoint::{CheckpointError, RemoteError, Status, UntilSaved};
use repl_core::{SeqNo, ShardId, WaitError};
use smol::block_on;

use super::server::{Client, Fault};
use super::{ONE, Recovered, is_fenced, marks, remote, save, saved_twice, start};

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// A wait for mark 3, which is applied.
struct Wait {
    saved: UntilSaved,
    woken: Arc<Woken>,
}

impl Wait {
    fn of(follower: &Recovered) -> Self {
        follower.state.advance(ONE, 3);
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let mut wait = Wait { saved: follower.checkpointer.floors().saved(ONE, 3), woken };
        assert_eq!(wait.poll(), Poll::Pending);
        wait
    }

    fn poll(&mut self) -> Poll<Result<SeqNo, WaitError>> {
        let waker = Waker::from(Arc::clone(&self.woken));
        self.woken.0.store(false, SeqCst);
        Pin::new(&mut self.saved).poll(&mut Context::from_waker(&waker))
    }

    fn is_woken(&self) -> bool {
        self.woken.0.load(SeqCst)
    }
}

#[test]
fn a_wait_for_a_save_goes_on_through_a_doubt_and_ends_when_it_is_settled_as_saved() {
    let client = Client::new("a");
    let mut follower = saved_twice(&client);
    let mut wait = Wait::of(&follower);
    client.plant(&[Fault::LostAfter, Fault::LostAfter]);
    for _ in 0..2 {
        let error = remote(save(&mut follower.checkpointer));
        assert!(matches!(error, RemoteError::InDoubt { .. }), "{error:?}");
        let said = "in doubt: the server may have done what was asked or not; the next try settles \
                    that first";
        assert_eq!(error.to_string(), said);
        assert_eq!(wait.poll(), Poll::Pending);
    }
    let before = follower.checkpointer.floors().health().last_success;
    drop(block_on(follower.checkpointer.begin()).unwrap());
    assert!(wait.is_woken());
    assert_eq!(wait.poll(), Poll::Ready(Ok(3)));
    assert!(follower.checkpointer.floors().health().last_success > before);
}

#[test]
fn a_wait_for_a_save_that_is_settled_as_not_saved_ends_with_the_next_one() {
    let client = Client::new("a");
    let mut follower = saved_twice(&client);
    let mut wait = Wait::of(&follower);
    client.plant(&[Fault::LostBefore]);
    remote(save(&mut follower.checkpointer));
    let attempt = block_on(follower.checkpointer.begin()).unwrap().unwrap();
    assert_eq!(wait.poll(), Poll::Pending);
    block_on(follower.checkpointer.save(attempt)).unwrap();
    assert!(wait.is_woken());
    assert_eq!(wait.poll(), Poll::Ready(Ok(3)));
}

#[test]
fn a_wait_for_a_save_fails_once_the_store_is_lost() {
    for doubtful in [false, true] {
        let client = Client::new("a");
        let mut follower = saved_twice(&client);
        let mut wait = Wait::of(&follower);
        if doubtful {
            client.plant(&[Fault::LostBefore]);
            remote(save(&mut follower.checkpointer));
            assert_eq!(wait.poll(), Poll::Pending);
        }
        drop(start(&client.named("b")));
        let error = remote(save(&mut follower.checkpointer));
        assert!(is_fenced(&error), "{error:?}");
        assert!(wait.is_woken());
        assert_eq!(wait.poll(), Poll::Ready(Err(WaitError::Closed)));
        let later = follower.checkpointer.floors().saved(ONE, 3);
        assert_eq!(block_on(later), Err(WaitError::Closed));
    }
}

#[test]
fn an_attempt_of_before_a_doubt_is_superseded_and_one_of_before_the_loss_gets_its_error() {
    let client = Client::new("a");
    let mut follower = saved_twice(&client);
    follower.state.advance(ONE, 3);
    let older = block_on(follower.checkpointer.begin()).unwrap().unwrap();
    client.plant(&[Fault::LostAfter]);
    remote(save(&mut follower.checkpointer));
    let error = block_on(follower.checkpointer.save(older)).unwrap_err();
    assert!(matches!(error, CheckpointError::Superseded), "{error:?}");
    assert!(!error.is_poisoning());
    assert_eq!(marks(&follower), (Some(2), Some(1)));

    follower.state.advance(ONE, 4);
    let older = block_on(follower.checkpointer.begin()).unwrap().unwrap();
    let newer = block_on(follower.checkpointer.begin()).unwrap().unwrap();
    drop(start(&client.named("b")));
    remote(block_on(follower.checkpointer.save(newer)).map(Some));
    let error = remote(block_on(follower.checkpointer.save(older)).map(Some));
    assert!(is_fenced(&error), "{error:?}");
    let status = follower.checkpointer.floors().health().status;
    assert!(matches!(status, Status::Poisoned { .. }), "{status:?}");
    assert!(!follower.checkpointer.floors().is_unreferenced(ShardId(77)));
}
