//! Remote stores: what becomes of each failure, and that no floor moves before it is known.

mod cut_off;
mod lost;
pub(crate) mod server;
mod starts;
mod waits;

use std::time::Duration;

use repl_checkpoint::{
    CheckpointError, JsonCodec, OnCorrupt, RecoverErrorKind, RemoteCheckpointer, RemoteError,
    RemoteRecovered, Saved, Source, Status, Witness, recover_remote,
};
use repl_core::ShardId;
use smol::block_on;

use self::server::{Client, Fault};

const ONE: ShardId = ShardId(1);

pub(crate) type Recovered = RemoteRecovered<Client>;

pub(crate) fn start(client: &Client) -> Recovered {
    start_with(client, None).unwrap()
}

#[expect(clippy::result_large_err, reason = "the error of recover_remote, as it is")]
fn start_with(client: &Client, at_least: Option<Witness>) -> Result<Recovered, RecoverErrorKind> {
    let client = client.clone();
    block_on(recover_remote(client, JsonCodec, &[ONE], OnCorrupt::Fail, at_least))
}

/// One round of an engine: `None` if there was nothing to save.
pub(crate) fn save(
    checkpointer: &mut RemoteCheckpointer<Client>,
) -> Result<Option<Saved>, CheckpointError> {
    block_on(async {
        match checkpointer.begin().await? {
            Some(attempt) => checkpointer.save(attempt).await.map(Some),
            None => Ok(None),
        }
    })
}

/// Saves marks 1 and 2, so that there are a checkpointed mark and a floor.
fn saved_twice(client: &Client) -> Recovered {
    let mut follower = start(client);
    for mark in [1, 2] {
        follower.state.advance(ONE, mark);
        save(&mut follower.checkpointer).unwrap();
    }
    assert_eq!(marks(&follower), (Some(2), Some(1)));
    follower
}

/// The checkpointed mark and the retention floor.
fn marks(follower: &Recovered) -> (Option<u64>, Option<u64>) {
    let floors = follower.checkpointer.floors();
    (floors.checkpointed(ONE), floors.retention_floor(ONE))
}

