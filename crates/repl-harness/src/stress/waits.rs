//! What every wait is checked for, however it is done.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

use repl_core::{SeqNo, WaitError};

use super::checker::{Checked, Checker};
use super::ledger::Life;
use super::report::Operations;
use super::seqnos::{self, Origin};
use super::subject::{Handle, Subject, Waited};
use super::violation::Invariant;

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    Reached(SeqNo),
    TimedOut,
    Removed,
    Closed,
}

impl Operations {
    pub(crate) fn waited(&mut self, ended: Ended) {
        *match ended {
            Ended::Reached(_) => &mut self.waits_reached,
            Ended::TimedOut => &mut self.waits_timed_out,
            Ended::Removed => &mut self.waits_removed,
            Ended::Closed => &mut self.waits_closed,
        } += 1;
    }
}

/// What was known before a wait began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    seqno: SeqNo,
    seen: SeqNo,
    ended: bool,
    closed: bool,
    /// When it began, and how long it may take at least.
    timeout: Option<(Instant, Duration)>,
}

impl<S: Subject> Checker<'_, S> {
    /// To be called before a wait on this life.
    pub(crate) fn asks(&self, life: &Life, seqno: SeqNo, timeout: Option<Duration>) -> Asked {
        Asked {
            seqno,
            seen: life.has_seen(),
            ended: life.ended.load(SeqCst),
            closed: self.ledger.closed.load(SeqCst),
            timeout: timeout.map(|timeout| (Instant::now(), timeout)),
        }
    }

    /// To be called after it.
    pub(crate) fn waited(
        &self,
        handle: &S::Handle,
        life: &Life,
        asked: &Asked,
        result: Waited,
    ) -> Checked<Ended> {
        let ended = self.ended(life, asked, result)?;
        if let Ended::Reached(mark) = ended {
            self.written(life, mark)?;
            self.saw(life, asked.seen, mark)?;
            self.saw(life, mark, handle.applied())?;
        }
        Ok(ended)
    }

    /// The wait ended for a reason that holds.
    fn ended(&self, life: &Life, asked: &Asked, result: Waited) -> Checked<Ended> {
        let Asked { seqno, seen, ended, closed, timeout } = *asked;
        let (holds, how) = match result {
            Ok(mark) => {
                self.at_most(Invariant::ReachedIsReached, life, seqno, mark)?;
                (!ended, Ended::Reached(mark))
            }
            Err(WaitError::Removed) => (life.ending.load(SeqCst), Ended::Removed),
            Err(WaitError::Closed) => {
                let closing = self.ledger.closing.load(SeqCst);
                (closing && !ended && seen < seqno, Ended::Closed)
            }
            Err(WaitError::Timeout) => {
                let up = timeout.is_some_and(|(began, least)| began.elapsed() >= least);
                (up && !ended && !closed && seen < seqno, Ended::TimedOut)
            }
            Err(WaitError::UnknownShard) => (false, Ended::Removed),
        };
        if !holds {
            self.at_most(Invariant::WaitIsTrue, life, seqno, None)?;
        }
        Ok(how)
    }

    /// What was written before the mark was moved there is seen. To be called before anything else
    /// that could publish it.
    pub(crate) fn written(&self, life: &Life, mark: SeqNo) -> Checked {
        let start = life.start.get().copied();
        let seen = if start.is_none_or(|start| start == mark) {
            mark
        } else if let Some(work) = &life.work {
            work.sees_written(mark)
        } else {
            let by_id =
                self.ledger.shard(life.shard).map(|shard| shard.written_by_id.load(Relaxed));
            match seqnos::origin(mark) {
                Some(Origin::ByHandle) => life.written.load(Relaxed),
                Some(Origin::ById) => by_id.unwrap_or(0),
                Some(Origin::Start) | None => mark,
            }
        };
        self.at_most(Invariant::WrittenIsSeen, life, mark, seen)
    }
}
