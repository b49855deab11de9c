//! The right protocols and all wrong ones, within the same bounds.

use std::time::{Duration, Instant};

use super::explore::{Config, Progress, Report, explore};
use super::invariant::Violation;
use super::media::{MediaReport, damage};
use super::protocol::Store;
use super::sabotage::Sabotage;

/// What came of the whole suite.
#[derive(Debug, Clone)]
pub struct SuiteReport {
    /// The right protocol of each store.
    pub stores: Vec<StoreReport>,
    /// Each wrong protocol of each store.
    pub sabotages: Vec<Trial>,
    /// How long it took.
    pub elapsed: Duration,
}

/// What came of the right protocol of one store.
#[derive(Debug, Clone)]
pub struct StoreReport {
    /// Which.
    pub store: Store,
    /// Every crash.
    pub crashes: Report,
    /// Every damage.
    pub media: MediaReport,
}

/// What came of one wrong protocol.
#[derive(Debug, Clone)]
pub struct Trial {
    /// What was done wrong.
    pub sabotage: Sabotage,
    /// With which store.
    pub store: Store,
    /// What broke, and under which bounds; `None` where nothing did, which is a failure.
    pub caught: Option<(Stage, Violation)>,
    /// How long it took.
    pub elapsed: Duration,
}

/// The bounds under which a wrong protocol was caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// So many crashes and failing calls.
    Crashes {
        /// Crashes.
        crashes: usize,
        /// Failing calls.
        faults: usize,
    },
    /// Damage to a file.
    Media,
}

/// Ever wider bounds.
const STAGES: [Stage; 5] = [
    Stage::Crashes { crashes: 1, faults: 0 },
    Stage::Crashes { crashes: 1, faults: 1 },
    Stage::Crashes { crashes: 2, faults: 0 },
    Stage::Media,
    Stage::Crashes { crashes: 2, faults: 1 },
];

impl SuiteReport {
    /// Whether the right protocol holds, every image was looked at, and every wrong one was caught.
    pub fn passed(&self) -> bool {
        self.stores.iter().all(StoreReport::passed)
            && self.sabotages.iter().all(|trial| trial.caught.is_some())
    }
}

impl StoreReport {
    fn passed(&self) -> bool {
        self.crashes.violation.is_none()
            && self.crashes.not_enumerated == 0
            && self.media.violation.is_none()
    }
}

/// Runs everything, with every store: the one in `config` does not count. `on_progress` is told what
/// is run, and how far it has come.
pub fn suite(config: &Config, mut on_progress: impl FnMut(&str, &Progress)) -> SuiteReport {
    let started = Instant::now();
    let mut stores = Vec::new();
    let mut sabotages = Vec::new();
    for store in Store::ALL.iter().copied() {
        let config = Config { store, ..*config };
        let name = store.to_string();
        let crashes = explore(&config, None, |progress| on_progress(&name, progress));
        stores.push(StoreReport { store, crashes, media: damage(&config, None) });
        for sabotage in Sabotage::ALL.iter().filter(|wrong| wrong.stores().contains(&store)) {
            let about = format!("{store}: {}", sabotage.about());
            sabotages.push(try_wrong(&config, *sabotage, |progress| on_progress(&about, progress)));
        }
    }
    SuiteReport { stores, sabotages, elapsed: started.elapsed() }
}

/// Runs one wrong protocol of one store within ever wider bounds, none of which exceed those of
/// `config`, until it is caught.
pub fn try_wrong(
    config: &Config,
    sabotage: Sabotage,
    mut on_progress: impl FnMut(&Progress),
) -> Trial {
    let started = Instant::now();
    let caught = STAGES.into_iter().find_map(|stage| {
        let violation = match stage {
            Stage::Media => damage(config, Some(sabotage)).violation,
            Stage::Crashes { crashes, faults }
                if crashes <= config.crashes && faults <= config.faults =>
            {
                let bounds = Config { crashes, faults, ..*config };
                explore(&bounds, Some(sabotage), &mut on_progress).violation
            }
            Stage::Crashes { .. } => None,
        };
        Some((stage, violation?))
    });
    Trial { sabotage, store: config.store, caught, elapsed: started.elapsed() }
}
