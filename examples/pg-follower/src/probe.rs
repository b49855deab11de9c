//! What the parent asks the server.

use std::time::Duration;

use pgwire_replication::Lsn;
use tokio::runtime::Runtime;
use tokio_postgres::Client;

use crate::source::{Address, DATABASE, SLOTS};

/// How far the load and the follower are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Each transaction of `pgbench` adds a row to its history.
    pub(crate) transactions: u64,
    /// The end of the log.
    pub(crate) end: Lsn,
    /// What the follower has confirmed; 0 before there is a slot.
    pub(crate) confirmed: Lsn,
    /// The slots of the follower.
    pub(crate) slots: i64,
}

const SEEN: &str = "select (select count(*) from pgbench_history),
    pg_current_wal_flush_lsn()::text,
    coalesce(max(confirmed_flush_lsn), '0/0')::text, count(*)
    from pg_replication_slots where starts_with(slot_name, $1)";

/// A connection that is made again when the server was away.
pub(crate) struct Probe {
    runtime: Runtime,
    address: Address,
    client: Option<Client>,
}

/// A server that does not answer for so long is down.
const PATIENCE: Duration = Duration::from_secs(5);

impl Probe {
    pub(crate) fn new(address: &Address) -> std::io::Result<Probe> {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build()?;
        Ok(Probe { runtime, address: address.clone(), client: None })
    }

    /// Asks the server, or returns `None` if it is down.
    pub(crate) fn look(&mut self) -> Option<Seen> {
        let address = &self.address;
        let old = self.client.take().filter(|client| !client.is_closed());
        let ask = async {
            let client = match old {
                Some(client) => client,
                None => address.connect(DATABASE).await.ok()?,
            };
            let row = client.query_one(SEEN, &[&SLOTS]).await.ok()?;
            let lsn = |column| Lsn::parse(row.try_get(column).ok()?).ok();
            let transactions: i64 = row.try_get(0).ok()?;
            let transactions = transactions.cast_unsigned();
            let (end, confirmed, slots) = (lsn(1)?, lsn(2)?, row.try_get(3).ok()?);
            Some((Seen { transactions, end, confirmed, slots }, client))
        };
        let timed = async { tokio::time::timeout(PATIENCE, ask).await };
        let (seen, client) = self.runtime.block_on(timed).ok()??;
        self.client = Some(client);
        Some(seen)
    }

    /// Makes the server write a checkpoint, which moves the end of its log. Returns whether it did.
    pub(crate) fn checkpoint(&self) -> bool {
        self.execute("checkpoint")
    }

    /// Makes a slot, as the server may do for a killed follower. Returns whether it did.
    pub(crate) fn leave_slot(&self) -> bool {
        let sql = format!("select pg_create_logical_replication_slot('{SLOTS}left', 'pgoutput')");
        self.execute(&sql)
    }

    fn execute(&self, sql: &str) -> bool {
        let Some(client) = &self.client else { return false };
        let timed = async { tokio::time::timeout(PATIENCE, client.batch_execute(sql)).await };
        matches!(self.runtime.block_on(timed), Ok(Ok(())))
    }

    /// Runs a future to its end.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }
}
