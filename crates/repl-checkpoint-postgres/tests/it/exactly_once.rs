//! Marks in the caller's own transaction: data and marks commit together, or not at all.

use repl_checkpoint::RemoteError;
use repl_checkpoint_postgres::{MarksError, PostgresMarks, PostgresStore};
use repl_core::{Advance, NewShard, ReplicationState, Shard, ShardId};
use tokio_postgres::{Client, Config};

use crate::support::proxy::{Mode, Proxy};
use crate::support::server::Server;
use crate::support::{ONE, STORE};

async fn marks(config: Config, name: &str) -> PostgresMarks {
    let store = PostgresStore::new(config, STORE).named(name);
    PostgresMarks::take_over(store, None).await.unwrap()
}

async fn with_shards(server: &Server, shards: u64) -> (PostgresMarks, Client) {
    let marks = marks(server.config(), "a").await;
    let mut client = server.client().await;
    client.batch_execute("create table data (shard int8, seqno int8)").await.unwrap();
    let tx = client.transaction().await.unwrap();
    for shard in 1..=shards {
        assert!(marks.add(&tx, NewShard::new(ShardId(shard))).await.unwrap());
        assert!(!marks.add(&tx, NewShard::new(ShardId(shard))).await.unwrap());
    }
    tx.commit().await.unwrap();
    (marks, client)
}

/// A shard whose last acknowledged commit is that of `mark`.
fn live(shard: ShardId, mark: u64) -> Shard {
    let state = ReplicationState::new(&[]);
    state.add_shard(NewShard::new(shard).with_mark(mark)).unwrap()
}

/// Applies one segment, in one transaction with its mark; returns whether the commit was answered.
async fn apply(
    marks: &PostgresMarks,
    client: &mut Client,
    shard: ShardId,
    seqno: u64,
    before_commit: impl FnOnce(),
) -> Result<Advance, MarksError> {
    let tx = client.transaction().await?;
    let advance = marks.apply(&tx, &live(shard, 0), |marks| marks.advance(shard, seqno)).await?;
    if let Advance::Advanced { .. } = advance {
        let row = [i64::try_from(shard.0).unwrap(), i64::try_from(seqno).unwrap()];
        tx.execute("insert into data values ($1, $2)", &[&row[0], &row[1]]).await?;
    }
    before_commit();
    tx.commit().await?;
    Ok(advance)
}

