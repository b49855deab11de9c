//! What becomes of a save when connections, servers, answers and objects are lost.

use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path;
use repl_checkpoint::{RemoteError, Saved};
use repl_checkpoint_object::BucketStore;
use tokio::time::timeout;

use crate::support::proxy::{Mode, Proxy};
use crate::support::server::{BUCKET, Server};
use crate::support::{
    Any, Follower, ONE, STORE, generations, marks, raw, remote, s3, save, save_in_the_end, start,
    start_with, store,
};

pub(crate) fn is_in_doubt(error: &RemoteError) -> bool {
    matches!(error, RemoteError::InDoubt { .. })
}

pub(crate) fn is_unavailable(error: &RemoteError) -> bool {
    matches!(error, RemoteError::Unavailable { .. })
}

pub(crate) fn client(port: u16, retries: usize) -> Any {
    Arc::new(s3(port, BUCKET, retries).build().unwrap())
}

/// A client past the proxy.
pub(crate) fn direct(server: &Server) -> Any {
    client(server.gateways()[0], 3)
}

/// A follower behind a proxy that has saved marks 1 and 2.
pub(crate) async fn saved_twice(port: u16, path: &str) -> (Proxy, Follower) {
    let proxy = Proxy::to(port).await;
    let store = store(&client(proxy.port, 0), path).named("a");
    (proxy, saved(store).await)
}

pub(crate) async fn saved(store: BucketStore) -> Follower {
    let mut follower = start(store).await;
    save(&mut follower, 1).await.unwrap();
    save(&mut follower, 2).await.unwrap();
    assert_eq!(marks(&follower), (Some(2), Some(1)));
    follower
}

/// The mark that a new process finds, through the other gateway.
pub(crate) async fn found(server: &Server, path: &str) -> Option<u64> {
    let client = client(server.gateways()[1], 3);
    start(store(&client, path).named("later")).await.state.applied_seqno(ONE)
}

