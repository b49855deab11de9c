//! Checkpoints in PostgreSQL.

use std::time::SystemTime;

use repl_checkpoint::{
    Acquire, Generation, Held, Kept, Lease, RemoteFailure, RemoteSave, RemoteStore, StoreId,
};
use tokio_postgres::config::{Host, TargetSessionAttrs};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, NoTls, Row};

use crate::connection::{Connection, Tls};
use crate::failure::cause;
use crate::statements::{LOAD, NEWEST, RECORD, RENEW, SAVE, TAKE_OVER, TAKE_OVER_AT_LEAST};

/// A [`RemoteStore`] in a PostgreSQL database, version 13 or later.
///
/// It connects when it is first used, and again after a call that failed. Of several hosts it takes
/// the first that can be written to.
///
/// # Tables
/// - `repl_schema`: the version of the others,
/// - `repl_lease`: the record of each store,
/// - `repl_generation`: the bytes of its newest generations,
/// - `repl_mark`: the marks of [`PostgresMarks`](crate::PostgresMarks).
///
/// It looks for them in the search path when it connects, and makes those that are missing, in the
/// first schema of that path. A table that was dropped is thus made again, and is empty. Without its
/// record a store has [vanished](repl_checkpoint::RemoteError::Vanished), for a process that runs and
/// for one that starts with a witness; one that starts without begins anew. But where bytes are left
/// that are newer than the record, as where `repl_lease` alone was lost, no start takes the store
/// over: put both tables back from one copy, or delete the rows of the store in both.
///
/// To make them, a role needs the right to create tables in that schema. Where the tables are there,
/// made by the program with another role, these are enough:
///
/// ```sql
/// grant select on repl_schema to follower;
/// grant select, insert, update, delete on repl_lease, repl_generation, repl_mark to follower;
/// ```
///
/// # Sessions
/// It needs a tokio runtime around every call. `synchronous_commit` is set to `on`: with a
/// synchronous standby, a save is acknowledged once the standby has it.
///
/// Waits are not limited: give the [`Config`] a `connect_timeout` and `tcp_user_timeout`, and put a
/// time limit around the calls of the [`RemoteCheckpointer`](repl_checkpoint::RemoteCheckpointer).
pub struct PostgresStore<T = NoTls> {
    connection: Connection<T>,
    store: StoreId,
    name: String,
    history: i64,
}

impl PostgresStore {
    /// Returns the store `store` in the database of `config`. Does not connect yet.
    pub fn new(config: Config, store: StoreId) -> Self {
        PostgresStore::with_tls(config, NoTls, store)
    }
}

impl<T: Tls> PostgresStore<T> {
    /// The same with an encrypted connection.
    pub fn with_tls(mut config: Config, tls: T, store: StoreId) -> Self {
        // Of several hosts, the primary: a standby may be behind.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        let name = config.get_application_name().unwrap_or_default().to_owned();
        PostgresStore { connection: Connection::new(config, tls), store, name, history: 4 }
    }

    /// Sets the name that a fenced process reads: that of this node, for example. By default it is
    /// the application name of the [`Config`].
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        PostgresStore { name: name.into(), ..self }
    }

    /// Keeps so many generations, at least 2; by default 4.
    #[must_use]
    pub fn keep(self, generations: u32) -> Self {
        PostgresStore { history: i64::from(generations.max(2)), ..self }
    }

    pub(crate) fn id(&self) -> String {
        self.store.to_string()
    }

    /// The record, if there is one. It changes nothing, whatever fails.
    pub(crate) async fn record(&mut self) -> Result<Option<Held>, RemoteFailure> {
        let rows = self.connection.query(RECORD, &[&self.id()]).await.map_err(read)?;
        rows.first().map(held).transpose()
    }

    /// Runs a query that changes nothing.
    pub(crate) async fn read(
        &mut self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, RemoteFailure> {
        self.connection.query(sql, params).await.map_err(read)
    }

    /// Refuses bytes of which the record does not know: one of the two tables was lost, or is of
    /// another copy. Which is right an operator has to say.
    async fn check_none_newer(&mut self) -> Result<(), RemoteFailure> {
        let known = self.record().await?.map(|record| record.generation);
        let rows = self.read(NEWEST, &[&self.id()]).await?;
        let newest: Option<i64> = rows.first().map(|row| get(row, 0)).transpose()?.flatten();
        let newest = newest.map_or(Ok(0), unsigned)?;
        if newest <= known.unwrap_or(0) {
            return Ok(());
        }
        let record =
            known.map_or("is gone".to_owned(), |known| format!("is of generation {known}"));
        let why = format!(
            "repl_generation holds generation {newest} of this store, and its record in repl_lease \
             {record}: put both back from one copy; or, to begin anew, delete its rows in both"
        );
        Err(RemoteFailure::Unavailable(cause(why)))
    }

    /// A condition was false: nothing was changed, and what is there instead is read now.
    async fn refused<R>(&mut self) -> Result<R, RemoteFailure> {
        Err(RemoteFailure::Refused(self.record().await?))
    }
}

impl<T: Tls> RemoteStore for PostgresStore<T> {
    fn store_id(&self) -> StoreId {
        self.store
    }

