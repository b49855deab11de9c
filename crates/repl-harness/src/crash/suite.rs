//! Runs the real protocol and every mutant within the same bounds.

use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use super::damage::{DamageReport, damage};
use super::deltas::deltas;
use super::explore::{Config, Progress, Report, explore};
use super::invariant::Violation;
use super::kind::StoreKind;
use super::lengths::lengths;
use super::mutants::Mutant;
use super::replaced::{ReplacedReport, replaced};

/// The result of the whole suite.
#[derive(Debug, Clone)]
pub struct SuiteReport {
    /// The real protocol, for each kind of store.
    pub stores: Vec<StoreReport>,
    /// Every mutant, for each kind of store.
    pub mutants: Vec<Trial>,
    /// The duration of the suite.
    pub elapsed: Duration,
}

/// The result of the real protocol with one kind of store.
#[derive(Debug, Clone)]
pub struct StoreReport {
    /// The kind of store.
    pub store: StoreKind,
    /// The enumeration of crashes.
    pub crashes: Report,
    /// The enumeration of crashes of saves that are deltas; empty if the store takes none.
    pub deltas: Report,
    /// The enumeration of crashes at lengths around those of pages.
    pub lengths: Report,
    /// The sweep over damaged files.
    pub damage: DamageReport,
    /// Files that are replaced under an open store.
    pub replaced: ReplacedReport,
}

/// The result of one mutant.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The mutant.
    pub mutant: Mutant,
    /// The kind of store.
    pub store: StoreKind,
    /// The bounds and the violation; `None` if the mutant was not caught, which is a failure.
    pub caught: Option<(Stage, Violation)>,
    /// The duration of the trial.
    pub elapsed: Duration,
}

/// The bounds under which a mutant was caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The enumeration of crashes.
    Crashes {
        /// The number of crashes.
        crashes: usize,
        /// The number of failing calls.
        faults: usize,
    },
    /// The enumeration of crashes of saves that are deltas.
    Deltas {
        /// The number of crashes.
        crashes: usize,
        /// The number of failing calls.
        faults: usize,
    },
    /// The enumeration of crashes at lengths around those of pages.
    Lengths,
    /// The sweep over damaged files.
    Damage,
    /// Files that are replaced under an open store.
    Replaced,
}

/// The bounds of a trial, from narrow to wide.
const STAGES: [Stage; 5] = [
    Stage::Crashes { crashes: 1, faults: 0 },
    Stage::Crashes { crashes: 1, faults: 1 },
    Stage::Crashes { crashes: 2, faults: 0 },
    Stage::Damage,
    Stage::Crashes { crashes: 2, faults: 1 },
];

/// The bounds of the trial of a mutant of deltas.
const OF_DELTAS: [Stage; 2] =
    [Stage::Deltas { crashes: 1, faults: 0 }, Stage::Deltas { crashes: 2, faults: 0 }];

/// The stages of a mutant. Those that only one stage can catch, or that all before it take long to
/// pass, go there at once.
fn stages(mutant: Mutant) -> &'static [Stage] {
    match mutant {
        Mutant::ShortZeros | Mutant::DeltaOnNewest | Mutant::FoundExtended => &[Stage::Lengths],
        Mutant::LockUnchecked
        | Mutant::DirUnchecked
        | Mutant::FileUnchecked
        | Mutant::FileCheckedEarly => &[Stage::Replaced],
        Mutant::DeltaOfNewest
        | Mutant::RemovalsDropped
        | Mutant::DeltaMisplaced
        | Mutant::NoDeltaSync => &OF_DELTAS,
        Mutant::OldDeltasLeft
        | Mutant::LinkUnchecked
        | Mutant::DeltaUnchecked
        | Mutant::DamagedDeltaSkipped
        | Mutant::ClosingUnchecked
        | Mutant::OneGeneration
        | Mutant::TwoTornAccepted
        | Mutant::CorruptSkipped
        | Mutant::EmptyIsAbsent
        | Mutant::HeaderUnchecked
        | Mutant::LengthUnchecked
        | Mutant::TailUnchecked
        | Mutant::PageUnchecked => &[Stage::Damage],
        Mutant::FirstSaveInPlace | Mutant::FloorsAtOpen => &STAGES[2..],
        Mutant::MarkerKept => &STAGES[4..],
        _ => &STAGES,
    }
}

impl SuiteReport {
    /// Returns whether the real protocol passes, every image was tried, and every mutant was caught.
    pub fn passed(&self) -> bool {
        self.stores.iter().all(StoreReport::passed)
            && self.mutants.iter().all(|trial| trial.caught.is_some())
    }
}

