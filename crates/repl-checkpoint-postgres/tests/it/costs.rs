//! What saves cost a server: docs/remote.md computes with these figures.

use std::time::{Duration, Instant};

use repl_checkpoint::{JsonCodec, OnCorrupt, RemoteRecovered, Saved, StoreId, recover_remote};
use repl_checkpoint_postgres::{PostgresMarks, PostgresStore};
use repl_core::{NewShard, ReplicationState, ShardId};
use tokio_postgres::{Client, Config};

use crate::support::STORE;
use crate::support::server::Server;

const SHARDS: u64 = 1000;
const ROUNDS: u64 = 200;
const FOLLOWERS: u64 = 16;
const IN_A_BATCH: u64 = 100;
const MOVED: u64 = 10;

/// The statement of a save, without its conditions.
const SAVE: &str = "
    with held as (update repl_lease set generation = $2 where store = $1::text::uuid returning store)
    insert into repl_generation (store, slot, generation, bytes) select store, $2 % 4, $2, $3 from held
        on conflict (store, slot) do update
            set generation = excluded.generation, bytes = excluded.bytes";

fn ids() -> Vec<ShardId> {
    (0..SHARDS).map(ShardId).collect()
}

async fn follower(config: Config, id: u128) -> RemoteRecovered<PostgresStore> {
    let store = PostgresStore::new(config, StoreId(id));
    recover_remote(store, JsonCodec, &ids()[..], OnCorrupt::Fail, None).await.unwrap()
}

/// Marks far apart, of six or seven digits: PostgreSQL compresses equal ones well.
fn mark(id: ShardId, round: u64) -> u64 {
    round + id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 5_000_000
}

/// Moves every mark and saves `rounds` times; returns the bytes of a save.
async fn saves(follower: &mut RemoteRecovered<PostgresStore>, rounds: u64) -> u64 {
    let mut bytes = 0;
    let from = follower.state.applied_seqno(ShardId(0)).unwrap();
    for round in 1..=rounds {
        for id in ids() {
            follower.state.advance(id, mark(id, from + round));
        }
        let attempt = follower.checkpointer.begin().await.unwrap().unwrap();
        match follower.checkpointer.save(attempt).await.unwrap() {
            Saved::Written(report) => bytes = report.bytes,
            Saved::Unchanged => panic!("every mark moved"),
        }
    }
    bytes
}

/// The bytes of log that the server has written so far.
async fn wal(client: &Client) -> u64 {
    let sql = "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::int8";
    let bytes: i64 = client.query_one(sql, &[]).await.unwrap().get(0);
    bytes.unsigned_abs()
}

/// Prints what `saves` saves cost each.
fn print(what: &str, saves: u64, time: Duration, wal: u64) {
    let each = time.as_nanos() / u128::from(saves);
    let (us, in_a_second) = (each / 1000, 1_000_000_000 / each);
    println!("{what}: {us} us, {in_a_second} a second, {} bytes of WAL", wal / saves);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures: run it alone, optimized"]
async fn what_a_save_of_1000_shards_costs() {
    let Some(server) = Server::start().await else { return };
    let client = server.client().await;
    let mut one = follower(server.config(), 1).await;
    let bytes = saves(&mut one, 20).await;
    println!("a save of {SHARDS} shards: {bytes} bytes of JSON");

    let (before, began) = (wal(&client).await, Instant::now());
    saves(&mut one, ROUNDS).await;
    print("one follower", ROUNDS, began.elapsed(), wal(&client).await - before);

    let mut many = Vec::new();
    for id in 1..=FOLLOWERS {
        let mut follower = follower(server.config(), u128::from(id + 100)).await;
        saves(&mut follower, 8).await;
        many.push(follower);
    }
    let (before, began) = (wal(&client).await, Instant::now());
    let running = many
        .into_iter()
        .map(|mut follower| tokio::spawn(async move { saves(&mut follower, ROUNDS).await }));
    for running in running.collect::<Vec<_>>() {
        running.await.unwrap();
    }
    let (time, wal_now) = (began.elapsed(), wal(&client).await);
    print(&format!("{FOLLOWERS} at once"), ROUNDS * FOLLOWERS, time, wal_now - before);
    batches(&server).await;
    changes(&server).await;
}

/// Saves of many followers in one transaction, as a process that has them all could commit them.
async fn batches(server: &Server) {
    let mut client = server.client().await;
    for id in 1..=IN_A_BATCH {
        drop(follower(server.config(), u128::from(id + 1000)).await);
    }
    let kept = "select bytes from repl_generation order by octet_length(bytes) desc limit 1";
    let bytes: Vec<u8> = client.query_one(kept, &[]).await.unwrap().get(0);
    let save = client.prepare(SAVE).await.unwrap();
    let mut cost = (Duration::ZERO, 0);
    for round in 1..=12_i64 {
        let (before, began) = (wal(&client).await, Instant::now());
        let tx = client.transaction().await.unwrap();
        for id in 1..=IN_A_BATCH {
            let store = StoreId(u128::from(id + 1000)).to_string();
            tx.execute(&save, &[&store, &round, &bytes]).await.unwrap();
        }
        tx.commit().await.unwrap();
        if round > 4 {
            cost = (cost.0 + began.elapsed(), cost.1 + wal(&client).await - before);
        }
    }
    print(&format!("{IN_A_BATCH} in a transaction"), 8 * IN_A_BATCH, cost.0, cost.1);
}

/// Transactions that move some of the marks, each in a row of its own.
async fn changes(server: &Server) {
    let store = PostgresStore::new(server.config(), STORE);
    let marks = PostgresMarks::take_over(store, None).await.unwrap();
    let state = ReplicationState::new(&ids());
    let mut client = server.client().await;
    let tx = client.transaction().await.unwrap();
    for id in ids() {
        marks.add(&tx, NewShard::new(id).with_mark(1_000_000)).await.unwrap();
    }
    tx.commit().await.unwrap();
    let (before, began) = (wal(&client).await, Instant::now());
    for round in 1..=ROUNDS {
        let tx = client.transaction().await.unwrap();
        for n in 0..MOVED {
            let shard = state.shard(ShardId((round * MOVED + n) % SHARDS)).unwrap();
            let next = 1_000_000 + round;
            marks.apply(&tx, &shard, |marks| marks.advance(shard.id(), next)).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    let cost = wal(&client).await - before;
    print(&format!("{MOVED} marks in a transaction"), ROUNDS, began.elapsed(), cost);
}
