//! Checks that each record took effect exactly once.

use example_support::Error;
use repl_core::SeqNo;

use crate::accounts::{Accounts, Contents};
use crate::log::{ACCOUNTS, Log};

/// Compares a database with the log applied to it. Returns the faults.
pub(crate) fn compare(log: &Log, accounts: &Accounts) -> Result<Vec<String>, Error> {
    let Contents { applied, sums, times } = accounts.contents()?;
    let mut faults = Vec::new();
    let mut expected = vec![0; ACCOUNTS as usize];
    let mut times = times.into_iter().peekable();
    for seqno in 1..=log.records {
        let record = log.record(seqno);
        expected[record.account as usize] += u64::from(record.amount);
        match times.next_if(|(found, _)| *found == seqno) {
            Some((_, 1)) => {}
            Some((_, n)) => faults.push(format!("record {seqno} was applied {n} times")),
            None => faults.push(format!("record {seqno} was never applied")),
        }
    }
    let unknown: Vec<SeqNo> = times.map(|(seqno, _)| seqno).collect();
    if !unknown.is_empty() {
        faults.push(format!("records {unknown:?} were applied, but are not in the log"));
    }
    for (account, expected) in (0..).zip(expected) {
        let held = sums.iter().find(|(found, _)| *found == account).map_or(0, |(_, sum)| *sum);
        if held != expected {
            faults.push(format!(
                "account {account} holds {held}, but its records add up to {expected}"
            ));
        }
    }
    let (mark, records) = (applied.mark(), log.records);
    if mark != records {
        faults.push(format!("the mark is {mark}, but the log has {records} records"));
    }
    if applied.range_count() > 0 {
        faults.push(format!("completed ranges remain above the mark: {applied:?}"));
    }
    Ok(faults)
}
