//! Damage at rest: to files that were written, synced and named correctly.

mod case;
mod chains;
mod files;
mod format;
mod slots;

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use repl_checkpoint::{OnCorrupt, RecoverErrorKind, Recovered, Source};

use super::disk::{SimDisk, State};
use super::explore::Config;
use super::history::History;
use super::invariant::{Invariant, Violation};
use super::kind::StoreKind;
use super::layout::short;
use super::mutants::Mutant;
use super::process::{Plan, Trace, found, run_process, shards};
use super::protocol::{Protocol, Refused};
use crate::panics::caught;

use self::case::{Case, Hit};
use self::format::Outcome;

/// The result of a sweep over damaged files.
#[derive(Debug, Clone)]
pub struct DamageReport {
    /// The number of damaged disks. Each was recovered from with both values of [`OnCorrupt`].
    pub images: u64,
    /// The duration of the sweep.
    pub elapsed: Duration,
    /// The first broken promise.
    pub violation: Option<Violation>,
}

impl fmt::Display for DamageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        write!(f, "{} damaged disks; {seconds:.1} s", self.images)?;
        match &self.violation {
            Some(violation) => write!(f, "\n{violation}"),
            None => write!(f, "; no violation"),
        }
    }
}

/// Damages the files of a store in every way, one file at a time, and recovers after each.
pub fn damage(config: &Config, mutant: Option<Mutant>) -> DamageReport {
    let started = Instant::now();
    let protocol = Protocol::of(config.store, mutant);
    let mut sweep = Sweep { protocol, config: *config, images: 0, differs: None };
    let swept = match config.store {
        StoreKind::Files => files::sweep(&mut sweep),
        StoreKind::Slots if mutant.is_some_and(is_of_chains) => {
            chains::sweep(&mut sweep).and_then(|()| slots::sweep(&mut sweep))
        }
        StoreKind::Slots => slots::sweep(&mut sweep).and_then(|()| chains::sweep(&mut sweep)),
    };
    DamageReport {
        images: sweep.images,
        elapsed: started.elapsed(),
        violation: swept.err().or(sweep.differs),
    }
}

/// Whether only damage to a chain of deltas shows the mutant.
fn is_of_chains(mutant: Mutant) -> bool {
    matches!(
        mutant,
        Mutant::OldDeltasLeft
            | Mutant::LinkUnchecked
            | Mutant::DeltaUnchecked
            | Mutant::DamagedDeltaSkipped
    )
}

struct Sweep {
    protocol: Protocol,
    config: Config,
    images: u64,
    /// The first recovery that differs from what the format says. It is the violation if no other
    /// promise is broken, as those say more.
    differs: Option<Violation>,
}

/// A disk without damage.
struct Base {
    state: State,
    history: History,
    /// The newest generation.
    newest: u64,
    /// The disk before each call.
    before: Vec<State>,
}

impl Sweep {
    /// The disk after a process that saves this often, on an empty disk or on another base.
    fn base(&self, on: Option<&Base>, saves: usize) -> Result<Base, Violation> {
        self.base_of(on, saves, on.map_or(1, |on| on.newest + 1))
    }

    /// The same for process number `process`, which decides the marks.
    fn base_of(&self, on: Option<&Base>, saves: usize, process: u64) -> Result<Base, Violation> {
        let shards = self.config.shards;
        let plan = Plan::of(&self.config, process, saves, 0);
        let (state, history) = match on {
            Some(on) => (on.state.clone(), on.history.clone()),
            None => (State::with_sectors(self.config.sector), History::new(shards)),
        };
        let trace: Trace = run_process(self.protocol, &state, &history, &plan);
        let history = trace.history(trace.calls.len());
        match (trace.states.last(), history, &trace.broken) {
            (Some(state), Some(history), None) => Ok(Base {
                state: state.clone(),
                history: history.clone(),
                newest: history.attempted().last().map_or(0, |value| value.generation),
                before: trace.states.clone(),
            }),
            (_, _, broken) => {
                let nothing = || Violation::new(Invariant::NextSaveSucceeds, "nothing ran");
                Err(broken.clone().unwrap_or_else(nothing))
            }
        }
    }

    /// Damages one file and recovers, with both values of [`OnCorrupt`].
    fn check(&mut self, base: &Base, path: &Path, case: &Case) -> Result<(), Violation> {
        let mut damaged = base.state.clone();
        let done = match &case.bytes {
            Some(bytes) => damaged.put(path, bytes.clone()),
            None => damaged.remove(path),
        };
        self.images += 1;
        for on_corrupt in [OnCorrupt::Fail, OnCorrupt::FallBack] {
            let recover = || self.recover(&damaged, base, case, on_corrupt);
            let result = match (&done, caught(recover)) {
                (Err(err), _) => Err(Violation::new(Invariant::NoPanic, err.to_string())),
                (Ok(()), Ok(result)) => result,
                (Ok(()), Err(panic)) => Err(Violation::new(Invariant::NoPanic, panic)),
            };
            let at = |broken: Violation| {
                let damage = format!("{}: {}", short(path), case.how);
                broken.after(vec![damage, format!("{on_corrupt:?}")])
            };
            let outcome = result.map_err(at)?;
            if let Err(broken) = self.check_format(case, on_corrupt, outcome) {
                self.differs.get_or_insert_with(|| at(broken));
            }
        }
        Ok(())
    }

