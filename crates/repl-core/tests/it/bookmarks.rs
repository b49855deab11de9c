//! A bookmark is reached once its write is applied, and lost once a later epoch has replaced it.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use repl_core::{
    Bookmark, BookmarkError, EpochStart, Epochs, LogId, NewShard, ReachedBookmark,
    ReplicationState, ShardId, WaitError,
};

use crate::epochs::epochs;

const SHARD: ShardId = ShardId(7);
const LOG: LogId = LogId(9);
const SHORT: Duration = Duration::from_millis(1);

fn start(epoch: u64, first: u64) -> EpochStart {
    EpochStart { epoch, first }
}

fn bookmark(epoch: u64, seqno: u64) -> Bookmark {
    Bookmark { log: LOG, epoch, seqno }
}

fn state(mark: u64, epochs: Epochs) -> ReplicationState {
    let state = ReplicationState::default();
    let new = NewShard::new(SHARD).with_mark(mark).with_log(LOG).with_epochs(epochs);
    state.add_shard(new).unwrap();
    state
}

fn poll(wait: &mut ReachedBookmark<'_>) -> Poll<Result<u64, BookmarkError>> {
    use std::future::Future;
    Pin::new(wait).poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_write_that_another_epoch_replaces_is_lost_and_an_earlier_one_is_reached() {
    let state = state(80, epochs([(3, 1)]));
    let wait = |seqno| state.reached_bookmark(SHARD, bookmark(3, seqno));
    let (mut lost, mut kept) = (wait(95), wait(88));
    let by_handle = state.shard(SHARD).unwrap().reached(95);
    assert_eq!((poll(&mut lost), poll(&mut kept)), (Poll::Pending, Poll::Pending));

    let fourth = state.begin_epoch(SHARD, start(4, 91)).unwrap().shard;
    assert_eq!(by_handle.wait(), Err(WaitError::Removed));
    assert_eq!(poll(&mut lost), Poll::Ready(Err(BookmarkError::Lost)));
    assert_eq!(poll(&mut kept), Poll::Pending);
    fourth.advance(95); // its own segment 95
    assert_eq!(poll(&mut kept), Poll::Ready(Ok(95)));
    for seqno in [1, 88, 90] {
        assert_eq!(wait(seqno).wait(), Ok(95));
    }
    for seqno in [91, 95, 96, u64::MAX] {
        assert_eq!(wait(seqno).wait(), Err(BookmarkError::Lost));
    }
    assert_eq!(state.reached_bookmark(SHARD, bookmark(4, 95)).wait(), Ok(95));
    assert_eq!(poll(&mut lost), Poll::Ready(Err(BookmarkError::Lost))); // it keeps its result
}

#[test]
fn a_bookmark_of_an_epoch_that_has_not_begun_waits_for_it() {
    let state = state(200, epochs([(3, 1)]));
    let mut waits = [(4, 90), (4, 205), (5, 150)]
        .map(|(epoch, seqno)| state.reached_bookmark(SHARD, bookmark(epoch, seqno)));
    let now = |waits: &mut [ReachedBookmark<'_>]| waits.iter_mut().map(poll).collect::<Vec<_>>();
    assert_eq!(now(&mut waits), [Poll::Pending; 3]);
    state.advance(SHARD, 210);
    assert_eq!(now(&mut waits), [Poll::Pending; 3]);
    let fourth = state.begin_epoch(SHARD, start(4, 201)).unwrap().shard;
    assert_eq!(now(&mut waits), [Poll::Ready(Ok(200)), Poll::Pending, Poll::Pending]);
    fourth.advance(205);
    assert_eq!(now(&mut waits), [Poll::Ready(Ok(200)), Poll::Ready(Ok(205)), Poll::Pending]);
    let _ = state.begin_epoch(SHARD, start(5, 206)).unwrap();
    assert_eq!(poll(&mut waits[2]), Poll::Ready(Ok(205)));
}

#[test]
fn a_shard_without_epochs_has_none_not_even_epoch_0() {
    let state = state(200, Epochs::default());
    let mut wait = state.reached_bookmark(SHARD, bookmark(0, 5));
    assert_eq!(poll(&mut wait), Poll::Pending);
    let _ = state.begin_epoch(SHARD, start(0, 1)).unwrap();
    assert_eq!(poll(&mut wait), Poll::Pending); // segment 5 of epoch 0 is not applied
    state.advance(SHARD, 5);
    assert_eq!(poll(&mut wait), Poll::Ready(Ok(5)));
}

#[test]
fn a_bookmark_without_a_write_is_always_reached() {
    let state = state(40, epochs([(3, 100)]));
    for epoch in [0, 3, 9] {
        assert_eq!(state.reached_bookmark(SHARD, bookmark(epoch, 0)).wait(), Ok(40));
    }
}

#[test]
fn every_bookmark_against_epochs_3_and_5() {
    use BookmarkError::{Lost, Timeout, TooOld};
    let state = state(150, epochs([(3, 100), (5, 120)]));
    for (epoch, seqno, expected) in [
        (5, 120, Ok(150)),
        (5, 150, Ok(150)),
        (5, 151, Err(Timeout)),
        (5, 110, Ok(150)), // the leader of epoch 5 had it of an earlier one
        (3, 119, Ok(150)),
        (3, 120, Err(Lost)),
        (3, 99, Ok(150)),
        (4, 110, Err(Lost)), // nothing says what the leader of epoch 4 had
        (4, 120, Err(Lost)),
        (2, 99, Err(TooOld)),
        (2, 100, Err(Lost)),
        (6, 1, Err(Timeout)),
        (u64::MAX, u64::MAX, Err(Timeout)),
    ] {
        let wait = state.reached_bookmark(SHARD, bookmark(epoch, seqno));
        assert_eq!(wait.wait_timeout(SHORT), expected, "epoch {epoch}, segment {seqno}");
    }
}

#[test]
fn removal_closing_and_another_log_each_have_their_own_outcome() {
    let waits = |state: &ReplicationState, end: &dyn Fn()| {
        let later = [bookmark(3, 95), bookmark(4, 10)];
        let mut waits = later.map(|it| state.reached_bookmark(SHARD, it));
        assert_eq!(waits.each_mut().map(poll), [Poll::Pending; 2]);
        end();
        let ended = waits.each_mut().map(poll);
        assert_eq!(ended[0], ended[1]);
        let Poll::Ready(Err(error)) = ended[0] else { panic!("{ended:?}") };
        error
    };
    let third = || state(80, epochs([(3, 1)]));
    let s = third();
    assert_eq!(waits(&s, &|| drop(s.remove_shard(SHARD))), BookmarkError::Removed);
    let untracked = s.reached_bookmark(SHARD, bookmark(3, 1));
    assert_eq!(untracked.wait(), Err(BookmarkError::UnknownShard));
    let s = third();
    assert_eq!(waits(&s, &|| s.close()), BookmarkError::Closed);
    let s = third();
    assert_eq!(waits(&s, &|| s.shard(SHARD).unwrap().close()), BookmarkError::Closed);
    let s = third();
    let other = NewShard::new(SHARD).with_log(LogId(8)).with_epochs(epochs([(3, 1)]));
    let reset = || drop(s.reset_shard(other.clone()));
    assert_eq!(waits(&s, &reset), BookmarkError::OtherLog);
    // A mark that can never move again.
    let s = state(u64::MAX, epochs([(3, 1)]));
    let later = s.reached_bookmark(SHARD, bookmark(4, 10));
    assert_eq!(later.wait(), Err(BookmarkError::Closed));
}

#[test]
fn an_unnamed_log_may_be_any_log() {
    let state = state(80, epochs([(3, 1)]));
    let unnamed = Bookmark { log: LogId::UNNAMED, ..bookmark(3, 80) };
    assert_eq!(state.reached_bookmark(SHARD, unnamed).wait(), Ok(80));
}

#[test]
fn a_wait_goes_on_in_the_next_incarnation() {
    let state = state(80, epochs([(3, 1)]));
    let mut wait = state.reached_bookmark(SHARD, bookmark(3, 95));
    assert_eq!(poll(&mut wait), Poll::Pending);
    state.rewind_shard(SHARD, 50).unwrap();
    state.remove_shard(SHARD).unwrap();
    let again = NewShard::new(SHARD).with_log(LOG).with_epochs(epochs([(3, 1), (4, 100)]));
    let shard = state.add_shard(again).unwrap();
    assert_eq!(poll(&mut wait), Poll::Pending);
    assert_eq!(shard.awaited(), Some(95));
    shard.advance(95);
    assert_eq!(poll(&mut wait), Poll::Ready(Ok(95)));
}

#[test]
fn a_dropped_wait_leaves_nothing_and_a_timed_out_one_too() {
    let state = state(80, epochs([(3, 1)]));
    let shard = state.shard(SHARD).unwrap();
    for later in [bookmark(3, 95), bookmark(4, 10)] {
        let mut wait = state.reached_bookmark(SHARD, later);
        assert_eq!(shard.awaited(), None);
        assert_eq!(poll(&mut wait), Poll::Pending);
        assert!(shard.awaited().is_some());
        drop(wait);
        assert_eq!(shard.awaited(), None);
        let timed_out = state.reached_bookmark(SHARD, later).wait_timeout(SHORT);
        assert_eq!(timed_out, Err(BookmarkError::Timeout));
        let deadline = Instant::now();
        let timed_out = state.reached_bookmark(SHARD, later).wait_deadline(deadline);
        assert_eq!((timed_out, shard.awaited()), (Err(BookmarkError::Timeout), None));
    }
}

#[test]
fn blocked_waits_end_through_many_epochs_as_their_bookmarks_say() {
    let state = state(0, epochs([(1, 1)]));
    thread::scope(|s| {
        let waits: Vec<_> = (1..=40_u64)
            .map(|epoch| {
                let state = &state;
                // Epoch e begins at 10 e, and the next cuts what is at or above 10 (e + 1).
                let waits = [10 * epoch + 9, 10 * epoch + 10].map(|seqno| {
                    let wait = state.reached_bookmark(SHARD, bookmark(epoch, seqno));
                    s.spawn(move || wait.wait_timeout(Duration::from_secs(20)))
                });
                (epoch, waits)
            })
            .collect();
        for epoch in 1..=41 {
            if epoch > 1 {
                let _ = state.begin_epoch(SHARD, start(epoch, 10 * epoch)).unwrap();
            }
            for seqno in 10 * epoch..10 * epoch + 10 {
                state.advance(SHARD, seqno);
            }
        }
        for (epoch, waits) in waits {
            let [kept, lost] = waits.map(|wait| wait.join().unwrap());
            assert!(kept.is_ok_and(|mark| mark >= 10 * epoch + 9), "epoch {epoch}: {kept:?}");
            assert_eq!(lost, Err(BookmarkError::Lost), "epoch {epoch}");
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bookmark_is_awaited_under_tokio() {
    let state = std::sync::Arc::new(state(80, epochs([(3, 1)])));
    let task = tokio::spawn({
        let state = state.clone();
        async move { state.reached_bookmark(SHARD, bookmark(4, 95)).await }
    });
    tokio::task::yield_now().await;
    state.begin_epoch(SHARD, start(4, 81)).unwrap().shard.advance(95);
    assert_eq!(task.await.unwrap(), Ok(95));
    let later = state.reached_bookmark(SHARD, bookmark(4, 96));
    assert!(tokio::time::timeout(SHORT, later).await.is_err());
    assert_eq!(state.shard(SHARD).unwrap().awaited(), None);
}

#[cfg(feature = "serde")]
#[test]
fn a_bookmark_is_written_and_read() {
    let text = serde_json::to_string(&bookmark(3, 95)).unwrap();
    assert_eq!(text, format!(r#"{{"log":"{LOG}","epoch":3,"seqno":95}}"#));
    assert_eq!(serde_json::from_str::<Bookmark>(&text).unwrap(), bookmark(3, 95));
    assert_eq!(bookmark(3, 95).to_string(), format!("segment 95 of epoch 3 in log {LOG}"));
}
