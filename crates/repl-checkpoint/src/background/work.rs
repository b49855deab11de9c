//! The loop of the background thread.
//!
//! # At rest
//! A look at marks that have not moved costs little, but a thread that wakes up for it costs a few
//! microseconds each time, and a process may have hundreds of them. So after some looks that found
//! nothing to save, the thread waits for a change of the state instead
//! ([`any_change`](repl_core::ReplicationState::any_change)), before its last look, so that none is
//! missed. The first change wakes it, once. It then saves when it would have looked next, as if it
//! had never slept: no change waits for longer than an interval.
//!
//! Looking less often instead would break that bound, and looking at the same rate costs a
//! percentage of a core for hundreds of checkpointers, or for one over a million shards.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use repl_core::{AnyChange, Snapshot};

use super::Schedule;
use super::signal::{End, Signal};
use crate::attempt::Attempt;
use crate::checkpointer::{CheckpointError, Checkpointer, Saved};

/// A shorter interval would keep a core busy while nothing moves.
const SHORTEST: Duration = Duration::from_millis(1);

/// The number of looks in a row that find nothing to save before the thread rests. To begin a rest
/// costs about as much as this many looks.
const LOOKS: u32 = 2;

/// When the last save was tried, and the marks then where the schedule counts what has moved.
pub(super) struct LastSave {
    pub(super) began: Instant,
    pub(super) marks: Option<Snapshot>,
}

pub(super) struct Work<F, G> {
    pub(super) checkpointer: Checkpointer,
    pub(super) when: Schedule,
    pub(super) flush: F,
    pub(super) on_error: G,
}

impl<F, G> Work<F, G>
where
    F: FnMut(&mut Attempt) -> Result<(), Box<dyn Error + Send + Sync>>,
    G: FnMut(&CheckpointError),
{
    /// Saves when a save is due, until the thread is to end; returns the result of the last save.
    pub(super) fn run(
        &mut self,
        first: LastSave,
        signal: &Arc<Signal>,
    ) -> Result<(), Arc<CheckpointError>> {
        let mut last = first;
        let (mut rest, mut unchanged) = (None, 0);
        loop {
            match self.wait(signal, &last, rest.take()) {
                Some(End::AtOnce) => return Ok(()),
                Some(End::AfterLastSave) => return self.save(signal).map(drop),
                None => {}
            }
            let change = (unchanged >= LOOKS).then(|| self.checkpointer.state().any_change());
            last = LastSave { began: Instant::now(), marks: self.when.moved.map(|_| self.marks()) };
            // `on_error` has seen the error.
            let is_held = matches!(self.save(signal), Ok(None));
            unchanged = if is_held { unchanged.saturating_add(1) } else { 0 };
            rest = change.filter(|_| is_held);
        }
    }

    /// Waits until a save is due, or returns how the thread is to end.
    fn wait(
        &self,
        signal: &Arc<Signal>,
        last: &LastSave,
        mut rest: Option<AnyChange>,
    ) -> Option<End> {
        let shared = self.checkpointer.shared();
        let stuck = shared.doubt().is_some();
        let waker = Waker::from(Arc::clone(signal));
        let mut due = next_due(self.when.interval, last.began, last.began);
        shared.set_rest(rest.clone());
        loop {
            let has_changed = |change: &mut AnyChange| {
                Pin::new(change).poll(&mut Context::from_waker(&waker)).is_ready()
            };
            if rest.as_mut().is_some_and(has_changed) {
                rest = None;
                shared.set_rest(None);
                due = next_due(self.when.interval, last.began, Instant::now());
            }
            let awake = !stuck && rest.is_none();
            let left = due.map(|due| due.saturating_duration_since(Instant::now()));
            let poll = self.when.moved.map(|_| self.when.poll.max(SHORTEST));
            let timeout = left.into_iter().chain(poll).min();
            let wanted = signal.wait(timeout.filter(|_| awake));
            let is_due = || due.is_some_and(|due| Instant::now() >= due);
            let is_wanted = !stuck && wanted.save || awake && (is_due() || self.moved_enough(last));
            // A request gets a result even when no save is tried.
            if wanted.end.is_some() || wanted.results || is_wanted {
                shared.set_rest(None);
                return wanted.end;
            }
        }
    }

    fn moved_enough(&self, last: &LastSave) -> bool {
        let before = self.when.moved.zip(last.marks.as_ref());
        before.is_some_and(|(by, before)| self.marks().advanced_since(before) >= by)
    }

    fn marks(&self) -> Snapshot {
        self.checkpointer.state().marks()
    }

    /// Returns `None` where the last two saves hold the marks already.
    fn save(&mut self, signal: &Signal) -> Result<Option<Saved>, Arc<CheckpointError>> {
        let requests = signal.take_requests(); // before the snapshot, which so covers them
        let result = self.checkpointer.attempt(&mut self.flush).map_err(|error| {
            (self.on_error)(&error);
            Arc::new(error)
        });
        requests.answer(&result.clone().map(|saved| saved.unwrap_or(Saved::Unchanged)));
        result
    }
}

/// The first time after `now` at which a save is due, counted in intervals from `began`. An interval
/// beyond the end of the clock is never due.
fn next_due(interval: Duration, began: Instant, now: Instant) -> Option<Instant> {
    let interval = interval.max(SHORTEST).as_nanos();
    let left = interval - now.saturating_duration_since(began).as_nanos() % interval;
    now.checked_add(Duration::from_nanos(u64::try_from(left).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_save_is_due_at_the_multiples_of_the_interval_however_long_the_thread_has_slept() {
        let began = Instant::now();
        let after = |ms| began + Duration::from_millis(ms);
        let due = |interval, ms| next_due(Duration::from_millis(interval), began, after(ms));
        assert_eq!([0, 30, 99].map(|ms| due(100, ms)), [Some(after(100)); 3]);
        assert_eq!([100, 150].map(|ms| due(100, ms)), [Some(after(200)); 2]);
        assert_eq!(due(100, 86_400_001), Some(after(86_400_100)));
        assert_eq!(due(0, 5), Some(after(6)), "an interval of 0 is a millisecond");
        assert_eq!(next_due(Duration::MAX, began, began), None);
    }
}
