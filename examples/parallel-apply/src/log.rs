//! The log: records in order. It is what the folder of a run was made for, and is kept there.

use example_support::rng;
use repl_core::{LogId, SeqNo};
use serde::{Deserialize, Serialize};

/// The number of accounts.
pub(crate) const ACCOUNTS: u32 = 64;

/// An addition to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// The number of the record in the log, from 1.
    pub seqno: SeqNo,
    /// The account to add to.
    pub account: u32,
    /// The amount to add.
    pub amount: u32,
}

/// The records of a log.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Log {
    pub(crate) seed: u64,
    /// The account and the amount of each record.
    additions: Vec<(u32, u32)>,
}

impl Log {
    /// Makes a log of random records.
    pub(crate) fn new(seed: u64, records: u64) -> Log {
        let mut rng = rng(&[seed, 1]);
        let additions = (0..records).map(|_| (rng.u32(..ACCOUNTS), rng.u32(1..=1000))).collect();
        Log { seed, additions }
    }

    pub(crate) fn len(&self) -> u64 {
        self.additions.len() as u64
    }

    /// The seed and the number of records determine every record.
    pub(crate) fn id(&self) -> LogId {
        LogId(u128::from(self.seed) << 64 | u128::from(self.len()))
    }

    pub(crate) fn record(&self, seqno: SeqNo) -> Option<Record> {
        let index = usize::try_from(seqno.checked_sub(1)?).ok()?;
        let (account, amount) = *self.additions.get(index)?;
        Some(Record { seqno, account, amount })
    }

    /// All records in order.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record> + '_ {
        (1..=self.len()).filter_map(|seqno| self.record(seqno))
    }
}