fn remote(result: Result<Option<Saved>, CheckpointError>) -> RemoteError {
    match result {
        Err(CheckpointError::Remote(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// The mark that another process finds.
fn found(client: &Client) -> Option<u64> {
    start(client).state.applied_seqno(ONE)
}

/// The error is final: it comes again, nothing is saved and no floor moves.
fn assert_frozen(follower: &mut Recovered, client: &Client, is_it: fn(&RemoteError) -> bool) {
    let (before, floors) = (client.data(), marks(follower));
    follower.state.advance(ONE, 100);
    for _ in 0..2 {
        let error = remote(save(&mut follower.checkpointer));
        assert!(error.is_final() && is_it(&error), "{error:?}");
        assert!(CheckpointError::Remote(error).is_poisoning());
    }
    assert_eq!(marks(follower), floors);
    assert_eq!(client.data(), before);
    let floors = follower.checkpointer.floors();
    assert!(matches!(floors.health().status, Status::Poisoned { .. }));
    assert!(!floors.is_unreferenced(ShardId(77)));
}

fn is_fenced(error: &RemoteError) -> bool {
    matches!(error, RemoteError::Fenced { .. })
}

fn is_regressed(error: &RemoteError) -> bool {
    matches!(error, RemoteError::Regressed { .. })
}

fn is_vanished(error: &RemoteError) -> bool {
    matches!(error, RemoteError::Vanished { .. })
}

#[test]
fn floors_follow_remote_saves_and_a_restart_goes_on_from_the_last_one() {
    let client = Client::new("a");
    let mut follower = start(&client);
    assert!(matches!(follower.report.source, Source::Fresh));
    assert_eq!(marks(&follower), (None, None));
    follower.state.advance(ONE, 1);
    assert!(matches!(save(&mut follower.checkpointer), Ok(Some(Saved::Written(_)))));
    assert_eq!(marks(&follower), (Some(1), None));
    save(&mut follower.checkpointer).unwrap();
    assert_eq!(marks(&follower), (Some(1), Some(1)));
    assert!(save(&mut follower.checkpointer).unwrap().is_none()); // nothing has changed
    assert_eq!(client.saves(), 2);

    let mut again = start(&client);
    assert!(matches!(again.report.source, Source::Resumed { generation: 2 }));
    assert_eq!(again.state.applied_seqno(ONE), Some(1));
    assert_eq!(marks(&again), (None, None));
    save(&mut again.checkpointer).unwrap();
    assert_eq!(marks(&again), (Some(1), None));
}

#[test]
fn a_save_that_was_refused_before_it_was_sent_stays_dirty_and_is_tried_again() {
    let client = Client::new("a");
    let mut follower = saved_twice(&client);
    follower.state.advance(ONE, 3);
    let mut waits = vec![follower.checkpointer.retry_after()];
    for _ in 0..12 {
        client.plant(&[Fault::Unavailable]);
        let error = remote(save(&mut follower.checkpointer));
        assert!(matches!(error, RemoteError::Unavailable { .. }), "{error:?}");
        waits.push(follower.checkpointer.retry_after());
    }
    assert_eq!(marks(&follower), (Some(2), Some(1)));
    let status = follower.checkpointer.floors().health().status;
    assert!(matches!(status, Status::Failing { failures: 12, .. }), "{status:?}");
    assert_eq!(waits[0], Duration::ZERO);
    assert!(waits[1] >= Duration::from_millis(50) && waits[1] <= Duration::from_millis(100));
    assert!(waits[12] >= Duration::from_secs(15) && waits[12] <= Duration::from_secs(30));

    assert!(matches!(save(&mut follower.checkpointer), Ok(Some(Saved::Written(_)))));
    assert_eq!(marks(&follower), (Some(3), Some(2)));
    assert_eq!(follower.checkpointer.retry_after(), Duration::ZERO);
    assert_eq!(found(&client), Some(3));
}

#[test]
fn a_lost_answer_to_a_save_that_is_there_is_settled_as_saved_without_sending_it_again() {
    let client = Client::new("a");
    let mut follower = saved_twice(&client);
    follower.state.advance(ONE, 3);
    client.plant(&[Fault::LostAfter]);
    let error = remote(save(&mut follower.checkpointer));
    assert!(matches!(error, RemoteError::InDoubt { .. }), "{error:?}");
    assert_eq!(marks(&follower), (Some(2), Some(1)));
    let floors = follower.checkpointer.floors();
    assert!(matches!(floors.health().status, Status::InDoubt { .. }), "{floors:?}");
    assert!(!floors.is_unreferenced(ShardId(77)));

    let saves = client.saves();
    let attempt = block_on(follower.checkpointer.begin()).unwrap();
    assert_eq!(marks(&follower), (Some(3), Some(2)));
    assert_eq!(floors.health().status, Status::Good);
    assert_eq!(client.saves(), saves);
    drop(attempt);
    assert!(follower.checkpointer.floors().is_unreferenced(ShardId(77)));
}

#[test]
fn a_lost_save_that_never_came_is_settled_as_not_saved_and_the_marks_are_saved_again() {
    let client = Client::new("a");
    let mut follower = saved_twice(&client);
    follower.state.advance(ONE, 3);
    client.plant(&[Fault::LostBefore]);
    remote(save(&mut follower.checkpointer));
    let attempt = block_on(follower.checkpointer.begin()).unwrap().unwrap();
    assert_eq!(marks(&follower), (Some(2), Some(1)));
    block_on(follower.checkpointer.save(attempt)).unwrap();
    assert_eq!(marks(&follower), (Some(3), Some(2)));
    assert_eq!(found(&client), Some(3));
}

#[test]
fn a_save_that_comes_after_its_doubt_was_settled_changes_nothing() {
    let client = Client::new("a");
    let mut follower = saved_twice(&client);
    follower.state.advance(ONE, 3);
    client.plant(&[Fault::Late]);
    remote(save(&mut follower.checkpointer));
    let attempt = block_on(follower.checkpointer.begin()).unwrap().unwrap();
    let settled = client.data();
    client.deliver();
    assert_eq!(client.data(), settled);
    block_on(follower.checkpointer.save(attempt)).unwrap();
    assert_eq!(marks(&follower), (Some(3), Some(2)));
}

#[test]
fn a_late_save_that_comes_before_the_renewal_counts() {
    let client = Client::new("a");
    let mut follower = saved_twice(&client);
    follower.state.advance(ONE, 3);
    client.plant(&[Fault::Late]);
    remote(save(&mut follower.checkpointer));
    client.deliver();
    drop(block_on(follower.checkpointer.begin()).unwrap());
    assert_eq!(marks(&follower), (Some(3), Some(2)));
}

#[test]
fn a_doubt_stands_until_a_renewal_is_answered_and_late_renewals_change_nothing() {
    let client = Client::new("a");
    let mut follower = saved_twice(&client);
    follower.state.advance(ONE, 3);
    client.plant(&[Fault::LostAfter, Fault::Unavailable, Fault::Late, Fault::LostAfter]);
    for _ in 0..4 {
        remote(save(&mut follower.checkpointer));
        assert_eq!(marks(&follower), (Some(2), Some(1)));
    }
    drop(block_on(follower.checkpointer.begin()).unwrap());
    assert_eq!(marks(&follower), (Some(3), Some(2)));
    client.deliver();
    follower.state.advance(ONE, 4);
    save(&mut follower.checkpointer).unwrap();
    assert_eq!(marks(&follower), (Some(4), Some(3)));
}

#[test]
fn an_answer_to_the_second_of_two_equal_sends_is_settled_as_saved() {
    let client = Client::new("a");
    let mut follower = saved_twice(&client);
    follower.state.advance(ONE, 3);
    client.plant(&[Fault::Twice]);
    let error = remote(save(&mut follower.checkpointer));
    assert!(matches!(error, RemoteError::InDoubt { .. }), "{error:?}");
    drop(block_on(follower.checkpointer.begin()).unwrap());
    assert_eq!(marks(&follower), (Some(3), Some(2)));
}

#[test]
fn the_futures_may_move_between_threads() {
    fn is_send(_: &impl Send) {}
    let client = Client::new("a");
    let mut follower = start(&client);
    is_send(&follower.checkpointer.begin());
    let attempt = block_on(follower.checkpointer.begin()).unwrap().unwrap();
    is_send(&follower.checkpointer.save(attempt));
    is_send(&recover_remote(client, JsonCodec, &[ONE], OnCorrupt::Fail, None));
}