async fn rows(client: &Client) -> Vec<i64> {
    let sql = "select coalesce(array_agg(seqno order by shard, seqno), '{}') from data";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn data_and_marks_commit_together_and_a_segment_is_applied_once() {
    let Some(server) = Server::start().await else { return };
    let (marks, mut client) = with_shards(&server, 1).await;
    for seqno in [1, 1, 2, 1] {
        apply(&marks, &mut client, ONE, seqno, || ()).await.unwrap();
    }
    let tx = client.transaction().await.unwrap();
    marks.apply(&tx, &live(ONE, 0), |marks| marks.advance(ONE, 3)).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(rows(&client).await, [1, 2]);
    assert_eq!(marks.stored(&[ONE]).await.unwrap().applied_seqno(ONE), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_a_commit_is_settled_by_renewal_and_nothing_is_applied_twice() {
    let Some(server) = Server::start().await else { return };
    let (marks, direct) = with_shards(&server, 1).await;
    for (seqno, fault) in [(1, Mode::DropAnswer), (2, Mode::CutRequest), (3, Mode::DropAnswer)] {
        let proxy = Proxy::to(server.port).await;
        let config = proxy.config(server.config());
        let (mut client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let lost = apply(&marks, &mut client, ONE, seqno, || proxy.set(fault)).await;
        assert!(matches!(lost, Err(MarksError::Database(_))), "{lost:?}");
        marks.settle().await.unwrap();
        let mut client = server.client().await;
        let again = apply(&marks, &mut client, ONE, seqno, || ()).await.unwrap();
        let was_there = fault == Mode::DropAnswer;
        assert_eq!(matches!(again, Advance::Stale { .. }), was_there, "{fault:?}: {again:?}");
    }
    assert_eq!(rows(&direct).await, [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_of_an_earlier_holder_is_fenced_and_one_that_holds_the_lease_is_waited_for() {
    let Some(server) = Server::start().await else { return };
    let (old, mut client) = with_shards(&server, 1).await;
    let tx = client.transaction().await.unwrap();
    old.apply(&tx, &live(ONE, 0), |marks| marks.advance(ONE, 1)).await.unwrap();
    let taking = tokio::spawn(marks(server.config(), "b"));
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!taking.is_finished(), "it was taken over under an open transaction");
    tx.commit().await.unwrap();
    let new = taking.await.unwrap();
    assert_eq!(new.stored(&[ONE]).await.unwrap().applied_seqno(ONE), Some(1));
    for _ in 0..2 {
        match apply(&old, &mut client, ONE, 2, || ()).await {
            Err(MarksError::Remote(RemoteError::Fenced { by, .. })) => assert_eq!(by, "b"),
            other => panic!("{other:?}"),
        }
    }
    match old.settle().await {
        Err(MarksError::Remote(error)) => assert!(error.is_final(), "{error:?}"),
        Ok(()) => panic!("a lease of another holder was renewed"),
        Err(error) => panic!("{error:?}"),
    }
    apply(&new, &mut client, ONE, 2, || ()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_begins_before_a_renewal_and_comes_late_is_refused() {
    let Some(server) = Server::start().await else { return };
    let (marks, mut client) = with_shards(&server, 1).await;
    let other = server.client().await;
    other.execute("update repl_lease set token = token + 1", &[]).await.unwrap();
    let late = apply(&marks, &mut client, ONE, 1, || ()).await;
    assert!(matches!(late, Err(MarksError::Renewed)), "{late:?}");
    assert_eq!(rows(&client).await, [0_i64; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lost_acknowledged_commits_is_regressed_and_no_segment_is_left_out() {
    let Some(mut server) = Server::start().await else { return };
    let (marks, mut client) = with_shards(&server, 1).await;
    apply(&marks, &mut client, ONE, 1, || ()).await.unwrap();
    server.crash();
    server.copy("before");
    server.run().await;
    let mut client = server.client().await;
    apply(&marks, &mut client, ONE, 2, || ()).await.unwrap();
    server.crash();
    server.restore("before");
    server.run().await;
    let mut client = server.client().await;
    for _ in 0..2 {
        let tx = client.transaction().await.unwrap();
        match marks.apply(&tx, &live(ONE, 2), |marks| marks.advance(ONE, 3)).await {
            Err(MarksError::Regressed { shard: ONE, committed: 2, found: 1, .. }) => {}
            other => panic!("{other:?}"),
        }
        tx.commit().await.unwrap(); // it has written nothing
        assert_eq!(marks.stored(&[ONE]).await.unwrap().applied_seqno(ONE), Some(1));
    }
    for seqno in [2, 3] {
        apply(&marks, &mut client, ONE, seqno, || ()).await.unwrap();
    }
    assert_eq!(rows(&client).await, [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lost_a_takeover_or_a_renewal_is_regressed_and_takes_no_marks() {
    let Some(mut server) = Server::start().await else { return };
    let (old, client) = with_shards(&server, 1).await;
    drop(client);
    server.crash();
    server.copy("before");
    server.run().await;
    old.settle().await.unwrap(); // renews
    let new = marks(server.config(), "b").await;
    server.crash();
    server.restore("before");
    server.run().await;
    for marks in [&old, &new] {
        let mut client = server.client().await;
        match apply(marks, &mut client, ONE, 1, || ()).await {
            Err(MarksError::Remote(RemoteError::Regressed { expected, found, .. })) => {
                assert!(found.token < expected.token);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(rows(&client).await, [0_i64; 0]);
    }
    // The server gives the token of the lost takeover again, to another holder.
    let third = marks(server.config(), "c").await;
    assert_eq!(third.witness().token + 1, new.witness().token);
    third.settle().await.unwrap();
    match apply(&new, &mut server.client().await, ONE, 1, || ()).await {
        Err(MarksError::Remote(RemoteError::Fenced { by, .. })) => assert_eq!(by, "c"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_transaction_that_moves_the_same_shard_waits_for_the_first() {
    let Some(server) = Server::start().await else { return };
    let (marks, mut client) = with_shards(&server, 1).await;
    let tx = client.transaction().await.unwrap();
    marks
        .apply(&tx, &live(ONE, 0), |marks| marks.shard(ONE).unwrap().complete(2..=2))
        .await
        .unwrap();
    let mut second = server.client().await;
    let other = apply(&marks, &mut second, ONE, 1, || ());
    let commit = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        tx.commit().await.unwrap();
    };
    let (advance, ()) = tokio::join!(other, commit);
    assert!(matches!(advance, Ok(Advance::Advanced { from: 0 })), "{advance:?}");
    assert_eq!(marks.stored(&[ONE]).await.unwrap().applied_seqno(ONE), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn appliers_of_two_shards_do_not_wait_for_each_other() {
    let Some(server) = Server::start().await else { return };
    let (marks, mut client) = with_shards(&server, 2).await;
    let tx = client.transaction().await.unwrap();
    marks.apply(&tx, &live(ONE, 0), |marks| marks.advance(ONE, 1)).await.unwrap();
    let mut second = server.client().await;
    let other = apply(&marks, &mut second, ShardId(2), 1, || ());
    tokio::time::timeout(std::time::Duration::from_secs(20), other).await.unwrap().unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_was_never_added_or_a_record_that_is_gone_is_no_fresh_start() {
    let Some(server) = Server::start().await else { return };
    let (marks, mut client) = with_shards(&server, 1).await;
    let unknown = apply(&marks, &mut client, ShardId(9), 1, || ()).await;
    assert!(matches!(unknown, Err(MarksError::UnknownShard { shard: ShardId(9) })));
    client.execute("delete from repl_lease", &[]).await.unwrap();
    let vanished = apply(&marks, &mut client, ONE, 1, || ()).await;
    let is_it = |error: &RemoteError| matches!(error, RemoteError::Vanished { .. });
    assert!(matches!(&vanished, Err(MarksError::Remote(error)) if is_it(error)), "{vanished:?}");
}
