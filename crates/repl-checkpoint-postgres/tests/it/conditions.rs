//! Each condition of each statement: what it refuses, with all others true.

use std::time::Duration;

use repl_checkpoint::{
    Acquire, JsonCodec, OnCorrupt, RecoverErrorKind, RemoteError, RemoteFailure, RemoteStore,
    StoreId, Witness, recover_remote,
};
use repl_checkpoint_postgres::PostgresStore;
use repl_core::ShardId;

use crate::support::proxy::{Mode, Proxy};
use crate::support::server::Server;
use crate::support::{
    Follower, STORE, assert_frozen, marks, remote, save, start, start_with, stored,
};

fn is_fenced(error: &RemoteError) -> bool {
    matches!(error, RemoteError::Fenced { by, .. } if by == "b")
}

/// Tries until the error is final.
async fn final_error(follower: &mut Follower) -> RemoteError {
    loop {
        let error = remote(save(follower, 3).await);
        if error.is_final() {
            return error;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_that_got_the_same_token_from_a_server_set_back_are_told_apart() {
    for is_in_doubt in [false, true] {
        let Some(mut server) = Server::start().await else { return };
        let proxy = Proxy::to(server.port).await;
        save(&mut start(server.config(), "earlier").await, 1).await.unwrap();
        server.crash();
        server.copy("before");
        server.run().await;
        let mut old = start(proxy.config(server.config()), "a").await;
        if is_in_doubt {
            proxy.set(Mode::CutRequest);
            remote(save(&mut old, 2).await);
        }
        server.crash();
        server.restore("before");
        server.run().await;
        let mut new = start(server.config(), "b").await;
        assert_eq!(new.checkpointer.lease().token, old.checkpointer.lease().token);
        proxy.set(Mode::Pass);
        let error = final_error(&mut old).await;
        assert!(is_fenced(&error), "{error:?}");
        assert_frozen(&mut old, is_fenced).await;
        assert_eq!(stored(&server.client().await).await, 1);
        save(&mut new, 2).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_whose_renewals_were_lost_often_is_fenced_however_high_they_are() {
    let Some(server) = Server::start().await else { return };
    let proxy = Proxy::to(server.port).await;
    let mut old = start(proxy.config(server.config()), "a").await;
    save(&mut old, 1).await.unwrap();
    proxy.set(Mode::DropAnswer);
    remote(save(&mut old, 2).await);
    for _ in 0..4 {
        drop(old.checkpointer.begin().await);
    }
    let before = old.checkpointer.lease();
    let new = start(server.config(), "b").await;
    assert_ne!(new.checkpointer.lease().holder, before.holder);
    proxy.set(Mode::Pass);
    for _ in 0..4 {
        let error = final_error(&mut old).await;
        assert!(is_fenced(&error), "{error:?}");
    }
    assert_eq!(marks(&old), (Some(1), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_is_not_above_the_token_is_refused() {
    let Some(server) = Server::start().await else { return };
    let mut store = PostgresStore::new(server.config(), STORE);
    let held = store.acquire(Acquire::TakeOver { at_least: None }).await.unwrap();
    let renewed = store.acquire(Acquire::Renew { lease: held.lease, token: 5 }).await.unwrap();
    assert_eq!((renewed.lease.holder, renewed.lease.token), (held.lease.holder, 5));
    for token in [1, 4, 5] {
        match store.acquire(Acquire::Renew { lease: held.lease, token }).await {
            Err(RemoteFailure::Refused(Some(found))) => assert_eq!(found, renewed),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_needs_both_the_token_and_the_generation_of_the_witness() {
    let Some(server) = Server::start().await else { return };
    let mut follower = start(server.config(), "a").await;
    save(&mut follower, 1).await.unwrap();
    let Witness { token, generation } = follower.checkpointer.witness();
    let enough = Witness { token, generation };
    for (at_least, is_enough) in [
        (Witness { token: token + 1, generation }, false),
        (Witness { token, generation: generation + 1 }, false),
        (enough, true),
    ] {
        match start_with(server.config(), "b", Some(at_least)).await {
            Ok(_) => assert!(is_enough, "{at_least:?}"),
            Err(RecoverErrorKind::Remote(RemoteError::Regressed { expected, found, .. })) => {
                assert!(!is_enough);
                assert_eq!((expected, found), (at_least, enough));
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_stores_in_one_database_do_not_see_each_other() {
    let Some(server) = Server::start().await else { return };
    let mut one = start(server.config(), "a").await;
    let other = PostgresStore::new(server.config(), StoreId(2));
    let ids = &[ShardId(1)];
    let mut other = recover_remote(other, JsonCodec, ids, OnCorrupt::Fail, None).await.unwrap();
    for mark in 1..=6 {
        save(&mut one, mark).await.unwrap();
    }
    save(&mut other, 60).await.unwrap();
    save(&mut one, 7).await.unwrap();
    let sql = "select array_agg(generation order by store, generation) from repl_generation";
    let kept: Vec<i64> = server.client().await.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(kept, [1, 4, 5, 6, 7]);
}