/// The newest generation of the object, by a look past the store.
pub(crate) async fn stored(server: &Server, path: &str) -> u64 {
    generations(&raw(&direct(server), path).await)[0]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_from_the_last_save_and_two_generations_are_kept() {
    let Some(server) = Server::shared().await else { return };
    let mut follower = start(store(&direct(&server), "restart")).await;
    for mark in 1..=5 {
        assert!(matches!(save(&mut follower, mark).await, Ok(Some(Saved::Written(_)))));
    }
    assert_eq!(marks(&follower), (Some(5), Some(4)));
    assert_eq!(generations(&raw(&direct(&server), "restart").await), [5, 4]);
    let witness = follower.checkpointer.witness();
    let again = start_with(store(&direct(&server), "restart"), Some(witness)).await.unwrap();
    assert_eq!(again.state.applied_seqno(ONE), Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_is_unavailable_and_the_marks_stay_dirty() {
    let Some(server) = Server::shared().await else { return };
    let (mut proxy, mut follower) = saved_twice(server.gateways()[0], "refused").await;
    proxy.refuse().await;
    for _ in 0..2 {
        let error = remote(save(&mut follower, 3).await);
        assert!(is_unavailable(&error), "{error:?}");
    }
    assert_eq!(marks(&follower), (Some(2), Some(1)));
    assert!(follower.checkpointer.retry_after() > Duration::ZERO);
    proxy.accept().await;
    save(&mut follower, 3).await.unwrap();
    assert_eq!(marks(&follower), (Some(3), Some(2)));
    assert_eq!(found(&server, "refused").await, Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_of_a_client_that_retries_is_in_doubt_once() {
    let Some(server) = Server::shared().await else { return };
    let mut proxy = Proxy::to(server.gateways()[0]).await;
    let store = BucketStore::new(client(proxy.port, 1), Path::from("doubted"), STORE);
    let mut follower = saved(store).await;
    proxy.refuse().await;
    let error = remote(save(&mut follower, 3).await);
    assert!(is_in_doubt(&error), "{error:?}");
    let error = remote(save(&mut follower, 3).await);
    assert!(is_unavailable(&error), "{error:?}");
    assert_eq!(marks(&follower), (Some(2), Some(1)));
    proxy.accept().await;
    save(&mut follower, 3).await.unwrap();
    assert_eq!(marks(&follower), (Some(3), Some(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_within_a_save_is_in_doubt_and_settled_as_not_saved() {
    let Some(server) = Server::shared().await else { return };
    let (proxy, mut follower) = saved_twice(server.gateways()[0], "cut").await;
    proxy.set(Mode::CutRequest);
    let error = remote(save(&mut follower, 3).await);
    assert!(is_in_doubt(&error), "{error:?}");
    proxy.set(Mode::Pass);
    let attempt = follower.checkpointer.begin().await.unwrap().unwrap();
    assert_eq!(marks(&follower), (Some(2), Some(1)));
    assert_eq!(stored(&server, "cut").await, 2);
    follower.checkpointer.save(attempt).await.unwrap();
    assert_eq!(marks(&follower), (Some(3), Some(2)));
    assert_eq!(found(&server, "cut").await, Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_whose_answer_was_dropped_is_in_doubt_and_settled_as_saved() {
    let Some(server) = Server::shared().await else { return };
    let (proxy, mut follower) = saved_twice(server.gateways()[0], "dropped").await;
    proxy.set(Mode::DropAnswers);
    let error = remote(save(&mut follower, 3).await);
    assert!(is_in_doubt(&error), "{error:?}");
    assert_eq!(marks(&follower), (Some(2), Some(1)));
    proxy.set(Mode::Pass);
    assert!(follower.checkpointer.begin().await.unwrap().is_some()); // the floor lags by one
    assert_eq!(marks(&follower), (Some(3), Some(2)));
    assert_eq!(stored(&server, "dropped").await, 3);
    assert_eq!(found(&server, "dropped").await, Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_a_save_again_after_a_lost_answer_has_saved_it() {
    let Some(server) = Server::shared().await else { return };
    let proxy = Proxy::to(server.gateways()[0]).await;
    let retrying = client(proxy.port, 3);
    let at = || BucketStore::new(Arc::clone(&retrying), Path::from("again"), STORE);
    let mut follower = saved(at()).await;
    for mark in 3..6 {
        proxy.set(Mode::DropAnswer);
        save(&mut follower, mark).await.unwrap();
        assert_eq!(marks(&follower), (Some(mark), Some(mark - 1)));
        assert_eq!(stored(&server, "again").await, mark);
    }
    // The same for the write of a takeover: the answer to its read has passed by then.
    let before = follower.checkpointer.lease().token;
    proxy.set(Mode::DropAnswer);
    let follower = start(at()).await;
    assert!(follower.checkpointer.lease().token > before);
    assert_eq!(follower.state.applied_seqno(ONE), Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_that_reaches_a_slow_server_after_its_doubt_was_settled_changes_nothing() {
    let Some(server) = Server::shared().await else { return };
    let (proxy, mut follower) = saved_twice(server.gateways()[0], "slow").await;
    proxy.set(Mode::HoldRequest);
    let slow = timeout(Duration::from_millis(200), save(&mut follower, 3)).await;
    assert!(slow.is_err());
    assert_eq!(marks(&follower), (Some(2), Some(1)));
    assert!(!follower.checkpointer.floors().is_unreferenced(repl_core::ShardId(77)));

    let attempt = follower.checkpointer.begin().await.unwrap().unwrap();
    assert_eq!(marks(&follower), (Some(2), Some(1)));
    let settled = raw(&direct(&server), "slow").await;
    proxy.set(Mode::Pass);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(raw(&direct(&server), "slow").await, settled, "it came, and was refused");
    follower.checkpointer.save(attempt).await.unwrap();
    assert_eq!(marks(&follower), (Some(3), Some(2)));
    assert_eq!(found(&server, "slow").await, Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_within_a_save_loses_no_mark_and_moves_no_floor_early() {
    let Some(mut server) = Server::start().await else { return };
    let [first, second] = server.gateways();
    let mut follower = saved(store(&client(second, 0), "killed")).await;
    // The gateway, a part of a millisecond up to some milliseconds after the save was sent.
    let mut mark = 2;
    for round in 0..8 {
        mark += 1;
        let before = marks(&follower);
        let save = save(&mut follower, mark);
        let kill = async {
            tokio::time::sleep(Duration::from_micros(300 << round)).await;
            server.kill_gateway();
        };
        let (result, ()) = tokio::join!(save, kill);
        if result.is_err() {
            let error = remote(result);
            assert!(is_in_doubt(&error) || is_unavailable(&error), "{error:?}");
            assert_eq!(marks(&follower), before);
        }
        server.run_gateway().await.unwrap();
        save_in_the_end(&mut follower, mark).await;
        assert_eq!(marks(&follower).0, Some(mark));
    }
    // And all of it.
    let save = save(&mut follower, mark + 1);
    let kill = async {
        tokio::time::sleep(Duration::from_millis(2)).await;
        server.kill();
    };
    let (_, ()) = tokio::join!(save, kill);
    server.run().await.unwrap();
    save_in_the_end(&mut follower, mark + 1).await;
    assert_eq!(marks(&follower).0, Some(mark + 1));
    let after = start(store(&client(first, 3), "killed")).await;
    assert_eq!(after.state.applied_seqno(ONE), Some(mark + 1));
}
