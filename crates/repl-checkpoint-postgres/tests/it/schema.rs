//! The tables are made on first use, once, and again if they were dropped; newer ones are left alone.

use repl_checkpoint::{
    Acquire, RecoverErrorKind, RemoteError, RemoteFailure, RemoteStore, Witness,
};
use repl_checkpoint_postgres::PostgresStore;
use tokio_postgres::Client;

use crate::support::server::Server;
use crate::support::{ONE, STORE, assert_frozen, marks, remote, save, start, start_with, stored};

fn is_vanished(error: &RemoteError) -> bool {
    matches!(error, RemoteError::Vanished { .. })
}

async fn run(client: &Client, sql: &str) {
    client.batch_execute(sql).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_first_uses_at_once_make_the_tables_once() {
    let Some(server) = Server::start().await else { return };
    let starts = (0..8).map(|_| tokio::spawn(start_with(server.config(), "one", None)));
    for start in starts.collect::<Vec<_>>() {
        start.await.unwrap().unwrap();
    }
    let sql = "select token, (select count(*) from repl_schema) from repl_lease";
    let row = server.client().await.query_one(sql, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (8, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_a_newer_version_are_refused_and_left_alone() {
    let Some(server) = Server::start().await else { return };
    let mut follower = start(server.config(), "a").await;
    save(&mut follower, 1).await.unwrap();
    let client = server.client().await;
    client.execute("update repl_schema set version = 1000", &[]).await.unwrap();
    match start_with(server.config(), "a", None).await {
        Err(RecoverErrorKind::Remote(RemoteError::Unavailable { source, .. })) => {
            assert!(source.to_string().contains("version 1000"), "{source}");
        }
        other => panic!("{other:?}"),
    }
    let sql = "select token from repl_lease";
    assert_eq!(client.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_were_dropped_are_a_lost_record_and_are_made_again() {
    let all = "repl_lease, repl_generation, repl_mark";
    // Where `repl_lease` alone is gone, see below.
    for dropped in [all, "repl_lease, repl_generation, repl_schema"] {
        let Some(server) = Server::start().await else { return };
        let mut follower = start(server.config(), "a").await;
        for mark in 1..=3 {
            save(&mut follower, mark).await.unwrap();
        }
        let witness = follower.checkpointer.witness();
        run(&server.client().await, &format!("drop table {dropped}")).await;
        let error = remote(save(&mut follower, 4).await);
        assert!(matches!(error, RemoteError::Unavailable { .. }), "{dropped}: {error:?}");
        let error = remote(save(&mut follower, 4).await);
        assert!(is_vanished(&error), "{dropped}: {error:?}");
        assert_frozen(&mut follower, is_vanished).await;
        match start_with(server.config(), "a", Some(witness)).await {
            Err(RecoverErrorKind::Remote(error)) => assert!(is_vanished(&error), "{error:?}"),
            other => panic!("{dropped}: {other:?}"),
        }
        let mut anew = start(server.config(), "a").await;
        assert_eq!(anew.state.applied_seqno(ONE), Some(0), "{dropped}");
        save(&mut anew, 1).await.unwrap();
        save(&mut anew, 2).await.unwrap();
        assert_eq!(marks(&anew), (Some(2), Some(1)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_newer_than_the_record_are_never_taken_for_nothing() {
    for lost in ["drop table repl_lease", "update repl_lease set generation = 2"] {
        let Some(server) = Server::start().await else { return };
        let mut follower = start(server.config(), "a").await;
        for mark in 1..=3 {
            save(&mut follower, mark).await.unwrap();
        }
        let client = server.client().await;
        run(&client, lost).await;
        if lost.starts_with("drop") {
            remote(save(&mut follower, 4).await); // the tables are gone
            let error = remote(save(&mut follower, 4).await);
            assert!(is_vanished(&error), "{error:?}");
        }
        if lost.starts_with("drop") {
            // Nor is a renewal, which settles a doubt, something that may pass.
            let lease = follower.checkpointer.lease();
            let mut store = PostgresStore::new(server.config(), STORE);
            let renewed = store.acquire(Acquire::Renew { lease, token: lease.token + 1 }).await;
            assert!(matches!(renewed, Err(RemoteFailure::Refused(None))), "{renewed:?}");
        }
        let known = if lost.starts_with("drop") { "is gone" } else { "is of generation 2" };
        for witness in [None, Some(Witness { token: 1, generation: 1 })] {
            match start_with(server.config(), "a", witness).await {
                Err(RecoverErrorKind::Remote(RemoteError::Unavailable { source, .. })) => {
                    let why = source.to_string();
                    let says = ["generation 3", known, "delete its rows in both"];
                    assert!(says.iter().all(|part| why.contains(part)), "{why}");
                }
                other => panic!("{lost}, {witness:?}: {other:?}"),
            }
        }
        let newest = client.query_one("select max(generation) from repl_generation", &[]).await;
        assert_eq!(newest.unwrap().get::<_, i64>(0), 3);
        run(&client, "delete from repl_lease; delete from repl_generation").await;
        let mut anew = start(server.config(), "a").await;
        assert_eq!(anew.state.applied_seqno(ONE), Some(0));
        save(&mut anew, 11).await.unwrap();
        assert_eq!(start(server.config(), "a").await.state.applied_seqno(ONE), Some(11));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_bytes_alone_are_replaced_by_the_next_save() {
    let Some(server) = Server::start().await else { return };
    let mut follower = start(server.config(), "a").await;
    save(&mut follower, 1).await.unwrap();
    let client = server.client().await;
    run(&client, "drop table repl_generation").await;
    remote(save(&mut follower, 2).await);
    save(&mut follower, 3).await.unwrap();
    assert_eq!(start(server.config(), "a").await.state.applied_seqno(ONE), Some(3));
    assert_eq!(stored(&client).await, 3);
}

/// With the rights that the docs of `PostgresStore` name, and no others.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_create_tables_works_where_they_are_there() {
    let Some(server) = Server::start().await else { return };
    save(&mut start(server.config(), "a").await, 1).await.unwrap();
    let docs = include_str!("../../src/store.rs");
    let lines = docs.lines().filter_map(|line| line.strip_prefix("/// "));
    let grants: Vec<&str> = lines.filter(|line| line.starts_with("grant ")).collect();
    assert_eq!(grants.len(), 2);
    let client = server.client().await;
    run(&client, "revoke create on schema public from public; create role follower login").await;
    run(&client, &grants.concat()).await;
    let mut config = server.config();
    config.user("follower");
    let mut follower = start(config.clone(), "b").await;
    save(&mut follower, 2).await.unwrap();
    assert_eq!(start(config.clone(), "b").await.state.applied_seqno(ONE), Some(2));
    // It says so where one is missing, and makes none.
    run(&client, "drop table repl_mark").await;
    match start_with(config, "b", None).await {
        Err(RecoverErrorKind::Remote(RemoteError::Unavailable { source, .. })) => {
            let code = source.downcast_ref::<tokio_postgres::Error>().and_then(|e| e.code());
            let expected = tokio_postgres::error::SqlState::INSUFFICIENT_PRIVILEGE;
            assert_eq!(code, Some(&expected), "{source:?}");
        }
        other => panic!("{other:?}"),
    }
}

/// The commands that docs/backup.md names.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_made_beside_a_follower_and_put_back_by_the_commands_of_the_page() {
    let Some(server) = Server::start().await else { return };
    let page = include_str!("../../../../docs/backup.md");
    let row = page.lines().find(|line| line.starts_with("| PostgreSQL |")).unwrap();
    let commands: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
    let [copy, put_back] = commands[..] else { panic!("{row}") };
    let url = format!("postgres://test@127.0.0.1:{}/postgres", server.config().get_ports()[0]);
    let mut follower = start(server.config(), "a").await;
    for mark in 1..=3 {
        save(&mut follower, mark).await.unwrap();
    }
    server.shell(&copy.replace("DATABASE", &url));
    save(&mut follower, 4).await.unwrap();
    let witness = follower.checkpointer.witness();
    server.shell(&put_back.replace("DATABASE", &url));
    let is_regressed = |error: &RemoteError| matches!(error, RemoteError::Regressed { .. });
    let error = remote(save(&mut follower, 5).await);
    assert!(is_regressed(&error), "{error:?}");
    match start_with(server.config(), "a", Some(witness)).await {
        Err(RecoverErrorKind::Remote(error)) => assert!(is_regressed(&error), "{error:?}"),
        other => panic!("{other:?}"),
    }
    let mut restored = start(server.config(), "a").await;
    assert_eq!(restored.state.applied_seqno(ONE), Some(3));
    save(&mut restored, 4).await.unwrap();
}