    fn recover(
        &self,
        state: &State,
        base: &Base,
        case: &Case,
        on_corrupt: OnCorrupt,
    ) -> Result<Outcome, Violation> {
        let disk = SimDisk::of(state.clone());
        let shards = shards(self.config.shards);
        let (mut follower, notes) = match self.protocol.recover(&disk, &shards, on_corrupt) {
            Ok(recovered) => recovered,
            Err(refused) => {
                return self.refused(&refused, case, on_corrupt).map(|()| Outcome::Refused);
            }
        };
        let value = found(&follower, &notes, &shards)?;
        if value.generation != 0 && !base.history.attempted().contains(&value) {
            let what = format!("generation {} differs from what was written", value.generation);
            return Err(Violation::new(Invariant::RecoveredWasWritten, what));
        }
        if case.keeps_floors(on_corrupt) {
            base.history.check_floors(&value)?;
        }
        let silent = match self.protocol.store {
            StoreKind::Files => files::is_silent(&follower, state, on_corrupt),
            StoreKind::Slots => slots::is_silent(&follower, base, case, on_corrupt),
        };
        if silent {
            let (origin, newest) = (&follower.report.source, base.newest);
            let what = format!("{origin:?}, but {newest} was the newest");
            return Err(Violation::new(Invariant::DamageIsReported, what));
        }
        if case.save {
            let saved = follower.checkpointer.checkpoint(|_| Ok(()));
            saved.map_err(|err| Violation::new(Invariant::NextSaveSucceeds, err.to_string()))?;
        }
        let damaged = match &follower.report.source {
            Source::FellBack { damaged, .. } => damaged.len(),
            Source::Fresh | Source::Resumed { .. } => 0,
        };
        Ok(Outcome::Found { generation: value.generation, damaged })
    }

    /// Checks that recovery finds exactly what the format of a slot file says.
    fn check_format(
        &self,
        case: &Case,
        on_corrupt: OnCorrupt,
        found: Outcome,
    ) -> Result<(), Violation> {
        if self.protocol.store == StoreKind::Files {
            return Ok(());
        }
        // A file that is gone was there, as its marker says.
        let bytes = case.bytes.as_deref();
        let expected = bytes.map_or(Outcome::Refused, |file| format::outcome(file, on_corrupt));
        if found == expected {
            return Ok(());
        }
        let what = format!("{found:?}, and by the format {expected:?}");
        Err(Violation::new(Invariant::FormatHolds, what))
    }

    /// Checks an error: it reports the damage, but damage to one checkpoint must leave an older one.
    fn refused(
        &self,
        refused: &Refused,
        case: &Case,
        on_corrupt: OnCorrupt,
    ) -> Result<(), Violation> {
        let other_left = match (self.protocol.store, refused) {
            (StoreKind::Files, Refused::Recover(error))
                if matches!(error.kind(), RecoverErrorKind::Corrupt { .. }) =>
            {
                on_corrupt == OnCorrupt::FallBack
            }
            (StoreKind::Files, _) => false,
            (StoreKind::Slots, _) => matches!(case.hit, Hit::Page | Hit::Newest | Hit::Older),
        };
        if other_left {
            return Err(Violation::new(Invariant::OneDamageSurvived, refused.to_string()));
        }
        Ok(())
    }
}

/// Whether an older checkpoint than this was recovered without a report.
fn is_older(follower: &Recovered, newest: u64) -> bool {
    matches!(follower.report.source, Source::Resumed { generation } if generation != newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differs(mutant: Option<Mutant>) -> Option<Invariant> {
        let config = Config { store: StoreKind::Slots, stride: 97, ..Config::default() };
        let protocol = Protocol::of(config.store, mutant);
        let mut sweep = Sweep { protocol, config, images: 0, differs: None };
        let swept = slots::sweep(&mut sweep);
        assert_eq!(swept.is_err(), mutant.is_some());
        sweep.differs.map(|violation| violation.invariant)
    }

    #[test]
    fn a_recovery_that_differs_from_the_format_is_seen() {
        assert_eq!(differs(None), None);
        assert_eq!(differs(Some(Mutant::ClosingUnchecked)), Some(Invariant::FormatHolds));
    }
}
