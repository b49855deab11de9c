//! Threads that do everything at once to one state and its checkpointer, and check every answer.
//!
//! A run is a row of rounds. Each round
//! 1. opens the subject on the directory that the round before left,
//! 2. checks that what was recovered lies between the last acknowledged and the last attempted
//!    checkpoint,
//! 3. runs the threads, each of which checks what it gets,
//! 4. stops those that advance, checks that every wait whose seqno is reached ends, and closes the
//!    subject while the others wait,
//! 5. checks that every mark ended at the maximum of all that was asked,
//! 6. drops the subject without a last save.
//!
//! Every sequence number says who asked for it (private module `seqnos`), so a mark that belongs to
//! another shard or to another life of its shard is known by its value alone. The seed decides what
//! each thread does; how the threads interleave is up to the machine.
//!
//! Some shards are completed out of order, so their numbers are dense and say nothing: a record of
//! what was claimed and completed (private module `work`) takes the place of the tags.
//!
//! A wait that does not end is a violation like any other, and ends the run: the thread in it is
//! left behind.

mod changes;
mod checker;
mod completer;
mod futures;
mod honest;
mod ledger;
mod relay;
mod report;
mod round;
mod saves;
mod seqnos;
mod spans;
mod subject;
mod tasks;
mod threads;
mod violation;
mod waiter;
mod waits;
mod watch;
mod windows;
mod work;

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use self::round::Round;
use self::saves::LastRound;

pub use self::honest::Honest;
pub use self::report::{Operations, Progress, Report};
pub use self::subject::{
    Changes, Claim, FlushRefused, Handle, NotSaved, Subject, SubjectError, Waited, Waiting, Window,
};
pub use self::violation::{Due, HungWait, Invariant, Violation};

/// How long and how hard to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How many threads work; at least one does. As many again do nothing but wait, and two more
    /// hand a mark to each other, so that none of those that advance is ever blocked for long.
    pub threads: usize,
    /// How long in all.
    pub duration: Duration,
    /// Decides what each thread does.
    pub seed: u64,
    /// Where the checkpoints go: kept afterwards, and gone on from where some are there. `None`
    /// for a temporary directory.
    pub dir: Option<PathBuf>,
    /// A wait that goes on for so long after it should have ended has hung. Generous: on a busy
    /// machine a thread that was woken may have to wait for its turn.
    pub hung_after: Duration,
}

impl Default for Config {
    /// Four threads for one second, in a temporary directory; a wait has hung after ten.
    fn default() -> Self {
        Config {
            threads: 4,
            duration: Duration::from_secs(1),
            seed: 1,
            dir: None,
            hung_after: Duration::from_secs(10),
        }
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
