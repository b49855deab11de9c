//! Threads that do everything at once to one state and its checkpointer, and check every answer.
//!
//! A run is a row of rounds. Each round
//! 1. opens the subject on the directory that the round before left,
//! 2. checks that what was recovered lies between the last acknowledged and the last attempted
//!    checkpoint,
//! 3. runs the threads, each of which checks what it gets,
//! 4. checks that every mark ended at the maximum of all that was asked,
//! 5. drops the subject without a last save.
//!
//! Every sequence number says who asked for it (private module `seqnos`), so a mark that belongs to
//! another shard or to another life of its shard is known by its value alone. The seed decides what
//! each thread does; how the threads interleave is up to the machine.

mod checker;
mod ledger;
mod report;
mod round;
mod saves;
mod seqnos;
mod subject;
mod threads;
mod violation;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use self::round::Round;
use self::saves::LastRound;

pub use self::report::{Operations, Progress, Report};
pub use self::subject::{FlushRefused, Handle, Honest, NotSaved, Subject, SubjectError};
pub use self::violation::{Invariant, Violation};

/// How long and how hard to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How many threads; at least one runs.
    pub threads: usize,
    /// How long in all.
    pub duration: Duration,
    /// Decides what each thread does.
    pub seed: u64,
    /// Where the checkpoints go: kept afterwards, and gone on from where some are there. `None`
    /// for a temporary directory.
    pub dir: Option<PathBuf>,
}

impl Default for Config {
    /// Four threads for one second, in a temporary directory.
    fn default() -> Self {
        Config { threads: 4, duration: Duration::from_secs(1), seed: 1, dir: None }
    }
}

/// A run did not end well.
#[derive(Debug, thiserror::Error)]
pub enum StressError {
    /// The subject broke a promise.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// The subject failed where it must not.
    #[error("failed to {act}; seed {seed}")]
    Subject {
        /// What was tried.
        act: &'static str,
        /// The seed of the run.
        seed: u64,
        /// Why not.
        source: SubjectError,
    },
    /// The directory or what the subject left there cannot be read.
    #[error("failed to use the stress directory: {0}")]
    Dir(#[from] io::Error),
}

impl StressError {
    /// The promise that was broken, where one was.
    pub fn violation(&self) -> Option<&Violation> {
        match self {
            StressError::Violation(violation) => Some(violation),
            StressError::Subject { .. } | StressError::Dir(_) => None,
        }
    }
}

/// A round ends after this long, and the next one recovers what it saved.
const ROUND: Duration = Duration::from_millis(500);

/// Runs the suite on the real state, checkpointer and file store.
///
/// `observer` is called about ten times a second.
///
/// # Errors
/// [`StressError`]; the first violation ends the run.
pub fn run(config: &Config, observer: impl FnMut(&Progress)) -> Result<Report, StressError> {
    run_on::<Honest>(config, observer)
}

/// Runs the suite on another subject, for instance one with a planted bug.
///
/// # Errors
/// As [`run`].
pub fn run_on<S: Subject>(
    config: &Config,
    mut observer: impl FnMut(&Progress),
) -> Result<Report, StressError> {
    let temporary = match &config.dir {
        Some(_) => None,
        None => Some(tempfile::tempdir()?),
    };
    let given = config.dir.as_deref();
    let dir = temporary.as_ref().map(tempfile::TempDir::path).or(given);
    let dir = dir.unwrap_or_else(|| ".".as_ref());

    let start = Instant::now();
    let mut report = Report::new(config);
    std::fs::create_dir_all(dir)?;
    let mut last = LastRound::found_in(dir)?;
    loop {
        let left = config.duration.saturating_sub(start.elapsed());
        let ends = Instant::now() + left.min(ROUND);
        let round = Round::<S>::open(config, dir, report.rounds, &last)?;
        report.rounds += 1;
        last = round.run(ends, start, &mut report, &mut observer)?;
        if start.elapsed() >= config.duration {
            break;
        }
    }
    Round::<S>::open(config, dir, report.rounds, &last)?;
    report.elapsed = start.elapsed();
    Ok(report)
}