    /// Shows the user, the hosts, their ports and the database, as in
    /// `follower@db.example:5432/engine`, and no password.
    fn place(&self) -> String {
        format!("store {} in PostgreSQL ({})", self.store, server(self.connection.config()))
    }

    async fn acquire(&mut self, acquire: Acquire) -> Result<Held, RemoteFailure> {
        let id = self.id();
        let rows = match acquire {
            Acquire::TakeOver { at_least: None } => {
                self.connection.query(TAKE_OVER, &[&id, &self.name]).await?
            }
            Acquire::TakeOver { at_least: Some(least) } => {
                let (token, generation) = (number(least.token)?, number(least.generation)?);
                let params: [&(dyn ToSql + Sync); 4] = [&id, &self.name, &token, &generation];
                self.connection.query(TAKE_OVER_AT_LEAST, &params).await?
            }
            Acquire::Renew { lease, token } => {
                let (holder, token) = (hex(lease.holder), number(token)?);
                self.connection.query(RENEW, &[&id, &holder, &token]).await?
            }
        };
        if let Some(row) = rows.first() {
            return held(row);
        }
        if let Acquire::TakeOver { .. } = acquire {
            self.check_none_newer().await?;
        }
        self.refused().await
    }

    async fn save(&mut self, save: RemoteSave<'_>) -> Result<(), RemoteFailure> {
        let RemoteSave { lease, previous, generation, bytes } = save;
        let (id, holder, token) = (self.id(), hex(lease.holder), number(lease.token)?);
        let (previous, generation) = (number(previous)?, number(generation)?);
        let params: [&(dyn ToSql + Sync); 7] =
            [&id, &holder, &token, &previous, &generation, &bytes, &self.history];
        match self.connection.query(SAVE, &params).await?.len() {
            0 => self.refused().await,
            _ => Ok(()),
        }
    }

    async fn load(&mut self, at_most: Generation) -> Result<Option<Kept>, RemoteFailure> {
        let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
        let rows = self.read(LOAD, &[&self.id(), &at_most]).await?;
        let kept = |row: &Row| {
            let generation = unsigned(get(row, 0)?)?;
            Ok(Kept { generation, bytes: get(row, 1)? })
        };
        rows.first().map(kept).transpose()
    }
}

/// What a configuration names, without its password.
fn server(config: &Config) -> String {
    let ports = config.get_ports();
    let port = |at| ports.get(at).or(ports.first()).copied().unwrap_or(5432);
    let hosts = config.get_hosts().iter().map(|host| match host {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(path) => path.display().to_string(),
    });
    let hosts: Vec<String> =
        hosts.enumerate().map(|(at, host)| format!("{host}:{}", port(at))).collect();
    let user = config.get_user().map(|user| format!("{user}@")).unwrap_or_default();
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("{user}{}/{database}", hosts.join(","))
}

/// What failed changed nothing.
fn read(failure: RemoteFailure) -> RemoteFailure {
    match failure {
        RemoteFailure::InDoubt(cause) => RemoteFailure::Unavailable(cause),
        other => other,
    }
}

/// A record. If it cannot be read, the call that returned it may have changed it.
pub(crate) fn held(row: &Row) -> Result<Held, RemoteFailure> {
    let holder = u128::from_str_radix(get(row, 0)?, 16)
        .map_err(|error| RemoteFailure::InDoubt(cause(error)))?;
    let (token, generation) = (unsigned(get(row, 1)?)?, unsigned(get(row, 2)?)?);
    let since: SystemTime = get(row, 4)?;
    Ok(Held { lease: Lease { holder, token }, generation, by: get(row, 3)?, since })
}

fn get<'a, V: tokio_postgres::types::FromSql<'a>>(
    row: &'a Row,
    column: usize,
) -> Result<V, RemoteFailure> {
    row.try_get(column).map_err(|error| RemoteFailure::InDoubt(cause(error)))
}

fn unsigned(number: i64) -> Result<u64, RemoteFailure> {
    u64::try_from(number).map_err(|error| RemoteFailure::InDoubt(cause(error)))
}

/// A number as PostgreSQL has it. What is too large for it is not sent.
pub(crate) fn number(number: u64) -> Result<i64, RemoteFailure> {
    i64::try_from(number).map_err(|error| RemoteFailure::Unavailable(cause(error)))
}

pub(crate) fn hex(holder: u128) -> String {
    format!("{holder:032x}")
}

impl<T> std::fmt::Debug for PostgresStore<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresStore")
            .field("store", &self.store)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_names_user_hosts_ports_and_database_and_no_password() {
        for (config, place) in [
            ("host=127.0.0.1 user=a dbname=b password=secret", "a@127.0.0.1:5432/b"),
            ("host=db port=5433 user=a", "a@db:5433/a"),
            ("host=one,two port=1,2 user=a dbname=b", "a@one:1,two:2/b"),
            ("host=one,two port=7 user=a dbname=b", "a@one:7,two:7/b"),
            ("host=/run user=a dbname=b", "a@/run:5432/b"),
            ("host=db dbname=b", "db:5432/b"),
        ] {
            let store = PostgresStore::new(config.parse().unwrap(), StoreId(7));
            let expected = format!("store {} in PostgreSQL ({place})", StoreId(7));
            assert_eq!(store.place(), expected);
        }
    }
}
