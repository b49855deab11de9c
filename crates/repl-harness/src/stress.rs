//! Runs threads on one state and its checkpointer, and checks every result.
//!
//! A run is a sequence of rounds. Each round
//! 1. recovers from the directory that the round before left,
//! 2. checks that the recovered marks are between the last acknowledged and the last attempted
//!    checkpoint,
//! 3. runs the threads, each of which checks its results,
//! 4. stops the threads that advance, checks that every wait whose seqno is reached ends, and closes
//!    the state while the others wait,
//! 5. checks that every mark ended at the maximum of all requested seqnos,
//! 6. drops the state and the checkpointer without a last save.
//!
//! Every sequence number encodes how it was requested (private module `seqnos`), so its value alone
//! shows whether a mark belongs to its shard and incarnation. The seed decides what each thread does;
//! the interleaving of the threads depends on the machine.
//!
//! Shards that are completed out of order have dense numbers, which encode nothing. A record of what
//! was claimed and completed (private module `work`) takes the place of the tags.
//!
//! A checkpoint is begun, flushed, and saved or dropped in separate steps, each by any thread,
//! while shards are added, reset and removed. A shard that is removed and unreferenced is in no
//! later checkpoint.
//!
//! A wait that hangs is a violation and ends the run: its thread is left behind.

mod attempts;
mod changes;
mod checker;
mod completer;
mod config;
mod end;
mod error;
mod faults;
mod futures;
mod held;
mod ledger;
mod marks;
mod recovered;
mod relay;
mod report;
mod round;
mod run;
mod saves;
mod seqnos;
mod shards;
mod spans;
mod subject;
mod tasks;
mod threads;
mod violation;
mod waiter;
mod waiting;
mod waits;
mod watch;
mod windows;
mod work;
mod worker;

use std::time::{Duration, Instant};

use self::marks::LastRound;
use self::round::Round;

pub use self::config::Config;
pub use self::error::StressError;
pub use self::faults::{Faults, NoFault};
pub use self::report::{Operations, Progress, Report};
pub use self::violation::{Due, HungWait, Invariant, Violation};

/// The duration of a round. The next round recovers what it saved.
const ROUND: Duration = Duration::from_millis(500);

/// Runs the suite on the real state, checkpointer and file store.
///
/// `observer` is called about ten times a second.
///
/// # Errors
/// The first violation, which ends the run, or a failure of the store or of the directory.
pub fn run(config: &Config, observer: impl FnMut(&Progress)) -> Result<Report, StressError> {
    run_with::<NoFault>(config, observer)
}

/// Runs the suite on the same types with planted faults.
///
/// # Errors
/// Those of [`run`].
pub fn run_with<F: Faults>(
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
        let round = Round::<F>::open(config, dir, report.rounds, &last)?;
        report.rounds += 1;
        last = round.run(ends, start, &mut report, &mut observer)?;
        if start.elapsed() >= config.duration {
            break;
        }
    }
    Round::<F>::open(config, dir, report.rounds, &last)?;
    report.elapsed = start.elapsed();
    Ok(report)
}
