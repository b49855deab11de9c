//! Checks what a power cut leaves of writers that were killed and restarted.

use super::checker::{Failure, Known, Run, RunResult, SHOWN, shown};
use super::event::Event;

#[cfg(test)]
mod tests;

/// What the writers of one follower reported up to an instant.
///
/// A writer may be killed at any time. The next one finds files that need not be durable, so what
/// it recovers may be lost in a power cut.
#[derive(Clone)]
pub(crate) struct WriterHistory {
    known: Known,
    /// What the present writer did.
    result: RunResult,
}

impl Default for WriterHistory {
    fn default() -> Self {
        WriterHistory::new()
    }
}

impl WriterHistory {
    /// Creates the history of a store that was never opened.
    pub(crate) fn new() -> Self {
        WriterHistory { known: Known::new(), result: RunResult::default() }
    }

    /// Begins a new writer: the one before it was killed.
    pub(crate) fn restart(&mut self) {
        self.result = RunResult::default();
    }

    /// Adds an event of the present writer.
    ///
    /// # Errors
    /// [`Failure`] if it breaks a promise, or is a call that failed.
    pub(crate) fn report(&mut self, event: Event) -> Result<(), Failure> {
        let result = std::mem::take(&mut self.result);
        self.result = checked(&mut self.known, result, [event], false)?;
        Ok(())
    }

    /// Checks a writer that runs on the files that a power cut leaves at this instant.
    ///
    /// # Errors
    /// [`Failure`] if it breaks a promise, or a call failed.
    pub(crate) fn check_cut(
        &self,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<RunResult, Failure> {
        checked(&mut self.known.clone(), RunResult::default(), events, true)
    }
}

fn checked(
    known: &mut Known,
    result: RunResult,
    events: impl IntoIterator<Item = Event>,
    after_cut: bool,
) -> Result<RunResult, Failure> {
    let mut script = Vec::new();
    let mut run = Run { known, result, after_cut };
    for event in events {
        if script.len() == SHOWN {
            script.remove(0);
        }
        script.push(shown(&event));
        run.check(event).map_err(|broken| Failure::Broken(broken.after(script.clone())))?;
    }
    match run.result.failed {
        None => Ok(run.result),
        Some(_) => Err(Failure::Unexpected(format!("a call failed:\n  {}", script.join("\n  ")))),
    }
}
