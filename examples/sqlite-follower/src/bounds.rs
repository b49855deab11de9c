//! A log as [`reconcile`](repl_core::reconcile()) takes it, and what the follower has applied of it.
//!
//! A `-wal` file has no epochs. It has a checksum at each frame that covers all frames before, which
//! tells the same: a log with another checksum at the mark counts as a later epoch of its own.

use repl_core::{AppliedSet, EpochStart, Epochs, LogBounds, LogId, Progress, SeqNo};

/// How the log looks from the mark of a shard.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Seen {
    /// It holds the mark, or goes on from there.
    Holds,
    /// Another log begins at this seqno, and does not go on from the mark.
    Begins(SeqNo),
    /// Its content at the mark is different.
    Differs,
    /// There is no log.
    Gone,
}

/// What a shard has applied.
pub(crate) fn progress(log: LogId, mark: SeqNo) -> Progress {
    Progress::Applied { log, applied: AppliedSet::up_to(mark), epochs: epochs(1, mark) }
}

/// What the log offers beside a mark. Where it holds the mark, that it goes on does not matter.
pub(crate) fn bounds(log: LogId, mark: SeqNo, seen: Seen) -> LogBounds {
    let (last_deleted, last, epoch) = match seen {
        Seen::Holds => (start_of(mark), mark, 1),
        Seen::Begins(start) if start > mark => (start, start, 1),
        Seen::Begins(_) | Seen::Differs => (start_of(mark), mark, 2),
        Seen::Gone => (0, 0, 1),
    };
    LogBounds { log, last_deleted, last, epochs: epochs(epoch, mark) }
}

/// What a log offers to a shard that has no mark. What is before the first log is in the database
/// alone.
pub(crate) fn first_log() -> LogBounds {
    LogBounds { last_deleted: 1 << 32, last: 1 << 32, ..LogBounds::default() }
}

/// The seqno of the start of the log that a mark is in.
fn start_of(mark: SeqNo) -> SeqNo {
    mark >> 32 << 32
}

fn epochs(epoch: u64, mark: SeqNo) -> Epochs {
    // One epoch is always in order.
    Epochs::new([EpochStart { epoch, first: start_of(mark) }]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use repl_core::{Verdict, reconcile};

    use super::*;

    #[test]
    fn every_log_that_does_not_hold_the_mark_has_its_verdict() {
        let (log, mark) = (LogId(7), (3 << 32) + 9);
        for (seen, verdict) in [
            (Seen::Holds, Verdict::Resume { mark }),
            (Seen::Begins(4 << 32), Verdict::BehindRetention { mark, last_deleted: 4 << 32 }),
            (Seen::Begins(0), Verdict::Diverged { common: None }),
            (Seen::Differs, Verdict::Diverged { common: None }),
            (Seen::Gone, Verdict::AheadOfLog { applied: mark, last: 0 }),
        ] {
            assert_eq!(reconcile(&progress(log, mark), &bounds(log, mark, seen)), verdict);
        }
        let behind = Verdict::BehindRetention { mark: 0, last_deleted: 1 << 32 };
        assert_eq!(reconcile(&Progress::Nothing, &first_log()), behind);
        assert_eq!(reconcile(&Progress::DataWithoutMarks, &first_log()), Verdict::NoProgress);
    }
}
