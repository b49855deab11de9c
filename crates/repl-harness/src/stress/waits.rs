//! The checks of every kind of wait.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

use repl_core::{SeqNo, Shard, WaitError};

use super::checker::{Checked, Checker};
use super::faults::Faults;
use super::ledger::Record;
use super::report::Operations;
use super::seqnos::{self, Origin};
use super::violation::Invariant;

/// The result of a wait: a mark at or above the awaited seqno.
pub(crate) type Waited = Result<SeqNo, WaitError>;

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Reached(SeqNo),
    TimedOut,
    Removed,
    Closed,
}

impl Operations {
    pub(crate) fn count_wait(&mut self, ended: Ended) {
        *match ended {
            Ended::Reached(_) => &mut self.waits_reached,
            Ended::TimedOut => &mut self.waits_timed_out,
            Ended::Removed => &mut self.waits_removed,
            Ended::Closed => &mut self.waits_closed,
        } += 1;
    }
}

/// The facts known before a wait began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BeforeWait {
    seqno: SeqNo,
    seen: SeqNo,
    ended: bool,
    closed: bool,
    /// The start of the wait and its timeout.
    timeout: Option<(Instant, Duration)>,
}

impl<F: Faults> Checker<'_, F> {
    /// Must be called before a wait on this incarnation.
    pub(crate) fn before_wait(
        &self,
        record: &Record,
        seqno: SeqNo,
        timeout: Option<Duration>,
    ) -> BeforeWait {
        BeforeWait {
            seqno,
            seen: record.least_mark(),
            ended: record.ended.load(SeqCst),
            closed: self.ledger.closed.load(SeqCst),
            timeout: timeout.map(|timeout| (Instant::now(), timeout)),
        }
    }

    /// Checks the result of a wait.
    pub(crate) fn check_wait(
        &self,
        handle: &Shard,
        record: &Record,
        before: &BeforeWait,
        result: Waited,
    ) -> Checked<Ended> {
        let ended = self.ended(record, before, result)?;
        if let Ended::Reached(mark) = ended {
            self.written(record, mark)?;
            self.check_mark(record, before.seen, mark)?;
            self.check_mark(record, mark, self.subject.faults.applied(handle))?;
        }
        Ok(ended)
    }

    /// Checks that the reason for which a wait ended is true.
    fn ended(&self, record: &Record, before: &BeforeWait, result: Waited) -> Checked<Ended> {
        let BeforeWait { seqno, seen, ended, closed, timeout } = *before;
        let (holds, how) = match result {
            Ok(mark) => {
                self.at_most(Invariant::ReachedMarkIsHighEnough, record, seqno, mark)?;
                (!ended, Ended::Reached(mark))
            }
            Err(WaitError::Removed) => (record.ending.load(SeqCst), Ended::Removed),
            Err(WaitError::Closed) => {
                let closing = self.ledger.closing.load(SeqCst);
                (closing && !ended && seen < seqno, Ended::Closed)
            }
            Err(WaitError::Timeout) => {
                let up = timeout.is_some_and(|(began, least)| began.elapsed() >= least);
                (up && !ended && !closed && seen < seqno, Ended::TimedOut)
            }
            Err(_) => (false, Ended::Removed),
        };
        if !holds {
            self.at_most(Invariant::WaitEndsForItsReason, record, seqno, None)?;
        }
        Ok(how)
    }

    /// Checks that the writes made before the mark was reached are visible. Must be called before
    /// anything else that could make them visible.
    pub(crate) fn written(&self, record: &Record, mark: SeqNo) -> Checked {
        let start = record.start.get().copied();
        let seen = if start.is_none_or(|start| start == mark) {
            mark
        } else if let Some(work) = &record.work {
            work.visible_write(mark)
        } else {
            let by_id =
                self.ledger.shard(record.shard).map(|shard| shard.written_by_id.load(Relaxed));
            match seqnos::origin(mark) {
                Some(Origin::ByHandle) => record.written.load(Relaxed),
                Some(Origin::ById) => by_id.unwrap_or(0),
                Some(Origin::Start) | None => mark,
            }
        };
        self.at_most(Invariant::WritesAreVisible, record, mark, seen)
    }
}
