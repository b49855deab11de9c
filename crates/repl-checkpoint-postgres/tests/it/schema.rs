//! The tables are made on first use, once, and newer ones are left alone.

use repl_checkpoint::{RecoverErrorKind, RemoteError};

use crate::support::server::Server;
use crate::support::{save, start, start_with};

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
