//! What the examples share: processes that are killed at random instants, the folder of a run, and
//! its report.
//!
//! A program starts itself again as a [`Child`] with a task. The child sends events, and the parent
//! kills it when [`Kills`] says so. An event is one JSON document per line on standard output: once
//! sent, it survives a kill. An order is one line on standard input.
#![expect(clippy::missing_errors_doc, reason = "every `Error` says what failed and why")]

mod child;
mod error;
pub mod files;
mod folder;
mod kills;
mod report;
mod run;
pub mod testing;
mod threads;

pub use child::{Child, End, listen, main, send};
pub use error::{Context, Error, chain};
pub use folder::Folder;
pub use kills::Kills;
pub use report::{Bar, Report, row};
pub use run::{Run, RunArgs};
pub use threads::{Work, join_ended, lock, run_all, try_for};

/// Returns how much of `all` is done, from 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "for kills and a progress bar")]
pub fn fraction(done: u64, all: u64) -> f64 {
    if all == 0 { 1.0 } else { done as f64 / all as f64 }
}

/// Returns random numbers that depend only on `words`.
pub fn rng(words: &[u64]) -> fastrand::Rng {
    let mix = |mut rng: fastrand::Rng, word| fastrand::Rng::with_seed(rng.u64(..) ^ word);
    words.iter().fold(fastrand::Rng::with_seed(0), mix)
}
