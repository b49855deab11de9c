//! The transactions that are committed together.

use std::time::{Duration, Instant};

use example_support::send;
use pgwire_replication::ReplicationEvent;
use repl_core::SeqNo;

use crate::changes::{Relations, Transaction};
use crate::copy::Copied;
use crate::events::Event;
use crate::failure::Failure;

/// A batch of so many changes is committed, even if more have come.
const FULL: usize = 1000;

/// And one that is so old.
const OLD: Duration = Duration::from_millis(50);

/// What was received in a session and is not committed.
#[derive(Debug)]
pub(crate) struct Batch {
    relations: Relations,
    /// The transaction whose commit was not received.
    open: Option<Transaction>,
    /// In the order of the log.
    pub(crate) transactions: Vec<Transaction>,
    changes: usize,
    /// When the first of them came.
    began: Instant,
    /// Transactions that were offered again.
    pub(crate) skipped: u64,
    /// Up to where the server has sent everything.
    pub(crate) reached: SeqNo,
}

impl Batch {
    /// Returns the empty batch of a new session.
    pub(crate) fn new(copied: Copied) -> Self {
        Batch {
            relations: Relations::new(copied),
            open: None,
            transactions: Vec::new(),
            changes: 0,
            began: Instant::now(),
            skipped: 0,
            reached: 0,
        }
    }

    /// Takes an event of the stream. `mark` is that of the last commit.
    pub(crate) fn read(&mut self, event: ReplicationEvent, mark: SeqNo) -> Result<(), Failure> {
        match event {
            ReplicationEvent::Begin { .. } => match self.open.replace(Transaction::default()) {
                None => {}
                Some(_) => return Err(Failure::OutOfOrder("a begin inside a transaction")),
            },
            ReplicationEvent::XLogData { data, .. } => {
                let changes = self.relations.read(&data)?;
                match &mut self.open {
                    Some(open) => open.changes.extend(changes),
                    None if changes.is_empty() => {} // it describes a table
                    None => return Err(Failure::OutOfOrder("a change outside a transaction")),
                }
            }
            ReplicationEvent::Commit { end_lsn, .. } => {
                let open = self.open.take();
                let mut transaction =
                    open.ok_or(Failure::OutOfOrder("a commit without a begin"))?;
                transaction.end = end_lsn.0;
                self.reached = self.reached.max(transaction.end);
                if transaction.end <= mark {
                    self.skipped += 1;
                } else {
                    if self.transactions.is_empty() {
                        self.began = Instant::now();
                    }
                    self.changes += transaction.changes.len();
                    self.transactions.push(transaction);
                }
            }
            // One that arrives inside a transaction does not cover that transaction.
            ReplicationEvent::KeepAlive { wal_end, .. } if self.open.is_none() => {
                self.reached = self.reached.max(wal_end.0);
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns whether to commit it without waiting for more.
    pub(crate) fn is_due(&self) -> bool {
        let is_old = || !self.transactions.is_empty() && self.began.elapsed() >= OLD;
        self.changes >= FULL || is_old()
    }

    /// Returns whether nothing is received that is not committed.
    pub(crate) fn is_idle(&self) -> bool {
        self.open.is_none() && self.transactions.is_empty()
    }

    /// Forgets what is committed.
    pub(crate) fn clear(&mut self) {
        self.transactions.clear();
        (self.changes, self.skipped) = (0, 0);
    }

    /// Tells the parent about transactions that were offered again where none was new.
    pub(crate) fn report_skipped(&mut self) {
        if self.skipped > 0 {
            send(Event::Committed { transactions: 0, skipped: self.skipped });
            self.skipped = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::tests::{described, message, relation};

    fn event(bytes: &[u8]) -> ReplicationEvent {
        let data = bytes::Bytes::copy_from_slice(bytes);
        let (wal_start, wal_end) = (0.into(), 0.into());
        ReplicationEvent::XLogData { wal_start, wal_end, server_time_micros: 0, data }
    }

    fn begin() -> ReplicationEvent {
        ReplicationEvent::Begin { final_lsn: 0.into(), xid: 1, commit_time_micros: 0 }
    }

    fn commit(end: u64) -> ReplicationEvent {
        let (lsn, end_lsn) = (0.into(), end.into());
        ReplicationEvent::Commit { lsn, end_lsn, commit_time_micros: 0 }
    }

    fn keepalive(end: u64) -> ReplicationEvent {
        let wal_end = end.into();
        ReplicationEvent::KeepAlive { wal_end, reply_requested: false, server_time_micros: 0 }
    }

    #[test]
    fn a_transaction_that_ends_at_or_below_the_mark_is_passed_over_and_counted() {
        let mut batch = Batch::new(Copied::new());
        for end in [40, 50, 51] {
            batch.read(begin(), 50).unwrap();
            batch.read(commit(end), 50).unwrap();
        }
        let ends: Vec<_> = batch.transactions.iter().map(|transaction| transaction.end).collect();
        assert_eq!((ends, batch.skipped), (vec![51], 2));
    }

    #[test]
    fn a_keepalive_within_a_transaction_moves_nothing() {
        let mut batch = Batch::new(Copied::new());
        batch.read(keepalive(7), 0).unwrap();
        assert_eq!((batch.reached, batch.is_idle()), (7, true));
        batch.read(begin(), 0).unwrap();
        batch.read(keepalive(90), 0).unwrap();
        assert_eq!((batch.reached, batch.is_idle()), (7, false));
        batch.read(commit(80), 0).unwrap();
        batch.read(keepalive(90), 0).unwrap();
        assert_eq!((batch.reached, batch.is_idle()), (90, false));
        batch.clear();
        assert!(batch.is_idle());
    }

    #[test]
    fn what_is_not_between_a_begin_and_its_commit_is_refused_and_moves_nothing() {
        let mut batch = Batch::new(described());
        batch.read(event(&relation(1)), 0).unwrap();
        let refused = batch.read(event(&message("I", &[("N", "1a")])), 0);
        assert!(matches!(refused, Err(Failure::OutOfOrder(_))), "{refused:?}");
        let refused = batch.read(commit(9), 0);
        assert!(matches!(refused, Err(Failure::OutOfOrder(_))), "{refused:?}");
        assert_eq!((batch.reached, batch.is_idle()), (0, true));
        batch.read(begin(), 0).unwrap();
        let refused = batch.read(begin(), 0);
        assert!(matches!(refused, Err(Failure::OutOfOrder(_))), "{refused:?}");
    }

    #[test]
    fn a_change_of_a_table_that_was_not_described_is_refused() {
        let mut batch = Batch::new(Copied::new());
        batch.read(begin(), 0).unwrap();
        let insert = event(&[b'I', 0, 0, 0, 7, b'N', 0, 1, b'n']);
        let refused = batch.read(insert, 0);
        assert!(matches!(refused, Err(Failure::UnknownTable { relation: 7 })), "{refused:?}");
    }
}
