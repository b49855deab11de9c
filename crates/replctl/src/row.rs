//! One shard, as it is printed.

use std::fmt;

use repl_core::SnapshotEntry;
use serde::Serialize;

/// The saved progress of a shard, with the keys of the JSON codec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    pub(crate) shard: u64,
    pub(crate) log: String,
    pub(crate) incarnation: u64,
    pub(crate) mark: u64,
    pub(crate) completed: Vec<(u64, u64)>,
    pub(crate) epochs: Vec<(u64, u64)>,
}

impl Row {
    pub(crate) fn of(entry: &SnapshotEntry) -> Self {
        Row {
            shard: entry.shard.0,
            log: format!("{:032x}", entry.log.0),
            incarnation: entry.incarnation.0,
            mark: entry.mark(),
            completed: entry
                .applied_set
                .above()
                .map(|range| (range.first(), range.last()))
                .collect(),
            epochs: entry
                .epochs
                .as_slice()
                .iter()
                .map(|start| (start.epoch, start.first))
                .collect(),
        }
    }

    /// The ranges, as `44-44 46-50`.
    pub(crate) fn ranges(&self) -> String {
        joined(&self.completed, '-')
    }

    /// The epochs and their first segments, as `0@1 3@40`.
    pub(crate) fn starts(&self) -> String {
        joined(&self.epochs, '@')
    }
}

fn joined(pairs: &[(u64, u64)], between: char) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(a, b)| format!("{a}{between}{b}")).collect();
    pairs.join(" ")
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {}: mark {}", self.shard, self.mark)?;
        if self.log.bytes().any(|digit| digit != b'0') {
            write!(f, ", log {}", self.log)?;
        }
        if self.incarnation > 0 {
            write!(f, ", incarnation {}", self.incarnation)?;
        }
        if !self.completed.is_empty() {
            write!(f, ", completed {}", self.ranges())?;
        }
        if !self.epochs.is_empty() {
            write!(f, ", epochs {}", self.starts())?;
        }
        Ok(())
    }
}
