//! Calls whose future is dropped, as a time limit does.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use repl_checkpoint::Status;
use repl_core::ShardId;
use smol::block_on;

use super::server::{Client, Fault};
use super::{ONE, marks, remote, save, saved_twice};

const NOT_SAVED: &str = "a checkpoint was begun and not saved: the flush failed or was cancelled";

#[test]
fn a_save_whose_future_was_dropped_is_in_doubt_and_is_settled() {
    for (fault, is_there) in [(Fault::Hangs, true), (Fault::Unavailable, false)] {
        let client = Client::new("a");
        let mut follower = saved_twice(&client);
        follower.state.advance(ONE, 3);
        let attempt = block_on(follower.checkpointer.begin()).unwrap().unwrap();
        client.plant(&[fault]);
        let save = follower.checkpointer.save(attempt);
        if is_there {
            cut_off(save);
        } else {
            drop(save); // before it begins
        }
        assert_eq!(marks(&follower), (Some(2), Some(1)));
        // What was never sent is in doubt for the caller alone.
        let floors = follower.checkpointer.floors();
        assert_eq!(floors.is_unreferenced(ShardId(77)), !is_there);
        let error = "in doubt: the call was cut off before its answer; the next checkpoint \
                     settles it";
        let in_doubt = Status::InDoubt { error: error.to_owned() };
        let status = if is_there {
            in_doubt
        } else {
            Status::Failing { failures: 1, error: NOT_SAVED.to_owned() }
        };
        assert_eq!(floors.health().status, status);
        drop(block_on(follower.checkpointer.begin()).unwrap());
        assert_eq!(floors.checkpointed(ONE) == Some(3), is_there);
    }
}

/// Polls a call once, and drops it then, as a time limit does.
fn cut_off<R>(call: impl Future<Output = R>) {
    let mut call = pin!(call);
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
}

#[test]
fn a_call_that_was_cut_off_is_a_failure_for_the_wait_before_the_next() {
    let client = Client::new("a");
    let mut follower = saved_twice(&client);
    follower.state.advance(ONE, 3);
    let attempt = block_on(follower.checkpointer.begin()).unwrap().unwrap();
    assert_eq!(follower.checkpointer.retry_after(), Duration::ZERO, "it sent nothing");
    client.plant(&[Fault::Hangs, Fault::Hangs, Fault::Hangs]);
    cut_off(follower.checkpointer.save(attempt));
    let mut waits = vec![follower.checkpointer.retry_after()];
    for _ in 0..2 {
        cut_off(follower.checkpointer.begin());
        waits.push(follower.checkpointer.retry_after());
    }
    assert!(waits[0] >= Duration::from_millis(50) && waits[0] <= Duration::from_millis(100));
    assert!(waits[2] >= Duration::from_millis(200) && waits[2] <= Duration::from_millis(400));

    // A failure that is answered counts once, and so does one that is settled as not saved.
    drop(block_on(follower.checkpointer.begin()).unwrap());
    assert_eq!(follower.checkpointer.retry_after(), Duration::ZERO);
    follower.state.advance(ONE, 4);
    client.plant(&[Fault::LostBefore]);
    remote(save(&mut follower.checkpointer));
    let first = follower.checkpointer.retry_after();
    assert!(first <= Duration::from_millis(100), "{first:?}");
    drop(block_on(follower.checkpointer.begin()).unwrap());
    assert_eq!(follower.checkpointer.retry_after(), first, "settled as not saved");
    save(&mut follower.checkpointer).unwrap();
    assert_eq!(follower.checkpointer.retry_after(), Duration::ZERO);
}
