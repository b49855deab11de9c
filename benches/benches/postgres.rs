//! Saves of a `RemoteCheckpointer` to PostgreSQL, vs bare statements that write the same bytes over
//! the same client. The server is started on loopback; its files are in the folder for temporary
//! files, which must be on a disk.
#![expect(clippy::unwrap_used, reason = "a bench may stop")]
#![expect(clippy::print_stdout, reason = "says why it is skipped")]

#[cfg(unix)]
#[expect(dead_code, reason = "the tests also crash it")]
#[path = "../../crates/repl-checkpoint-postgres/tests/it/support/server.rs"]
mod server;

use benches::rounds::{Contender, ROUNDS_OF_SERVERS, contender, criterion_of_servers, rounds_of};
use benches::{dense_ids, state_of};
use criterion::{Criterion, criterion_group, criterion_main};
use repl_checkpoint::{
    Checkpoint, Header, JsonCodec, OnCorrupt, RemoteRecovered, Saved, StoreId, recover_remote,
};
use repl_checkpoint_postgres::PostgresStore;
use repl_core::ShardId;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, Config, NoTls};

const SHARDS: u64 = 64;

/// A row with the newest bytes, and a row of its history.
const UPDATE: &str = "
    with newest as (update bare set generation = $1, bytes = $2 where id = 1 returning id)
    insert into bare_history (id, generation, bytes) select id, $1, $2 from newest";

/// The same, with the bytes in the history alone, as `PostgresStore` keeps them.
const UPDATE_ONCE: &str = "
    with newest as (update once set generation = $1 where id = 1 returning id)
    insert into once_history (id, generation, bytes) select id, $1, $2 from newest";

const TABLES: &str = "
    create table bare (id int8 primary key, generation int8 not null, bytes bytea not null);
    create table bare_history (id int8, generation int8, bytes bytea not null,
        primary key (id, generation));
    insert into bare values (1, 0, '');
    create table once (id int8 primary key, generation int8 not null);
    create table once_history (id int8, generation int8, bytes bytea not null,
        primary key (id, generation));
    insert into once values (1, 0)";

#[cfg(unix)]
fn save(c: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let Some(server) = runtime.block_on(server::Server::start()) else { return };
    save_to(c, &runtime, &server.config());
}

#[cfg(not(unix))]
fn save(_: &mut Criterion) {
    println!("skipped: the server is only started on Unix");
}

fn save_to(c: &mut Criterion, runtime: &Runtime, config: &Config) {
    let ids = dense_ids(SHARDS);
    let store = PostgresStore::new(config.clone(), StoreId(7));
    let recovered = recover_remote(store, JsonCodec, &ids[..], OnCorrupt::Fail, None);
    let mut follower = runtime.block_on(recovered).unwrap();
    let client = runtime.block_on(connected(config));
    let bytes = sealed(&ids);
    let mut at = 1_000_000;
    let contenders = vec![
        contender("ours", |b| {
            b.iter(|| {
                at += 1;
                runtime.block_on(checkpoint(&mut follower, &ids, at));
            });
        }),
        statement("update", runtime, &client, UPDATE, &bytes),
        statement("update_once", runtime, &client, UPDATE_ONCE, &bytes),
    ];
    rounds_of(c, ROUNDS_OF_SERVERS, "postgres_save_64", contenders);
}

async fn connected(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(TABLES).await.unwrap();
    client
}

/// Moves every mark and saves: snapshot, encoding, sealing and one round trip.
async fn checkpoint(follower: &mut RemoteRecovered<PostgresStore>, ids: &[ShardId], at: u64) {
    for id in ids {
        follower.state.advance(*id, at);
    }
    let attempt = follower.checkpointer.begin().await.unwrap().unwrap();
    let saved = follower.checkpointer.save(attempt).await.unwrap();
    assert!(matches!(saved, Saved::Written(_)));
}

/// A statement with the bytes of a save, which is a transaction of its own.
fn statement<'a>(
    name: &'a str,
    runtime: &'a Runtime,
    client: &'a Client,
    sql: &str,
    bytes: &'a [Vec<u8>],
) -> Contender<'a> {
    let statement = runtime.block_on(client.prepare(sql)).unwrap();
    let mut generation = 0;
    let mut bytes = bytes.iter().cycle();
    contender(name, move |b| {
        b.iter(|| {
            generation += 1_i64;
            let bytes = bytes.next().unwrap();
            let rows = runtime.block_on(client.execute(&statement, &[&generation, bytes])).unwrap();
            assert_eq!(rows, 1);
        });
    })
}

/// Sealed checkpoints whose marks differ: PostgreSQL compresses equal bytes well.
fn sealed(ids: &[ShardId]) -> Vec<Vec<u8>> {
    let state = state_of(ids);
    let next = |generation| {
        for id in ids {
            state.advance(*id, 1_000_000 + generation);
        }
        let header = Header { store: StoreId(7), generation, ..Header::default() };
        Checkpoint::of(&state.snapshot()).seal(&JsonCodec, header).unwrap()
    };
    (1..=64).map(next).collect()
}

criterion_group! { name = saves; config = criterion_of_servers(); targets = save }
criterion_main!(saves);
