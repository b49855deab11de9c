//! A connection that is made when it is needed, and dropped after any doubt.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use repl_checkpoint::RemoteFailure;
use tokio_postgres::error::DbError;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Config, Row, Socket, Statement};

use crate::failure::{cause, failure, unavailable};
use crate::schema;

/// The encryption of connections: that of `NoTls`, and of the crates beside `tokio-postgres`.
pub trait Tls:
    MakeTlsConnect<Socket, Stream: Send, TlsConnect: Send + TlsConnect<Socket, Future: Send>>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<T> Tls for T where
    T: MakeTlsConnect<Socket, Stream: Send, TlsConnect: Send + TlsConnect<Socket, Future: Send>>
        + Clone
        + Send
        + Sync
        + 'static
{
}

/// Connects when it is first used, and again after every call that did not end well.
pub(crate) struct Connection<T> {
    config: Config,
    tls: T,
    session: Option<Session>,
}

struct Session {
    client: Client,
    /// A commit of this session did not wait for the standby.
    unreplicated: Arc<AtomicBool>,
    prepared: Vec<(&'static str, Statement)>,
}

impl<T: Tls> Connection<T> {
    pub(crate) fn new(config: Config, tls: T) -> Self {
        Connection { config, tls, session: None }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Runs one statement as a transaction of its own.
    pub(crate) async fn query(
        &mut self,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, RemoteFailure> {
        // Taken out for the call: if its future is dropped, the session is too.
        let mut session = match self.session.take().filter(|session| !session.client.is_closed()) {
            Some(session) => session,
            None => self.connect().await?,
        };
        let statement = session.statement(sql).await?;
        let rows = session.client.query(&statement, params).await.map_err(failure)?;
        if session.unreplicated.load(Ordering::Acquire) {
            let why = "PostgreSQL stopped waiting for the synchronous standby";
            return Err(RemoteFailure::InDoubt(cause(why)));
        }
        self.session = Some(session);
        Ok(rows)
    }

    /// Nothing but the schema is changed by then, so whatever fails changes nothing.
    async fn connect(&self) -> Result<Session, RemoteFailure> {
        let connected = self.config.connect(self.tls.clone()).await;
        let (client, mut connection) = connected.map_err(unavailable)?;
        let unreplicated = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&unreplicated);
        // It ends with the client, or with the connection.
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                // Seen before the answer of the commit that it is about.
                if let AsyncMessage::Notice(notice) = message
                    && is_unreplicated(&notice)
                {
                    seen.store(true, Ordering::Release);
                }
            }
        });
        client.batch_execute("set synchronous_commit = on").await.map_err(unavailable)?;
        schema::migrate(&client).await?;
        Ok(Session { client, unreplicated, prepared: Vec::new() })
    }
}

impl Session {
    async fn statement(&mut self, sql: &'static str) -> Result<Statement, RemoteFailure> {
        if let Some((_, statement)) = self.prepared.iter().find(|(of, _)| *of == sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await.map_err(unavailable)?;
        self.prepared.push((sql, statement.clone()));
        Ok(statement)
    }
}

/// Returns whether a notice says that a commit is not known to be on the synchronous standby.
///
/// PostgreSQL sends it, as a warning and before the answer of the commit, if the wait for the standby
/// was cancelled. The commit is then in doubt: a failover may lose it. An engine that commits marks
/// in its own transactions ([`PostgresMarks`](crate::PostgresMarks)) looks for it among the notices
/// of its own connections.
pub fn is_unreplicated(notice: &DbError) -> bool {
    // The message is translated; the function that raises it is not.
    notice.routine() == Some("SyncRepWaitForLSN")
}
