//! The sink of mode 2: another PostgreSQL database. Each transaction holds the rows, and the marks
//! of `PostgresMarks`.

use std::fmt::Write;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use example_support::send;
use futures_util::{SinkExt, TryStreamExt};
use postgres_protocol::escape::escape_literal;
use repl_checkpoint::StoreId;
use repl_checkpoint_postgres::{MarksError, PostgresMarks, PostgresStore};
use repl_core::{Advance, NewShard, ReplicationState, Shard};
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::changes::{Cell, Change, Kind, Transaction};
use crate::copy::{COPIED, Copied, Table, describe, quoted};
use crate::events::Event;
use crate::failure::Failure;
use crate::patience::PATIENCE;
use crate::sink::{SHARD, Sink, Stored, Work};
use crate::source::Address;

/// The database of the rows and the marks.
pub(crate) const TARGET: &str = "copy";

/// The name of the marks among those of other followers in that database.
const STORE: StoreId = StoreId(0x7067_666f_6c6c_6f77);

pub(crate) struct Postgres {
    address: Address,
    marks: PostgresMarks,
    client: Option<Client>,
    /// A commit was sent, and not answered.
    in_doubt: bool,
    losses: Losses,
}

/// The answer of one commit in so many is lost on purpose.
#[derive(Debug)]
struct Losses {
    one_in: u64,
    commits: u64,
}

impl Losses {
    /// Returns whether the next commit takes effect, if its answer is lost: the first does.
    fn next(&mut self) -> Option<bool> {
        self.commits += 1;
        let is_lost = self.one_in > 0 && self.commits.is_multiple_of(self.one_in);
        is_lost.then(|| !(self.commits / self.one_in).is_multiple_of(2))
    }
}

/// What a transaction needs.
struct Ready<'a> {
    marks: &'a PostgresMarks,
    client: &'a mut Client,
    /// To be set from before a commit until its answer.
    in_doubt: &'a mut bool,
}

impl Postgres {
    /// Takes the marks over: an earlier follower that still runs commits nothing more.
    pub(crate) async fn open(address: &Address, lose_one_in: u64) -> Result<Self, Failure> {
        let store = PostgresStore::new(address.config(TARGET), STORE).named("pg-follower");
        let marks = PostgresMarks::take_over(store, None).await?;
        let losses = Losses { one_in: lose_one_in, commits: 0 };
        Ok(Postgres { address: address.clone(), marks, client: None, in_doubt: false, losses })
    }

    /// Connects if necessary, and settles a commit in doubt.
    async fn ready(&mut self) -> Result<Ready<'_>, Failure> {
        if self.in_doubt {
            self.marks.settle().await?;
            self.in_doubt = false;
        }
        let client = match self.client.take().filter(|client| !client.is_closed()) {
            Some(client) => client,
            None => self.address.connect(TARGET).await?,
        };
        let client = self.client.insert(client);
        Ok(Ready { marks: &self.marks, client, in_doubt: &mut self.in_doubt })
    }

    /// Commits the work once, or fails.
    async fn try_commit(&mut self, live: &Shard, work: Work<'_>) -> Result<Advance, Failure> {
        let lost = self.losses.next();
        let Ready { marks, client, in_doubt } = self.ready().await?;
        let tx = client.transaction().await?;
        let advance = match work.mark {
            Some(mark) => marks.apply(&tx, live, |marks| marks.advance(SHARD, mark)).await?,
            None => Advance::Advanced { from: live.applied() },
        };
        match advance {
            Advance::Advanced { .. } => {}
            Advance::Stale { .. } => return Ok(advance), // all of it is there
            _ => return Err(Failure::NotTracked),
        }
        write(&tx, work.transactions).await?;
        *in_doubt = true;
        if let Some(takes_effect) = lost {
            if takes_effect {
                tx.commit().await?;
            }
            return Err(Failure::LostAnswer);
        }
        tx.commit().await?;
        *in_doubt = false;
        Ok(advance)
    }
}

