//! A process opens its store again after a save in doubt.

use repl_checkpoint::{CheckpointError, ReopenError};

use super::{Follower, Plan, Process};
use crate::crash::history::Written;
use crate::crash::invariant::{Invariant, Violation};
use crate::crash::mutants::Opened;

impl Process<'_> {
    /// Opens the store again. Returns whether the process may save again: not if another process
    /// has saved in the meantime.
    pub(super) fn reopen(&mut self, follower: &mut Follower) -> Result<bool, Violation> {
        self.in_doubt = self.in_doubt.or(Some(self.disk.call_count()));
        self.check_poisoned(follower)?;
        let mut of_other = Ok(());
        let Follower { saver, notes, .. } = &mut *follower;
        let reopened = saver.reopen(|| {
            if self.plan.other {
                of_other = self.run_other();
            }
            self.protocol.open_watched(self.disk, notes, Opened::Again)
        });
        of_other?;
        match reopened {
            Ok(()) if self.plan.other => {
                let what = "it goes on although another process has saved";
                Err(Violation::new(Invariant::ReopenFindsOwn, what))
            }
            Ok(()) => {
                follower.found = self.found_again(follower)?;
                follower.opened = Opened::Again;
                follower.saves = 0;
                self.claim(follower)?;
                Ok(true)
            }
            Err(ReopenError::OtherCheckpoint { .. }) if self.plan.other => {
                self.check_poisoned(follower)?;
                Ok(false)
            }
            Err(error) => Err(Violation::new(Invariant::ReopenSucceeds, error.to_string())),
        }
    }

    /// Another process recovers, saves once and ends.
    fn run_other(&mut self) -> Result<(), Violation> {
        let plan = Plan {
            saves: self.plan.spare.first().cloned().into_iter().collect(),
            spare: Vec::new(),
            other: false,
            after_cut: false,
            ..self.plan.clone()
        };
        let timeline = std::mem::take(&mut self.timeline);
        let (protocol, disk) = (self.protocol, self.disk);
        let mut other =
            Process { protocol, disk, plan: &plan, timeline, in_doubt: None, deltas: 0 };
        let result = other.run();
        self.timeline = other.timeline;
        result
    }

    /// The possible checkpoint that the store held when it was opened again.
    fn found_again(&self, follower: &Follower) -> Result<Written, Violation> {
        let history = self.history();
        let loaded = &follower.notes.lock().loaded;
        history.newest_of(loaded).cloned().ok_or_else(|| {
            let what = format!("none of the generations in the store is possible: {loaded:?}");
            Violation::new(Invariant::ReopenFindsOwn, what)
        })
    }

    /// Checks that a poisoned checkpointer begins nothing.
    fn check_poisoned(&self, follower: &mut Follower) -> Result<(), Violation> {
        let what = "a save is in doubt, and another is tried";
        let begun = self.writes_nothing(follower, what, |follower| follower.saver.begin())?;
        match begun {
            Err(CheckpointError::Poisoned { .. }) => Ok(()),
            other => Err(Violation::new(Invariant::OnlyFlushedIsSaved, format!("{other:?}"))),
        }
    }
}
