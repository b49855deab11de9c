//! Objects that are lost to a process: taken over, put back, deleted, or not to be written.

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStoreExt;
use object_store::aws::S3ConditionalPut;
use object_store::path::Path;
use repl_checkpoint::RemoteError;
use repl_checkpoint_object::BucketError;

use crate::outcomes::{client, direct, found, is_in_doubt, is_unavailable, saved_twice};
use crate::support::proxy::Mode;
use crate::support::server::{BUCKET, Server};
use crate::support::{
    Any, ONE, assert_frozen, bucket_error, marks, overwrite, raw, refused_start, remote, s3, save,
    start, start_with, store,
};

fn is_fenced(error: &RemoteError) -> bool {
    matches!(error, RemoteError::Fenced { .. })
}

fn is_regressed(error: &RemoteError) -> bool {
    matches!(error, RemoteError::Regressed { .. })
}

fn is_vanished(error: &RemoteError) -> bool {
    matches!(error, RemoteError::Vanished { .. })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_taken_over_through_another_gateway_is_fenced_by_name() {
    let Some(server) = Server::shared().await else { return };
    let (_proxy, mut old) = saved_twice(server.gateways()[0], "fenced").await;
    let mut new = start(store(&client(server.gateways()[1], 0), "fenced").named("b")).await;
    save(&mut new, 3).await.unwrap();
    match remote(save(&mut old, 4).await) {
        RemoteError::Fenced { by, since, holder, .. } => {
            assert_eq!((by.as_str(), holder), ("b", new.checkpointer.lease().holder));
            assert!(since.elapsed().unwrap() < Duration::from_secs(600));
        }
        other => panic!("{other:?}"),
    }
    assert_frozen(&mut old, is_fenced).await;
    assert_eq!(marks(&old), (Some(2), Some(1)));
    save(&mut new, 5).await.unwrap();
    assert_eq!(found(&server, "fenced").await, Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doubtful_save_of_a_process_that_was_taken_over_is_fenced() {
    let Some(server) = Server::shared().await else { return };
    let (proxy, mut old) = saved_twice(server.gateways()[0], "doubtful").await;
    proxy.set(Mode::DropAnswers);
    assert!(is_in_doubt(&remote(save(&mut old, 3).await)));
    let new = start(store(&client(server.gateways()[1], 0), "doubtful").named("b")).await;
    assert_eq!(new.state.applied_seqno(ONE), Some(3));
    proxy.set(Mode::Pass);
    assert_frozen(&mut old, is_fenced).await;
    assert_eq!(marks(&old), (Some(2), Some(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_lost_its_last_writes_is_regressed_and_a_witness_shows_it_later() {
    let Some(server) = Server::shared().await else { return };
    let (_proxy, mut follower) = saved_twice(server.gateways()[0], "lost").await;
    let client = direct(&server);
    let before = raw(&client, "lost").await;
    save(&mut follower, 3).await.unwrap();
    let witness = follower.checkpointer.witness();
    overwrite(&client, "lost", before.clone()).await;
    let error = remote(save(&mut follower, 4).await);
    assert!(is_regressed(&error), "{error:?}");
    assert_frozen(&mut follower, is_regressed).await;
    for _ in 0..2 {
        let error = refused_start(start_with(store(&client, "lost"), Some(witness)).await);
        assert!(is_regressed(&error), "{error:?}");
        assert_eq!(raw(&client, "lost").await, before);
    }
    assert_eq!(found(&server, "lost").await, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_was_deleted_has_vanished_and_is_no_fresh_start() {
    let Some(server) = Server::shared().await else { return };
    let (_proxy, mut follower) = saved_twice(server.gateways()[0], "deleted").await;
    let witness = follower.checkpointer.witness();
    let client = direct(&server);
    client.delete(&Path::from("deleted")).await.unwrap();
    let error = remote(save(&mut follower, 3).await);
    assert!(is_vanished(&error), "{error:?}");
    assert_frozen(&mut follower, is_vanished).await;
    let error = refused_start(start_with(store(&client, "deleted"), Some(witness)).await);
    assert!(is_vanished(&error), "{error:?}");
    let found = client.head(&Path::from("deleted")).await;
    assert!(matches!(found, Err(object_store::Error::NotFound { .. })), "{found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_conditional_puts_is_refused_by_name_and_writes_nothing() {
    let Some(server) = Server::shared().await else { return };
    let plain = s3(server.gateways()[0], BUCKET, 0);
    let plain = plain.with_conditional_put(S3ConditionalPut::Disabled).build().unwrap();
    let plain: Any = Arc::new(plain);
    let error = refused_start(start_with(store(&plain, "plain"), None).await);
    assert!(is_unavailable(&error), "{error:?}");
    let why = bucket_error(&error);
    assert!(matches!(why, BucketError::NoConditionalPut { .. }), "{why:?}");
    assert!(direct(&server).head(&Path::from("plain")).await.is_err());
}
