//! How long and how hard a run tries.

use std::path::PathBuf;
use std::time::Duration;

/// The configuration of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The number of working threads; 0 counts as 1. As many other threads only wait, and two more
    /// move one mark in turn, so that no working thread blocks for long.
    pub threads: usize,
    /// The duration of the run.
    pub duration: Duration,
    /// The seed of every random choice.
    pub seed: u64,
    /// The directory of the checkpoints; `None` for a temporary one. The run recovers what it finds
    /// there, and keeps the directory.
    pub dir: Option<PathBuf>,
    /// The time after which a wait that should have ended counts as hung. Choose it long: on a busy
    /// machine a woken thread may have to wait for a core.
    pub hung_after: Duration,
}

impl Default for Config {
    /// Four threads for one second, in a temporary directory. A wait hangs after ten seconds.
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
