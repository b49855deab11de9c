//! The tables, and their migrations.

use repl_checkpoint::RemoteFailure;
use tokio_postgres::Client;

use crate::failure::{cause, unavailable};

/// Whether every table is in the search path.
const ARE_THERE: &str = "
    select bool_and(to_regclass(name) is not null)
    from unnest(array['repl_schema', 'repl_lease', 'repl_generation', 'repl_mark']) name";

/// One entry for each version, from 1. Never changed once it is released. Each changes nothing where
/// it was carried out before: a table that was dropped is made again by all of them.
const MIGRATIONS: [&str; 1] = ["
    create table if not exists repl_lease (
        store uuid primary key,
        holder uuid not null,
        token bigint not null,
        generation bigint not null,
        held_by text not null,
        since timestamptz not null
    ) with (fillfactor = 50);
    create table if not exists repl_generation (
        store uuid not null,
        slot bigint not null,
        generation bigint not null,
        bytes bytea not null,
        primary key (store, slot)
    ) with (fillfactor = 50);
    create table if not exists repl_mark (
        store uuid not null,
        shard numeric(20) not null,
        marks bytea not null,
        primary key (store, shard)
    );
    "];

/// Any number that nothing else locks.
const LOCK: i64 = 0x7265_706c_5f63_6b70;

/// Brings the tables to the newest version. Costs one or two looks if they are there already.
///
/// A table that was dropped is made again, and is empty: what was in it is lost, and nothing else.
pub(crate) async fn migrate(client: &Client) -> Result<(), RemoteFailure> {
    // Before anything that needs the right to create tables.
    let are_there: bool = client.query_one(ARE_THERE, &[]).await.map_err(unavailable)?.get(0);
    if are_there && version(client).await? == MIGRATIONS.len() {
        return Ok(());
    }
    // Under a lock: two first uses at once would both create the tables.
    let begin = format!(
        "begin; select pg_advisory_xact_lock({LOCK}); \
         create table if not exists repl_schema (version int not null);"
    );
    client.batch_execute(&begin).await.map_err(unavailable)?;
    version(client).await?;
    for migration in MIGRATIONS {
        client.batch_execute(migration).await.map_err(unavailable)?;
    }
    let end = format!(
        "delete from repl_schema; insert into repl_schema values ({}); commit",
        MIGRATIONS.len()
    );
    client.batch_execute(&end).await.map_err(unavailable)
}

/// The version of the tables. One that this program does not know is refused.
async fn version(client: &Client) -> Result<usize, RemoteFailure> {
    let sql = "select coalesce(max(version), 0) from repl_schema";
    let version: i32 = client.query_one(sql, &[]).await.map_err(unavailable)?.get(0);
    let version = usize::try_from(version);
    let version = version.map_err(|error| RemoteFailure::Unavailable(cause(error)))?;
    let known = MIGRATIONS.len();
    if version > known {
        let why = format!("its tables are of version {version}, and this program knows {known}");
        return Err(RemoteFailure::Unavailable(cause(why)));
    }
    Ok(version)
}