impl Sink for Postgres {
    async fn stored(&mut self) -> Result<Stored, Failure> {
        // First, or a commit in doubt may come later. It fails if another follower has the lease.
        self.marks.settle().await?;
        self.in_doubt = false;
        match self.marks.stored(&[SHARD]).await {
            Ok(state) => Ok(Stored::Marks(Arc::new(state))),
            Err(MarksError::UnknownShard { .. }) => {
                let sql = "select count(*) from pg_tables where schemaname = 'public' \
                           and not starts_with(tablename, 'repl_')";
                let Ready { client, .. } = self.ready().await?;
                let tables: i64 = client.query_one(sql, &[]).await?.try_get(0)?;
                Ok(if tables == 0 { Stored::Nothing } else { Stored::DataWithoutMarks })
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn copied(&mut self) -> Result<Copied, Failure> {
        let sql = format!("select name, columns from {COPIED}");
        let rows = self.ready().await?.client.query(&sql, &[]).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    async fn copy(
        &mut self,
        source: &tokio_postgres::Transaction<'_>,
        tables: &[Table],
        new: NewShard,
    ) -> Result<u64, Failure> {
        let Ready { marks, client, in_doubt } = self.ready().await?;
        let tx = client.transaction().await?;
        // The lease first: from here on, a follower that starts waits.
        if !marks.add(&tx, new.clone()).await? {
            let none = ReplicationState::new(&[SHARD]);
            let live = none.shard(SHARD).ok_or(Failure::NotTracked)?;
            marks.apply(&tx, &live, |marks| marks.reset_shard(new)).await?;
        }
        let columns = "(name text not null, columns text not null)";
        let sql = format!("drop table if exists {COPIED}; create table {COPIED} {columns}");
        tx.batch_execute(&sql).await?;
        let mut rows = 0;
        for table in tables {
            let sql = format!("insert into {COPIED} values ($1, $2)");
            tx.execute(&sql, &[&table.name, &describe(&table.columns)]).await?;
            tx.batch_execute(&create(table)).await?;
            let sql = format!("copy {} from stdin", quoted(&table.name));
            let mut to = pin!(tx.copy_in::<_, Bytes>(&sql).await?);
            let mut from = pin!(source.copy_out(&table.copy_out()).await?);
            while let Some(chunk) = from.try_next().await? {
                to.feed(chunk).await?;
            }
            rows += to.finish().await?;
        }
        *in_doubt = true;
        tx.commit().await?;
        *in_doubt = false;
        Ok(rows)
    }

    async fn adopt(&mut self, live: &Shard, new: NewShard) -> Result<(), Failure> {
        let Ready { marks, client, in_doubt } = self.ready().await?;
        let tx = client.transaction().await?;
        marks.apply(&tx, live, |marks| marks.reset_shard(new)).await?;
        *in_doubt = true;
        tx.commit().await?;
        *in_doubt = false;
        Ok(())
    }

    /// Tries until the server has answered: the marks say whether a lost commit took effect. If it
    /// cannot be reached, the session ends: a server that stops waits for it.
    async fn commit(&mut self, live: &Shard, work: Work<'_>) -> Result<(), Failure> {
        let (deadline, mut was_in_doubt) = (Instant::now() + PATIENCE, false);
        loop {
            self.ready().await?;
            match self.try_commit(live, work).await {
                Ok(Advance::Stale { .. }) if was_in_doubt => {
                    send(Event::FoundCommitted);
                    return Ok(());
                }
                Ok(_) => return Ok(()),
                Err(error) if error.is_retried() && Instant::now() < deadline => {
                    self.client = None;
                    if self.in_doubt && !was_in_doubt {
                        send(Event::InDoubt);
                        was_in_doubt = true;
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Without a unique index: a row that is applied twice is there twice, and the comparison sees it.
fn create(table: &Table) -> String {
    let columns = table.columns.iter().zip(&table.sql_types);
    let columns = columns.map(|(column, sql_type)| format!("{} {sql_type}", quoted(&column.name)));
    let (name, columns) = (quoted(&table.name), columns.collect::<Vec<_>>().join(", "));
    format!(
        "drop table if exists {name}; create table {name} ({columns}); \
         create index on {name} ({})",
        table.key_list()
    )
}

/// Writes the rows of the transactions, in one message.
async fn write(
    tx: &tokio_postgres::Transaction<'_>,
    transactions: &[Transaction],
) -> Result<(), Failure> {
    let changes = || transactions.iter().flat_map(|transaction| &transaction.changes);
    let sql: String = changes().map(statement).collect();
    if sql.is_empty() {
        return Ok(());
    }
    let answers = tx.simple_query(&sql).await?.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::CommandComplete(rows) => Some(rows),
        _ => None,
    });
    let answers: Vec<_> = answers.collect();
    if answers.len() != changes().count() {
        let (changes, answers) = (changes().count(), answers.len());
        return Err(Failure::Unanswered { changes, answers });
    }
    for (change, rows) in changes().zip(answers) {
        if rows == 0 && !matches!(change.kind, Kind::Truncate) {
            return Err(Failure::MissingRow { table: change.relation.table.clone() });
        }
    }
    Ok(())
}

/// A value without a type: the column gives it one.
fn literal(value: Option<&str>) -> String {
    value.map_or("null".to_owned(), escape_literal)
}

fn statement(change: &Change) -> String {
    let (relation, table) = (&change.relation, quoted(&change.relation.table));
    let list = |cells: &[Cell<'_>], between: &str| {
        let equal = |(name, value): &Cell<'_>| format!("{} = {}", quoted(name), literal(*value));
        cells.iter().map(equal).collect::<Vec<_>>().join(between)
    };
    let mut sql = match &change.kind {
        Kind::Insert(row) => {
            let cells: Vec<_> = relation.values(row).collect();
            let names: Vec<_> = cells.iter().map(|(name, _)| quoted(name)).collect();
            let values: Vec<_> = cells.iter().map(|(_, value)| literal(*value)).collect();
            let (names, values) = (names.join(", "), values.join(", "));
            format!("insert into {table} ({names}) values ({values})")
        }
        Kind::Update(key, row) => {
            let cells: Vec<_> = relation.values(row).collect();
            let key: Vec<_> = relation.key(key).collect();
            format!("update {table} set {} where {}", list(&cells, ", "), list(&key, " and "))
        }
        Kind::Delete(key) => {
            let key: Vec<_> = relation.key(key).collect();
            format!("delete from {table} where {}", list(&key, " and "))
        }
        Kind::Truncate => format!("delete from {table}"),
    };
    let _ = sql.write_char(';'); // a string takes everything
    sql
}
