//! The report of a run.

use std::collections::HashSet;

use example_support::{Error, row};
use serde::Serialize;

use crate::events::Event;
use crate::verify::Comparison;
use crate::{Args, Keep};

/// What a run counts. Kills hide some of what followers tell.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    progress: Keep,
    /// The transactions of the load that are committed on the server.
    pub(crate) transactions: u64,
    pub(crate) follower_kills: u64,
    pub(crate) server_crashes: u64,
    /// The copies that were committed: each has a log of its own.
    base_copies: usize,
    #[serde(skip)]
    logs: HashSet<u64>,
    rows_copied: u64,
    /// The transactions of the server that came through the log.
    transactions_applied: u64,
    /// Those that were offered again.
    transactions_skipped: u64,
    /// The transactions of the sink.
    pub(crate) commits: u64,
    /// The streams that were started.
    pub(crate) streams: u64,
    reconnects: u64,
    commits_in_doubt: u64,
    /// Those that had taken effect.
    found_committed: u64,
    pub(crate) confirmed: String,
    /// The slots of the follower in the end.
    pub(crate) slots: i64,
    pub(crate) tables: Vec<Comparison>,
    rows_compared: u64,
    rows_different: u64,
}

impl Report {
    pub(crate) fn new(progress: Keep) -> Report {
        Report {
            progress,
            transactions: 0,
            follower_kills: 0,
            server_crashes: 0,
            base_copies: 0,
            logs: HashSet::new(),
            rows_copied: 0,
            transactions_applied: 0,
            transactions_skipped: 0,
            commits: 0,
            streams: 0,
            reconnects: 0,
            commits_in_doubt: 0,
            found_committed: 0,
            confirmed: String::new(),
            slots: 0,
            tables: Vec::new(),
            rows_compared: 0,
            rows_different: 0,
        }
    }

    pub(crate) fn note(&mut self, event: Event) {
        match event {
            Event::Copied { log, rows } => {
                self.logs.insert(log);
                self.rows_copied = rows;
            }
            Event::Committed { transactions, skipped } => {
                self.commits += u64::from(transactions > 0);
                self.transactions_applied += transactions;
                self.transactions_skipped += skipped;
            }
            Event::Started { log } => {
                self.logs.insert(log);
                self.streams += 1;
            }
            Event::Reconnected => self.reconnects += 1,
            Event::InDoubt => self.commits_in_doubt += 1,
            Event::FoundCommitted => self.found_committed += 1,
        }
    }

    /// Returns whether a copy was committed. If a kill hides that, the next stream shows it.
    pub(crate) fn has_copied(&self) -> bool {
        !self.logs.is_empty()
    }

    /// Adds up the comparisons. Returns the report, and what is wrong.
    pub(crate) fn close(mut self, args: &Args) -> (Report, Vec<String>) {
        self.base_copies = self.logs.len();
        self.rows_compared = self.tables.iter().map(|table| table.rows).sum();
        self.rows_different = self.tables.iter().map(Comparison::different).sum();
        let differing = self.tables.iter().filter(|table| table.different() > 0);
        let mut faults: Vec<_> =
            differing.map(|table| format!("table {} {table}", table.table)).collect();
        if self.tables.is_empty() {
            faults.push("no table was compared".to_owned());
        }
        if self.base_copies > 1 {
            let copies = self.base_copies;
            faults.push(format!("{copies} base copies: the log had gone on without the follower"));
        }
        if self.slots != 1 {
            faults.push(format!("{} slots instead of one: others hold back the log", self.slots));
        }
        let bounds = [
            ("transactions", self.transactions, args.transactions),
            ("follower kills", self.follower_kills, args.run.kills),
            ("server crashes", self.server_crashes, args.server_crashes),
        ];
        for (what, found, least) in bounds {
            if found < least {
                faults.push(format!("{found} {what} of {least}: the run shows too little"));
            }
        }
        (self, faults)
    }
}

impl example_support::Report for Report {
    fn table(&self) -> Result<Vec<String>, Error> {
        let place = match self.progress {
            Keep::Sqlite => "in a SQLite file",
            Keep::Postgres => "in PostgreSQL",
        };
        let (commits, doubts) = (self.commits, self.commits_in_doubt);
        let mut rows = vec![
            row("progress", format!("{place}, in the transactions of the rows")),
            row("transactions", self.transactions),
            row("follower kills", self.follower_kills),
            row("server crashes", self.server_crashes),
            row("streams started", self.streams),
            row("tries to reconnect", self.reconnects),
            row("rows copied", self.rows_copied),
            row(
                "transactions applied",
                format!("{}, in {commits} commits", self.transactions_applied),
            ),
            row("offered again", format!("{}, each passed over", self.transactions_skipped)),
        ];
        if self.progress == Keep::Postgres {
            let found = self.found_committed;
            rows.push(row("commits in doubt", format!("{doubts}, {found} of them committed")));
        }
        rows.push(row("confirmed", &self.confirmed));
        rows.extend(self.tables.iter().map(|table| row(&table.table, table)));
        rows.push(row("rows compared", self.rows_compared));
        rows.push(row("rows different", self.rows_different));
        Ok(rows)
    }
}
