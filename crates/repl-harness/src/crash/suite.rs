//! The right protocol and all wrong ones, within the same bounds.

use std::time::{Duration, Instant};

use super::explore::{Config, Progress, Report, explore};
use super::invariant::Violation;
use super::media::{MediaReport, damage};
use super::sabotage::Sabotage;

/// What came of the whole suite.
#[derive(Debug, Clone)]
pub struct SuiteReport {
    /// The right protocol and every crash.
    pub crashes: Report,
    /// The right protocol and every damage.
    pub media: MediaReport,
    /// Each wrong protocol.
    pub sabotages: Vec<Trial>,
    /// How long it took.
    pub elapsed: Duration,
}

/// What came of one wrong protocol.
#[derive(Debug, Clone)]
pub struct Trial {
    /// What was done wrong.
    pub sabotage: Sabotage,
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

impl SuiteReport {
    /// Whether the right protocol holds, every image was looked at, and every wrong one was caught.
    pub fn passed(&self) -> bool {
        self.crashes.violation.is_none()
            && self.crashes.not_enumerated == 0
            && self.media.violation.is_none()
            && self.sabotages.iter().all(|trial| trial.caught.is_some())
    }
}

/// Runs everything. `on_progress` is told what is run, and how far it has come.
pub fn suite(config: &Config, mut on_progress: impl FnMut(&str, &Progress)) -> SuiteReport {
    let started = Instant::now();
    let crashes = explore(config, None, |progress| on_progress("the right protocol", progress));
    let media = damage(config, None);
    let sabotages = Sabotage::ALL
        .iter()
        .map(|sabotage| try_wrong(config, *sabotage, |p| on_progress(sabotage.about(), p)))
        .collect();
    SuiteReport { crashes, media, sabotages, elapsed: started.elapsed() }
}

/// Runs one wrong protocol within ever wider bounds, none of which exceed those of `config`, until
/// it is caught.
pub fn try_wrong(
    config: &Config,
    sabotage: Sabotage,
    mut on_progress: impl FnMut(&Progress),
) -> Trial {
    let started = Instant::now();
    let mut caught = None;
    for (crashes, faults) in [(1, 0), (1, 1), (2, 0), (2, 1)] {
        if caught.is_some() || crashes > config.crashes || faults > config.faults {
            continue;
        }
        let bounds = Config { crashes, faults, ..*config };
        let violation = explore(&bounds, Some(sabotage), &mut on_progress).violation;
        caught = violation.map(|violation| (Stage::Crashes { crashes, faults }, violation));
        if (crashes, faults) == (1, 1) && caught.is_none() {
            let violation = damage(config, Some(sabotage)).violation;
            caught = violation.map(|violation| (Stage::Media, violation));
        }
    }
    Trial { sabotage, caught, elapsed: started.elapsed() }
}
