//! The log: records in order, which the seed and their number determine.

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

/// A log of random records.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Log {
    pub(crate) seed: u64,
    /// The number of records.
    pub(crate) records: u64,
}

impl Log {
    pub(crate) fn id(self) -> LogId {
        LogId(u128::from(self.seed) << 64 | u128::from(self.records))
    }

    pub(crate) fn record(self, seqno: SeqNo) -> Record {
        let mut rng = rng(&[self.seed, seqno, 1]);
        Record { seqno, account: rng.u32(..ACCOUNTS), amount: rng.u32(1..=1000) }
    }
}
