//! A commit that the synchronous standby has not confirmed is in doubt.

use std::time::{Duration, Instant};

use repl_checkpoint::RemoteError;

use crate::support::server::Server;
use crate::support::{marks, remote, save, start};

#[tokio::test(flavor = "multi_thread")]
async fn a_save_that_stopped_waiting_for_the_standby_is_in_doubt() {
    let Some(server) = Server::start().await else { return };
    let mut follower = start(server.config(), "a").await;
    save(&mut follower, 1).await.unwrap();
    let client = server.client().await;
    set_standby(&client, "nobody").await;
    let cancel = async {
        let sql =
            "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'";
        let deadline = Instant::now() + Duration::from_secs(60);
        while client.query(sql, &[]).await.unwrap().is_empty() {
            assert!(Instant::now() < deadline, "the save does not wait for the standby");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let (saved, ()) = tokio::join!(save(&mut follower, 2), cancel);
    let error = remote(saved);
    assert!(matches!(error, RemoteError::InDoubt { .. }), "{error:?}");
    assert_eq!(marks(&follower), (Some(1), None));
    set_standby(&client, "").await;
    drop(follower.checkpointer.begin().await.unwrap());
    assert_eq!(marks(&follower), (Some(2), Some(1)));
}

async fn set_standby(client: &tokio_postgres::Client, name: &str) {
    let sql = format!("alter system set synchronous_standby_names = '{name}'");
    client.batch_execute(&sql).await.unwrap();
    client.batch_execute("select pg_reload_conf()").await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await; // every backend reads it
}
