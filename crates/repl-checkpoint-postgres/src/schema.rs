//! The tables, and their migrations.

use repl_checkpoint::RemoteFailure;
use tokio_postgres::Client;

use crate::failure::{cause, unavailable};

/// One entry for each version, from 1. Never changed once it is released.
const MIGRATIONS: [&str; 1] = ["
    create table repl_lease (
        store uuid primary key,
        holder uuid not null,
        token bigint not null,
        generation bigint not null,
        held_by text not null,
        since timestamptz not null
    ) with (fillfactor = 50);
    create table repl_generation (
        store uuid not null,
        slot bigint not null,
        generation bigint not null,
        bytes bytea not null,
        primary key (store, slot)
    ) with (fillfactor = 50);
    create table repl_mark (
        store uuid not null,
        shard numeric(20) not null,
        marks bytea not null,
        primary key (store, shard)
    );
    "];

/// Any number that nothing else locks.
const LOCK: i64 = 0x7265_706c_5f63_6b70;

/// Brings the tables to the newest version. Costs one look if they are there already.
pub(crate) async fn migrate(client: &Client) -> Result<(), RemoteFailure> {
    let sql = "select to_regclass('repl_schema') is not null";
    let is_there: bool = client.query_one(sql, &[]).await.map_err(unavailable)?.get(0);
    if is_there && version(client).await? == MIGRATIONS.len() {
        return Ok(());
    }
    // Under a lock: two first uses at once would both create the tables.
    let begin = format!(
        "begin; select pg_advisory_xact_lock({LOCK}); \
         create table if not exists repl_schema (version int not null);"
    );
    client.batch_execute(&begin).await.map_err(unavailable)?;
    let now = version(client).await?;
    let Some(missing) = MIGRATIONS.get(now..) else {
        let known = MIGRATIONS.len();
        let why = format!("its tables are of version {now}, and this program knows {known}");
        return Err(RemoteFailure::Unavailable(cause(why)));
    };
    for migration in missing {
        client.batch_execute(migration).await.map_err(unavailable)?;
    }
    let end = format!(
        "delete from repl_schema; insert into repl_schema values ({}); commit",
        MIGRATIONS.len()
    );
    client.batch_execute(&end).await.map_err(unavailable)
}

async fn version(client: &Client) -> Result<usize, RemoteFailure> {
    let sql = "select coalesce(max(version), 0) from repl_schema";
    let version: i32 = client.query_one(sql, &[]).await.map_err(unavailable)?.get(0);
    usize::try_from(version).map_err(|error| RemoteFailure::Unavailable(cause(error)))
}
