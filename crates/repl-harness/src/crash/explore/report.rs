//! The progress and the result of an enumeration.

use std::fmt;
use std::time::Duration;

use crate::crash::invariant::Violation;

/// The progress of an enumeration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The number of crashes before the processes that run now.
    pub crashes: usize,
    /// The number of these processes that have ended.
    pub done: usize,
    /// The number of these processes.
    pub of: usize,
    /// The number of images so far.
    pub images: u64,
    /// The number of images that recovery can tell apart.
    pub distinct: u64,
}

/// The result of an enumeration.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The number of images of all distinct crash points.
    pub images: u64,
    /// The number of images that recovery or its checks can tell apart. Each was tried once.
    pub distinct: u64,
    /// The number of contents that a power cut may leave of unsettled files. The reader was given
    /// each of them; those of a slot file part by part.
    pub contents: u64,
    /// The number of distinct pairs of a disk, with its cache, and a history.
    pub crash_points: u64,
    /// The number of processes that were run.
    pub processes: u64,
    /// The number of deltas that these processes saved.
    pub deltas: u64,
    /// The number of crash points with too many pending directory changes to enumerate.
    pub not_enumerated: u64,
    /// The duration of the enumeration.
    pub elapsed: Duration,
    /// The broken promise with the fewest crashes and calls.
    pub violation: Option<Violation>,
}

impl Report {
    /// Adds the counts of another enumeration, and its violation if there is none yet.
    pub(crate) fn add(&mut self, other: Report) {
        self.images += other.images;
        self.distinct += other.distinct;
        self.contents += other.contents;
        self.crash_points += other.crash_points;
        self.processes += other.processes;
        self.deltas += other.deltas;
        self.not_enumerated += other.not_enumerated;
        self.elapsed += other.elapsed;
        self.violation = self.violation.take().or(other.violation);
    }
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
            self.processes,
            self.elapsed.as_secs_f64()
        )?;
        if self.deltas > 0 {
            write!(f, "; {} deltas", self.deltas)?;
        }
        if self.not_enumerated > 0 {
            write!(f, "; {} crash points not enumerated", self.not_enumerated)?;
        }
        match &self.violation {
            Some(violation) => write!(f, "\n{violation}"),
            None => write!(f, "; no violation"),
        }
    }
}
