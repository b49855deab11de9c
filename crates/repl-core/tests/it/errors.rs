//! Errors say what failed and what to do, convert into `io::Error`, and do not print their source.

use std::error::Error;
use std::io;

use repl_core::{
    Advance, AlreadyTracked, BeginEpochError, BookmarkError, ClaimError, CompleteError, EpochOrder,
    EpochStart, ShardId, StaleEpoch, WaitAllError, WaitError, WindowError, WindowFull,
};

const FULL: WindowFull = WindowFull { seqno: 70, resume_at: 6 };

fn wait_all(reason: WaitError) -> WaitAllError {
    WaitAllError { shard: ShardId(4), reason }
}

/// An error, the kind of its `io::Error`, and words that its message has.
type Case<E> = (E, io::ErrorKind, &'static str);

fn check<E: Error + Clone + PartialEq + Send + Sync + 'static>(cases: &[Case<E>])
where
    io::Error: From<E>,
{
    for (error, kind, words) in cases {
        let text = error.to_string();
        assert!(text.contains(words), "{error:?}: {text}");
        assert!(text.starts_with(|c: char| c.is_lowercase()) && !text.ends_with('.'), "{text}");
        let as_io = io::Error::from(error.clone());
        assert_eq!(as_io.kind(), *kind, "{error:?}");
        let inner = as_io.get_ref().and_then(|inner| inner.downcast_ref::<E>());
        assert_eq!(inner, Some(error));
        assert_eq!(as_io.to_string(), text);
        let sources = (as_io.source(), error.source());
        assert_eq!(sources.0.map(ToString::to_string), sources.1.map(ToString::to_string));
        let mut source = error.source();
        while let Some(cause) = source {
            assert!(!text.contains(&cause.to_string()), "{text} prints its source");
            source = cause.source();
        }
    }
}

#[test]
fn wait_errors_keep_their_kind_and_source_as_io_errors() {
    use io::ErrorKind::{NotFound, Other, TimedOut};
    let each = [
        (WaitError::Timeout, TimedOut, "timed out"),
        (WaitError::Closed, Other, "closed"),
        (WaitError::Removed, Other, "look it up again"),
        (WaitError::UnknownShard, NotFound, "does not track"),
    ];
    check(&each);
    check(&each.map(|(reason, kind, _)| (wait_all(reason), kind, "shard 4 did not reach")));
    for (reason, _, _) in each {
        let error = wait_all(reason);
        let source = error.source().and_then(|source| source.downcast_ref::<WaitError>());
        assert_eq!(source, Some(&reason));
    }
}

#[test]
fn window_errors_keep_their_kind_and_source_as_io_errors() {
    use io::ErrorKind::{Other, TimedOut, WouldBlock};
    let wait_for = "seqno 70 is beyond the apply window: wait for the mark to reach 6";
    check(&[(FULL, WouldBlock, wait_for)]);
    check(&[
        (ClaimError::AlreadyCompleted, Other, "already completed"),
        (ClaimError::Claimed, Other, "claimed by another applier"),
        (ClaimError::Full(FULL), WouldBlock, wait_for),
        (ClaimError::Removed, Other, "look it up again"),
        (ClaimError::Closed, Other, "closed"),
        (ClaimError::Timeout, TimedOut, "timed out"),
    ]);
    check(&[
        (CompleteError::Full(FULL), WouldBlock, wait_for),
        (CompleteError::Removed, Other, "look it up again"),
    ]);
    check(&[
        (WindowError::AlreadyOpen, io::ErrorKind::ResourceBusy, "drop them first"),
        (WindowError::NoCapacity, io::ErrorKind::InvalidInput, "at least 1"),
        (WindowError::Removed, Other, "look it up again"),
    ]);
    let tracked = AlreadyTracked { shard: ShardId(4) };
    check(&[(tracked, io::ErrorKind::AlreadyExists, "shard 4 is already tracked")]);
}

#[test]
fn epoch_errors_name_the_epoch_and_keep_their_kind_as_io_errors() {
    let start = EpochStart { epoch: 3, first: 9 };
    let order = "epoch 3 from segment 9 is out of place";
    check(&[(EpochOrder { start }, io::ErrorKind::InvalidData, order)]);
    let stale = StaleEpoch { epoch: 3, latest: 4 };
    check(&[(stale, io::ErrorKind::InvalidInput, "epoch 3 cannot begin: epoch 4")]);
    let unknown = (BeginEpochError::UnknownShard, io::ErrorKind::NotFound, "does not track");
    let refused = BeginEpochError::from(stale);
    check(&[(refused, io::ErrorKind::InvalidInput, "epoch 3 cannot begin"), unknown]);
}

#[test]
fn bookmark_errors_keep_their_kind_as_io_errors() {
    use io::ErrorKind::{NotFound, Other, TimedOut};
    check(&[
        (BookmarkError::Lost, Other, "write it again"),
        (BookmarkError::TooOld, Other, "ask the leader"),
        (BookmarkError::OtherLog, Other, "another log"),
        (BookmarkError::Timeout, TimedOut, "timed out"),
        (BookmarkError::Closed, Other, "closed"),
        (BookmarkError::Removed, Other, "removed"),
        (BookmarkError::UnknownShard, NotFound, "does not track"),
    ]);
}

#[test]
fn errors_convert_into_the_errors_of_larger_calls() {
    assert_eq!(ClaimError::from(FULL), ClaimError::Full(FULL));
    assert_eq!(CompleteError::from(FULL), CompleteError::Full(FULL));
    for (wait, claim) in [
        (WaitError::Timeout, ClaimError::Timeout),
        (WaitError::Closed, ClaimError::Closed),
        (WaitError::Removed, ClaimError::Removed),
        (WaitError::UnknownShard, ClaimError::Removed),
    ] {
        assert_eq!(ClaimError::from(wait), claim);
    }
}

#[test]
fn mark_before_is_the_mark_that_the_advance_found() {
    let outcomes = [
        (Advance::Advanced { from: 3 }, Some(3), true),
        (Advance::Stale { at: 4 }, Some(4), false),
        (Advance::Gap { at: 5 }, Some(5), false),
        (Advance::Removed, None, false),
        (Advance::UnknownShard, None, false),
    ];
    for (outcome, mark, advanced) in outcomes {
        assert_eq!((outcome.mark_before(), outcome.is_advanced()), (mark, advanced));
    }
    let (_state, shard) = crate::single();
    assert_eq!(shard.advance(7).mark_before(), Some(0));
    assert_eq!(shard.advance(6).mark_before(), Some(7));
    assert_eq!(shard.advance_from(9, 10).mark_before(), Some(7));
    assert_eq!(shard.advance(9).mark_before(), Some(7));
}
