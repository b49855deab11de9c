//! What becomes of a save when connections, servers and answers are lost.

use std::time::Duration;

use repl_checkpoint::{RecoverErrorKind, RemoteError, Saved};
use tokio::time::timeout;

use crate::support::proxy::{Mode, Proxy};
use crate::support::server::Server;
use crate::support::{
    Follower, assert_frozen, marks, remote, save, save_in_the_end, start, start_with, stored,
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

fn is_in_doubt(error: &RemoteError) -> bool {
    matches!(error, RemoteError::InDoubt { .. })
}

/// A follower behind a proxy that has saved marks 1 and 2.
async fn saved_twice(server: &Server) -> (Proxy, Follower) {
    let proxy = Proxy::to(server.port).await;
    let mut follower = start(proxy.config(server.config()), "a").await;
    save(&mut follower, 1).await.unwrap();
    save(&mut follower, 2).await.unwrap();
    assert_eq!(marks(&follower), (Some(2), Some(1)));
    (proxy, follower)
}

/// The mark that a new process finds.
async fn found(server: &Server) -> Option<u64> {
    start(server.config(), "later").await.state.applied_seqno(crate::support::ONE)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_from_the_last_save_and_n_generations_are_kept() {
    let Some(server) = Server::start().await else { return };
    let mut follower = start(server.config(), "a").await;
    for mark in 1..=9 {
        assert!(matches!(save(&mut follower, mark).await, Ok(Some(Saved::Written(_)))));
    }
    assert_eq!(marks(&follower), (Some(9), Some(8)));
    let sql = "select array_agg(generation order by generation) from repl_generation";
    let kept: Vec<i64> = server.client().await.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(kept, [6, 7, 8, 9]);
    let witness = follower.checkpointer.witness();
    let again = start_with(server.config(), "a", Some(witness)).await.unwrap();
    assert_eq!(again.state.applied_seqno(crate::support::ONE), Some(9));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_is_unavailable_and_the_marks_stay_dirty() {
    let Some(mut server) = Server::start().await else { return };
    let (_proxy, mut follower) = saved_twice(&server).await;
    server.crash();
    tokio::time::sleep(Duration::from_millis(100)).await; // the end of the connection arrives
    for _ in 0..2 {
        let error = remote(save(&mut follower, 3).await);
        assert!(matches!(error, RemoteError::Unavailable { .. }), "{error:?}");
    }
    assert_eq!(marks(&follower), (Some(2), Some(1)));
    assert!(follower.checkpointer.retry_after() > Duration::ZERO);
    server.run().await;
    save(&mut follower, 3).await.unwrap();
    assert_eq!(marks(&follower), (Some(3), Some(2)));
    assert_eq!(found(&server).await, Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_cut_within_a_save_is_in_doubt_and_settled_as_not_saved() {
    let Some(server) = Server::start().await else { return };
    let (proxy, mut follower) = saved_twice(&server).await;
    proxy.set(Mode::CutRequest);
    let error = remote(save(&mut follower, 3).await);
    assert!(is_in_doubt(&error), "{error:?}");
    proxy.set(Mode::Pass);
    let attempt = follower.checkpointer.begin().await.unwrap().unwrap();
    assert_eq!(marks(&follower), (Some(2), Some(1)));
    assert_eq!(stored(&server.client().await).await, 2);
    follower.checkpointer.save(attempt).await.unwrap();
    assert_eq!(marks(&follower), (Some(3), Some(2)));
    assert_eq!(found(&server).await, Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_whose_answer_was_dropped_is_in_doubt_and_settled_as_saved() {
    let Some(server) = Server::start().await else { return };
    let (proxy, mut follower) = saved_twice(&server).await;
    proxy.set(Mode::DropAnswer);
    let error = remote(save(&mut follower, 3).await);
    assert!(is_in_doubt(&error), "{error:?}");
    assert_eq!(marks(&follower), (Some(2), Some(1)));
    proxy.set(Mode::Pass);
    assert!(follower.checkpointer.begin().await.unwrap().is_some()); // the floor lags by one
    assert_eq!(marks(&follower), (Some(3), Some(2)));
    assert_eq!(stored(&server.client().await).await, 3);
    assert_eq!(found(&server).await, Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_that_reaches_a_slow_server_after_its_doubt_was_settled_changes_nothing() {
    let Some(server) = Server::start().await else { return };
    let (proxy, mut follower) = saved_twice(&server).await;
    proxy.set(Mode::HoldRequests);
    let slow = timeout(Duration::from_millis(200), save(&mut follower, 3)).await;
    assert!(slow.is_err());
    assert_eq!(marks(&follower), (Some(2), Some(1)));
    assert!(!follower.checkpointer.floors().is_unreferenced(repl_core::ShardId(77)));

    let attempt = follower.checkpointer.begin().await.unwrap().unwrap();
    assert_eq!(marks(&follower), (Some(2), Some(1)));
    let client = server.client().await;
    proxy.set(Mode::Pass);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(stored(&client).await, 2, "it came, and was refused");
    follower.checkpointer.save(attempt).await.unwrap();
    assert_eq!(marks(&follower), (Some(3), Some(2)));
    assert_eq!(found(&server).await, Some(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_that_waits_in_the_server_is_waited_for_by_the_renewal() {
    let Some(server) = Server::start().await else { return };
    let (_proxy, mut follower) = saved_twice(&server).await;
    let mut client = server.client().await;
    let lock = client.transaction().await.unwrap();
    lock.execute("select from repl_lease for update", &[]).await.unwrap();
    let slow = timeout(Duration::from_millis(300), save(&mut follower, 3)).await;
    assert!(slow.is_err());
    let begin = follower.checkpointer.begin();
    let release = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        lock.commit().await.unwrap();
    };
    let (settled, ()) = tokio::join!(begin, release);
    drop(settled.unwrap());
    let is_there = stored(&client).await == 3;
    assert_eq!(marks(&follower).0 == Some(3), is_there);
    save(&mut follower, 4).await.unwrap();
    assert_eq!(found(&server).await, Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_during_saves_loses_no_acknowledged_mark() {
    let Some(mut server) = Server::start().await else { return };
    let (_proxy, mut follower) = saved_twice(&server).await;
    let mut mark = 2;
    for round in 0..4 {
        let saves = async {
            loop {
                mark += 1;
                if let Err(error) = save(&mut follower, mark).await {
                    break error;
                }
            }
        };
        let kill = async {
            tokio::time::sleep(Duration::from_millis(40 + 17 * round)).await;
            tokio::task::block_in_place(|| server.crash());
        };
        let (error, ()) = tokio::join!(saves, kill);
        assert!(!error.is_poisoning(), "{error:?}");
        let acknowledged = marks(&follower).0.unwrap();
        server.run().await;
        save_in_the_end(&mut follower, mark).await;
        assert!(marks(&follower).0.unwrap() >= acknowledged);
    }
    assert_eq!(found(&server).await, Some(mark));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_taken_over_is_fenced_by_name() {
    let Some(server) = Server::start().await else { return };
    let (proxy, mut old) = saved_twice(&server).await;
    proxy.set(Mode::DropAnswer);
    let mut doubtful = start(server.config(), "b").await;
    save(&mut doubtful, 3).await.unwrap();
    proxy.set(Mode::Pass);
    match remote(save(&mut old, 4).await) {
        RemoteError::Fenced { by, since, .. } => {
            assert_eq!(by, "b");
            assert!(since.elapsed().unwrap() < Duration::from_secs(600));
        }
        other => panic!("{other:?}"),
    }
    assert_frozen(&mut old, is_fenced).await;
    assert_eq!(marks(&old), (Some(2), Some(1)));
    save(&mut doubtful, 5).await.unwrap();
    assert_eq!(found(&server).await, Some(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_lost_its_last_commits_is_regressed_and_a_witness_shows_it_later() {
    let Some(mut server) = Server::start().await else { return };
    let (_proxy, mut follower) = saved_twice(&server).await;
    server.crash();
    server.copy("before");
    server.run().await;
    save_in_the_end(&mut follower, 3).await;
    let witness = follower.checkpointer.witness();
    server.crash();
    server.restore("before");
    server.run().await;
    assert_eq!(stored(&server.client().await).await, 2);
    let error = loop {
        let error = remote(save(&mut follower, 4).await);
        if error.is_final() {
            break error;
        }
    };
    assert!(is_regressed(&error), "{error:?}");
    assert_frozen(&mut follower, is_regressed).await;
    for _ in 0..2 {
        match start_with(server.config(), "a", Some(witness)).await {
            Err(RecoverErrorKind::Remote(error)) => assert!(is_regressed(&error), "{error:?}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(found(&server).await, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_gone_has_vanished_and_is_no_fresh_start() {
    let Some(server) = Server::start().await else { return };
    let (_proxy, mut follower) = saved_twice(&server).await;
    let witness = follower.checkpointer.witness();
    let client = server.client().await;
    client.batch_execute("delete from repl_lease; delete from repl_generation").await.unwrap();
    let error = remote(save(&mut follower, 3).await);
    assert!(is_vanished(&error), "{error:?}");
    assert_frozen(&mut follower, is_vanished).await;
    match start_with(server.config(), "a", Some(witness)).await {
        Err(RecoverErrorKind::Remote(error)) => assert!(is_vanished(&error), "{error:?}"),
        other => panic!("{other:?}"),
    }
    let sql = "select count(*) from repl_lease";
    let records: i64 = client.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!(records, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_gone_are_named_and_the_store_goes_on_once_they_are_back() {
    let Some(server) = Server::start().await else { return };
    let (_proxy, follower) = saved_twice(&server).await;
    let client = server.client().await;
    let away = "create table away as select * from repl_generation; delete from repl_generation";
    client.batch_execute(away).await.unwrap();
    match start_with(server.config(), "a", Some(follower.checkpointer.witness())).await {
        Err(RecoverErrorKind::Remote(error)) => {
            let is_named = matches!(error, RemoteError::Vanished { generation: Some(2), .. });
            assert!(is_named && error.to_string().contains("the rows of repl_generation"));
        }
        other => panic!("{other:?}"),
    }
    let back = "insert into repl_generation select * from away";
    client.batch_execute(back).await.unwrap();
    assert_eq!(found(&server).await, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_saves_between_two_vacuums_leave_nothing_to_read_past() {
    let Some(server) = Server::start().await else { return };
    let mut follower = start(server.config(), "a").await;
    let client = server.client().await;
    let off = "alter table repl_generation set (autovacuum_enabled = off);
        alter table repl_lease set (autovacuum_enabled = off)";
    client.batch_execute(off).await.unwrap();
    for mark in 1..=400 {
        save(&mut follower, mark).await.unwrap();
    }
    let pages = "select (pg_relation_size('repl_generation') + pg_indexes_size('repl_generation')
        + pg_relation_size('repl_lease') + pg_indexes_size('repl_lease')) / 8192";
    let pages: i64 = client.query_one(pages, &[]).await.unwrap().get(0);
    // Each index has a page of its own about it and one of entries.
    assert!(pages <= 6, "{pages} pages");
}
