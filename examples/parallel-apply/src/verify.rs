//! Is the effect of each record there exactly once?

use repl_core::SeqNo;
use thiserror::Error;

use crate::accounts::{Accounts, AccountsError, Contents};
use crate::log::{ACCOUNTS, Log, LogError};

/// The comparison could not be made.
#[derive(Debug, Error)]
pub(crate) enum VerifyError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Accounts(#[from] AccountsError),
}

/// What came of it.
pub(crate) struct Verdict {
    pub(crate) faults: Vec<String>,
    pub(crate) out_of_order: u64,
}

/// Compares a database with the log that was applied to it.
pub(crate) fn compare(log: &Log, accounts: &Accounts) -> Result<Verdict, VerifyError> {
    let Contents { applied, sums, times, out_of_order } = accounts.contents()?;
    let mut faults = Vec::new();
    let mut expected = vec![0; ACCOUNTS as usize];
    let mut times = times.into_iter().peekable();
    for seqno in 1..=log.records {
        let record = log.read(seqno)?;
        expected[record.account as usize] += u64::from(record.amount);
        match times.next_if(|(found, _)| *found == seqno) {
            Some((_, 1)) => {}
            Some((_, n)) => faults.push(format!("record {seqno} was applied {n} times")),
            None => faults.push(format!("record {seqno} was never applied")),
        }
    }
    let strange: Vec<SeqNo> = times.map(|(seqno, _)| seqno).collect();
    if !strange.is_empty() {
        faults.push(format!("records {strange:?} were applied, and are not in the log"));
    }
    for (account, expected) in (0..).zip(expected) {
        let held = sums.iter().find(|(found, _)| *found == account).map_or(0, |(_, sum)| *sum);
        if held != expected {
            faults.push(format!(
                "account {account} holds {held}, and its records add up to {expected}"
            ));
        }
    }
    if applied.mark() != log.records {
        let (mark, records) = (applied.mark(), log.records);
        faults.push(format!("the mark is at {mark}, and the log has {records} records"));
    }
    if !applied.above().is_empty() {
        faults.push(format!("completed ranges are left above the mark: {:?}", applied.above()));
    }
    Ok(Verdict { faults, out_of_order })
}
