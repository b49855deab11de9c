//! The server: what its log offers, its slot, and the snapshot that the slot exports.
//!
//! Everything is asked on the replication connection on which the stream then begins, so that it is
//! true of the server that sends the stream.

use std::time::Duration;

use pgwire_replication::{Lsn, PgWireError, ReplicationClient, ReplicationConfig, TlsConfig};
use repl_core::{EpochStart, Epochs, LogBounds, LogId, SeqNo};
use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, NoTls};

use crate::failure::Failure;

/// The database that is followed.
pub(crate) const DATABASE: &str = "bank";

/// The publication that is followed: the tables of one schema.
pub(crate) const PUBLICATION: &str = "pg_follower";

/// The slots of this follower: this, and a number. Each copy has a slot of its own.
pub(crate) const SLOTS: &str = "pg_follower_";

/// How often a position is confirmed to the server at most.
const CONFIRM_EVERY: Duration = Duration::from_millis(100);

/// How long the server may take to answer, except while it makes a slot or copies rows.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);

/// How values are written as text, on every connection.
const OPTIONS: &str = "-c datestyle=ISO -c intervalstyle=postgres -c timezone=UTC \
    -c extra_float_digits=3 -c bytea_output=hex -c standard_conforming_strings=on";

/// How the user of the server is called.
pub(crate) const USER: &str = "postgres";

/// The address of a server on loopback, and the password of its user.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Address {
    pub(crate) port: u16,
    /// Not for the command line of a child, which every user can read.
    #[serde(skip)]
    pub(crate) password: String,
}

impl Address {
    /// Returns how to connect to a database.
    pub(crate) fn config(&self, database: &str) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).user(USER).password(&self.password);
        config.dbname(database).options(OPTIONS).connect_timeout(Duration::from_secs(10));
        // A server that is gone without a word is noticed.
        config.tcp_user_timeout(ANSWERS_WITHIN).keepalives_idle(ANSWERS_WITHIN / 2);
        config
    }

    /// Connects to a database.
    pub(crate) async fn connect(&self, database: &str) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = self.config(database).connect(NoTls).await?;
        // Ends with the client. Errors reach the client too.
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }
}

/// The name of a slot.
fn slot_name(slot: u64) -> String {
    format!("{SLOTS}{slot:016x}")
}

/// The name of a log: the server's system identifier, and the number in the name of the slot.
fn log_id(system: u64, slot: u64) -> LogId {
    LogId(u128::from(system) << 64 | u128::from(slot))
}

/// The number of the slot of a log.
#[expect(clippy::cast_possible_truncation, reason = "the lower half")]
pub(crate) fn slot_of(log: LogId) -> u64 {
    log.0 as u64
}

/// A session on which the log is looked at, and then followed.
pub(crate) struct Source {
    pub(crate) stream: ReplicationClient,
    slot: u64,
    system: u64,
    epochs: Epochs,
    /// The end of the log that is durable.
    last: SeqNo,
}

impl Source {
    /// Connects, for a stream from `slot`.
    pub(crate) async fn connect(address: &Address, slot: u64) -> Result<Self, Failure> {
        let Address { port, password } = address;
        let name = slot_name(slot);
        let config =
            ReplicationConfig::new("127.0.0.1", USER, password, DATABASE, name, PUBLICATION)
                .with_port(*port)
                .with_tls(TlsConfig::disabled())
                .with_options(OPTIONS)
                .with_status_interval(CONFIRM_EVERY)
                // From what the slot says is confirmed; what is applied above that is skipped.
                .with_start_lsn(Lsn::ZERO);
        let mut stream = answer_of(ReplicationClient::connect_gated(config)).await?;
        let system = answer_of(stream.identify_system()).await?;
        let mut history = String::new();
        if system.timeline > 1 {
            let file = answer_of(stream.timeline_history(system.timeline)).await?;
            history = String::from_utf8_lossy(&file.content).into_owned();
        }
        let number = |text: &str| text.parse().map_err(|_| answer("IDENTIFY_SYSTEM", text));
        let epochs = epochs(system.timeline, &history)
            .ok_or_else(|| answer("TIMELINE_HISTORY", &history))?;
        let (number, last) = (number(&system.system_id)?, system.xlogpos.0);
        Ok(Source { stream, slot, system: number, epochs, last })
    }

    /// The log of the slot.
    pub(crate) fn log(&self) -> LogId {
        log_id(self.system, self.slot)
    }

    /// Returns what the log of the slot offers, or `None` if there is no such slot.
    pub(crate) async fn bounds(&mut self) -> Result<Option<LogBounds>, Failure> {
        let sql = format!(
            "select confirmed_flush_lsn from pg_replication_slots where slot_name = '{}' \
             and database = current_database() and wal_status is distinct from 'lost'",
            slot_name(self.slot)
        );
        let rows = answer_of(self.stream.simple_query(&sql)).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let confirmed = lsn(text(row, 0).unwrap_or_default(), "the query of the slot")?;
        // The server sends no transaction that ends at or below what is confirmed.
        Ok(Some(LogBounds { last_deleted: confirmed, ..self.bounds_of_new_slot() }))
    }