impl StoreReport {
    fn passed(&self) -> bool {
        let crashes = [&self.crashes, &self.deltas, &self.lengths];
        // Without deltas nothing of them was tried.
        let slots = self.store == StoreKind::Slots;
        let has_deltas = [&self.deltas, &self.lengths].iter().all(|part| part.deltas > 0);
        crashes.iter().all(|crashes| crashes.violation.is_none() && crashes.not_enumerated == 0)
            && has_deltas == slots
            && self.damage.violation.is_none()
            && self.replaced.violation.is_none()
    }
}

/// Runs everything with every kind of store. Ignores `config.store`.
///
/// `on_progress` is called with the name of a part that runs, ten times a second for each.
pub fn suite(config: &Config, mut on_progress: impl FnMut(&str, &Progress)) -> SuiteReport {
    let started = Instant::now();
    let mut stores = Vec::new();
    let mut mutants = Vec::new();
    for store in StoreKind::ALL.iter().copied() {
        let config = Config { store, ..*config };
        let name = store.to_string();
        let crashes = explore(&config, None, |progress| on_progress(&name, progress));
        let deltas = deltas(&config, None, |progress| on_progress(&name, progress));
        let lengths = lengths(&config, None, |progress| on_progress(&name, progress));
        let damage = damage(&config, None);
        let replaced = replaced(store, None);
        stores.push(StoreReport { store, crashes, deltas, lengths, damage, replaced });
        mutants.extend(trials(&config, &mut on_progress));
    }
    SuiteReport { stores, mutants, elapsed: started.elapsed() }
}

/// Runs the mutants of a store, as many at once as there are threads, as a damage sweep has one.
fn trials(config: &Config, mut on_progress: impl FnMut(&str, &Progress)) -> Vec<Trial> {
    let Config { store, threads, .. } = *config;
    let alone = Config { threads: 1, ..*config };
    let waiting = Mutex::new(Mutant::ALL.iter().filter(|mutant| mutant.stores().contains(&store)));
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let (reports, received) = mpsc::channel();
    let mut trials: Vec<Trial> = thread::scope(|scope| {
        let runs: Vec<_> = (0..threads.max(1))
            .map(|_| (reports.clone(), next))
            .map(|(reports, next)| {
                scope.spawn(move || {
                    let run = |mutant: &Mutant| {
                        let report = |progress: &Progress| {
                            let _ = reports.send((*mutant, *progress)); // no one looks after a panic
                        };
                        try_mutant(&alone, *mutant, report)
                    };
                    std::iter::from_fn(next).map(run).collect::<Vec<_>>()
                })
            })
            .collect();
        drop(reports);
        for (mutant, progress) in received {
            on_progress(&format!("{store}: {}", mutant.about()), &progress);
        }
        runs.into_iter().flat_map(finished).collect()
    });
    trials.sort_by_key(|trial| trial.mutant);
    trials
}

/// What a thread returned; a panic goes on in this one.
fn finished<T>(run: ScopedJoinHandle<'_, T>) -> T {
    run.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// Runs one mutant within ever wider bounds until it is caught. The bounds never exceed those of
/// `config`.
pub fn try_mutant(
    config: &Config,
    mutant: Mutant,
    mut on_progress: impl FnMut(&Progress),
) -> Trial {
    let started = Instant::now();
    let caught = stages(mutant).iter().copied().find_map(|stage| {
        let violation = match stage {
            Stage::Replaced => replaced(config.store, Some(mutant)).violation,
            Stage::Lengths => lengths(config, Some(mutant), &mut on_progress).violation,
            Stage::Damage => damage(config, Some(mutant)).violation,
            Stage::Deltas { crashes, faults } => {
                let crashes = crashes.min(config.crashes);
                let bounds = Config { crashes, faults: faults.min(config.faults), ..*config };
                deltas(&bounds, Some(mutant), &mut on_progress).violation
            }
            Stage::Crashes { crashes, faults }
                if crashes <= config.crashes && faults <= config.faults =>
            {
                let bounds = Config { crashes, faults, ..*config };
                explore(&bounds, Some(mutant), &mut on_progress).violation
            }
            // The lengths take a while, and make a difference to no other mutant.
            Stage::Crashes { .. } => None,
        };
        Some((stage, violation?))
    });
    Trial { mutant, store: config.store, caught, elapsed: started.elapsed() }
}
