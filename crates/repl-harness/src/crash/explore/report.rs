//! What an enumeration saw.

use std::fmt;
use std::time::Duration;

use crate::crash::invariant::Violation;

/// How far an enumeration has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How many crashes lie behind the processes that are run now.
    pub crashes: usize,
    /// How many of them have been run.
    pub done: usize,
    /// How many there are.
    pub of: usize,
    /// How many images so far.
    pub images: u64,
    /// How many of them recovery can tell apart.
    pub distinct: u64,
}

/// What an enumeration saw.
#[derive(Debug, Clone)]
pub struct Report {
    /// Every image of every distinct crash point.
    pub images: u64,
    /// Those that recovery, or what is checked of it, can tell apart: each was run once.
    pub distinct: u64,
    /// What a power cut may leave of the unsettled files that may be read: each was put before the
    /// reader, those of a slot file part by part.
    pub contents: u64,
    /// Pairs of a disk with its cache and of what was known then.
    pub crash_points: u64,
    /// Processes that were run.
    pub lives: u64,
    /// Crash points with too many pending changes of a directory to enumerate.
    pub not_enumerated: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// The broken promise that the fewest crashes and calls lead to.
    pub violation: Option<Violation>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} images, {} distinct to recovery; {} crash points, {} file contents, {} processes; \
             {:.1} s",
            self.images,
            self.distinct,
            self.crash_points,
            self.contents,
            self.lives,
            self.elapsed.as_secs_f64()
        )?;
        if self.not_enumerated > 0 {
            write!(f, "; {} crash points not enumerated", self.not_enumerated)?;
        }
        match &self.violation {
            Some(violation) => write!(f, "\n{violation}"),
            None => write!(f, "; no violation"),
        }
    }
}