    /// Returns what a slot would offer that is made now.
    pub(crate) fn bounds_of_new_slot(&self) -> LogBounds {
        let (log, epochs) = (self.log(), self.epochs.clone());
        LogBounds { log, last_deleted: self.last, last: self.last, epochs }
    }

    /// Drops the slots of other copies: also one that a killed follower had asked for, and that the
    /// server made later. Only for the follower that the sink belongs to. Fails if one is in use: a
    /// later try finds it free, as soon as the server has noticed the kill.
    pub(crate) async fn drop_other_slots(&mut self) -> Result<(), Failure> {
        let sql = format!(
            "select slot_name from pg_replication_slots where starts_with(slot_name, '{SLOTS}') \
             and slot_name <> '{}' and database = current_database()",
            slot_name(self.slot)
        );
        for row in answer_of(self.stream.simple_query(&sql)).await? {
            if let Some(name) = text(&row, 0) {
                let drop = format!("DROP_REPLICATION_SLOT \"{name}\"");
                answer_of(self.stream.simple_query(&drop)).await?;
            }
        }
        Ok(())
    }

    /// Makes a slot, and returns where it begins and the name of its snapshot: all that ends at or
    /// below that seqno. The snapshot is good until the stream starts.
    pub(crate) async fn create_slot(&mut self) -> Result<(SeqNo, String), Failure> {
        let name = slot_name(self.slot);
        let sql =
            format!("CREATE_REPLICATION_SLOT \"{name}\" LOGICAL pgoutput (SNAPSHOT 'export')");
        let rows = self.stream.simple_query(&sql).await?;
        let command = "CREATE_REPLICATION_SLOT";
        let row = rows.first().ok_or_else(|| answer(command, ""))?;
        let (Some(point), Some(snapshot)) = (text(row, 1), text(row, 2)) else {
            return Err(answer(command, &format!("{row:?}")));
        };
        Ok((lsn(point, command)?, snapshot.to_owned()))
    }

    /// Starts the stream. `confirmed` is what the follower holds durably.
    pub(crate) async fn start(&mut self, confirmed: SeqNo) -> Result<(), Failure> {
        self.stream.update_applied_lsn(Lsn(confirmed));
        self.stream.start().await?;
        answer_of(self.stream.wait_started()).await
    }
}

/// Waits for an answer, but not for ever.
async fn answer_of<T>(answer: impl Future<Output = Result<T, PgWireError>>) -> Result<T, Failure> {
    match tokio::time::timeout(ANSWERS_WITHIN, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Failure::NoAnswer),
    }
}

fn answer(command: &'static str, answer: &str) -> Failure {
    Failure::Answer { command, answer: answer.to_owned() }
}

fn text(row: &[Option<bytes::Bytes>], column: usize) -> Option<&str> {
    row.get(column)?.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok())
}

fn lsn(text: &str, command: &'static str) -> Result<SeqNo, Failure> {
    Lsn::parse(text).map(|lsn| lsn.0).map_err(|_| answer(command, text))
}

/// Returns the timelines as epochs: each begins with the first seqno above the switch to it. `None`
/// if the history is not one.
fn epochs(timeline: u32, history: &str) -> Option<Epochs> {
    let lines = history.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (mut starts, mut first) = (Vec::new(), 1);
    for line in lines {
        let mut words = line.split_whitespace();
        starts.push(EpochStart { epoch: words.next()?.parse().ok()?, first });
        first = Lsn::parse(words.next()?).ok()?.0.checked_add(1)?;
    }
    starts.push(EpochStart { epoch: timeline.into(), first });
    Epochs::new(starts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_timeline_is_an_epoch_that_begins_above_the_switch_to_it() {
        let start = |epoch, first| EpochStart { epoch, first };
        let of = |timeline, history| epochs(timeline, history).map(Vec::from);
        assert_eq!(of(1, ""), Some(vec![start(1, 1)]));
        let history = "1\t0/3000000\tno recovery target specified\n\n\
                       # a comment\n2\t1/A\tbefore 2026-01-01\n";
        let expected = vec![start(1, 1), start(2, 0x300_0001), start(3, 0x1_0000_000b)];
        assert_eq!(of(3, history), Some(expected));
    }

    #[test]
    fn a_history_that_cannot_be_read_gives_no_epochs() {
        for history in ["1", "x\t0/1", "1\t0", "1\tFFFFFFFF/FFFFFFFF", "9\t0/1"] {
            assert_eq!(epochs(3, history), None, "{history}");
        }
    }
}
