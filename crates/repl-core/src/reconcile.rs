//! What a follower makes of a log at start: go on, or why not.

use std::fmt;

use crate::applied_set::AppliedSet;
use crate::epochs::Epochs;
use crate::ids::{LogId, SeqNo};
use crate::snapshot::SnapshotEntry;

/// What a follower holds when it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Neither data nor marks: it is new.
    Nothing,
    /// Data, and nothing that says how far it was applied.
    DataWithoutMarks,
    /// A mark that was saved, of 0 too.
    Applied {
        /// The log that it belongs to.
        log: LogId,
        /// The mark, and what is completed above it.
        applied: AppliedSet,
        /// The epochs of the applied segments; none where the engine has no epochs.
        epochs: Epochs,
    },
}

impl From<SnapshotEntry> for Progress {
    fn from(entry: SnapshotEntry) -> Self {
        let SnapshotEntry { log, applied_set: applied, epochs, .. } = entry;
        Progress::Applied { log, applied, epochs }
    }
}

/// What a log offers to a follower.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogBounds {
    /// The log.
    pub log: LogId,
    /// The last segment that the log has deleted; 0 for none.
    pub last_deleted: SeqNo,
    /// Its last segment; 0 for none.
    pub last: SeqNo,
    /// The epochs of its segments; none where the engine has no epochs.
    pub epochs: Epochs,
}

/// What a follower has to do before it applies the segments of a log: see [`reconcile`].
///
/// `Display` says it to an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Nothing is applied: begin with the first segment of the log.
    Fresh,
    /// Go on with the segment after the mark.
    Resume {
        /// The mark.
        mark: SeqNo,
    },
    /// The log has deleted segments that are not applied: take a base copy.
    BehindRetention {
        /// The mark; 0 for a follower that is new.
        mark: SeqNo,
        /// The last segment that the log has deleted.
        last_deleted: SeqNo,
    },
    /// Segments are applied that the log does not have yet, or has lost. Apply nothing until the log
    /// has caught up, if it does; otherwise take a base copy.
    AheadOfLog {
        /// The last applied segment.
        applied: SeqNo,
        /// The last segment of the log.
        last: SeqNo,
    },
    /// Applied segments differ from those of the log.
    Diverged {
        /// Everything up to this segment is applied, and common. Undo what is applied above it,
        /// reset the shard to it with the epochs of the log, and resume. `None` if no such segment
        /// is known: take a base copy.
        common: Option<SeqNo>,
    },
    /// The latest epoch of the log is below the latest of the follower, so its leader is replaced:
    /// follow the leader of the later epoch.
    StaleLog {
        /// The latest epoch of the log.
        epoch: u64,
        /// The latest epoch of the follower.
        latest: u64,
    },
    /// The marks belong to another log. Numbers of two logs cannot be compared: apply nothing.
    OtherLog {
        /// The log of the marks.
        ours: LogId,
        /// The log that is offered.
        log: LogId,
    },
    /// There is data, and nothing says how far it was applied. To begin with the first segment would
    /// apply segments a second time.
    NoProgress,
}

/// Compares what a follower has applied with what a log offers, before anything is applied.
///
/// For every start, and every time that a follower connects to a log. The answer is the first of
/// these that holds:
/// 1. [`NoProgress`](Verdict::NoProgress): there is data without marks.
/// 2. Without data and marks, [`BehindRetention`](Verdict::BehindRetention) if the log has deleted
///    segments, otherwise [`Fresh`](Verdict::Fresh).
/// 3. [`OtherLog`](Verdict::OtherLog): the logs have different names.
/// 4. [`StaleLog`](Verdict::StaleLog): the log's latest epoch is below the follower's.
/// 5. [`BehindRetention`](Verdict::BehindRetention): `mark < last_deleted`. (Not
///    `mark + 1 < first`: seqnos may jump.)
/// 6. [`Diverged`](Verdict::Diverged): by their epochs an applied segment is not in the log, or the
///    epochs [cannot tell](Epochs::find_divergence).
/// 7. [`AheadOfLog`](Verdict::AheadOfLog): the last applied segment is above the last of the log.
/// 8. [`Resume`](Verdict::Resume).
///
/// Epochs are compared only where both sides have some, so 4 and 6 never come of a log or a follower
/// without epochs. Any input has an answer. It costs O(epochs).
///
/// ```
/// use repl_core::{AppliedSet, EpochStart, Epochs, LogBounds, LogId, Progress, Verdict, reconcile};
///
/// let epochs = Epochs::new([EpochStart { epoch: 3, first: 1 }])?;
/// let after_failover = epochs.assign(EpochStart { epoch: 4, first: 91 })?;
/// let log = LogBounds { log: LogId(7), last_deleted: 40, last: 120, epochs: after_failover };
/// let at = |mark| Progress::Applied {
///     log: LogId(7),
///     applied: AppliedSet::up_to(mark),
///     epochs: epochs.clone(),
/// };
///
/// assert_eq!(reconcile(&at(90), &log), Verdict::Resume { mark: 90 });
/// let verdict = reconcile(&at(95), &log);
/// assert_eq!(verdict, Verdict::Diverged { common: Some(90) });
/// assert!(verdict.to_string().ends_with("undo them, and reset the shard to 90"));
/// let verdict = reconcile(&at(39), &log);
/// assert_eq!(verdict, Verdict::BehindRetention { mark: 39, last_deleted: 40 });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn reconcile(ours: &Progress, log: &LogBounds) -> Verdict {
    let (id, applied, epochs) = match ours {
        Progress::DataWithoutMarks => return Verdict::NoProgress, // 1
        Progress::Nothing if log.last_deleted == 0 => return Verdict::Fresh, // 2
        Progress::Nothing => {
            return Verdict::BehindRetention { mark: 0, last_deleted: log.last_deleted };
        }
        Progress::Applied { log, applied, epochs } => (*log, applied, epochs),
    };
    if !id.may_be(log.log) {
        return Verdict::OtherLog { ours: id, log: log.log }; // 3
    }
    let latest = |epochs: &Epochs| epochs.latest().map(|latest| latest.epoch);
    if let (Some(epoch), Some(latest)) = (latest(&log.epochs), latest(epochs)) {
        if epoch < latest {
            return Verdict::StaleLog { epoch, latest }; // 4
        }
    }
    let (mark, last_deleted) = (applied.mark(), log.last_deleted);
    if mark < last_deleted {
        return Verdict::BehindRetention { mark, last_deleted }; // 5
    }
    if let Some(diverged) = diverged(applied, epochs, log) {
        return diverged; // 6
    }
    let (applied, last) = (applied.highest(), log.last);
    if applied > last {
        return Verdict::AheadOfLog { applied, last }; // 7
    }
    Verdict::Resume { mark } // 8
}

/// The verdict if the log parts from what is applied.
fn diverged(applied: &AppliedSet, epochs: &Epochs, log: &LogBounds) -> Option<Verdict> {
    if epochs.is_empty() || log.epochs.is_empty() {
        return None;
    }
    let highest = applied.highest();
    let common = epochs.find_divergence(highest, &log.epochs, log.last);
    // An epoch that has begun parts them even while the log has no segment of it.
    let with_next = epochs.find_divergence(highest, &log.epochs, SeqNo::MAX);
    // Where they part below the last segment of the log, they part with the next one too.
    let parts = common.is_none() || with_next.is_none_or(|common| common < highest);
    // Below what is deleted there is nothing to go on with.
    let common = common.map(|common| common.min(applied.mark()));
    parts.then(|| Verdict::Diverged { common: common.filter(|c| *c >= log.last_deleted) })
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Fresh => {
                f.write_str("nothing is applied: begin with the first segment of the log")
            }
            Verdict::Resume { mark } => {
                write!(f, "segments up to {mark} are applied: resume with the next one")
            }
            Verdict::BehindRetention { mark, last_deleted } => write!(
                f,
                "segments up to {mark} are applied, but the log has deleted those up to \
                 {last_deleted}: take a base copy"
            ),
            Verdict::AheadOfLog { applied, last } => write!(
                f,
                "segment {applied} is applied, but the log ends at {last}: wait for the log to \
                 catch up. If it has lost segments, take a base copy"
            ),
            Verdict::Diverged { common: Some(common) } => write!(
                f,
                "applied segments above {common} differ from those of the log: undo them, and \
                 reset the shard to {common}"
            ),
            Verdict::Diverged { common: None } => f.write_str(
                "applied segments differ from those of the log, and no common one is known: take \
                 a base copy",
            ),
            Verdict::StaleLog { epoch, latest } => write!(
                f,
                "the log is of epoch {epoch}, but epoch {latest} has begun: follow the leader of \
                 the latest epoch"
            ),
            Verdict::OtherLog { ours, log } => write!(
                f,
                "the marks belong to log {ours}, not to log {log}: follow that log, or take a \
                 base copy of this one"
            ),
            Verdict::NoProgress => f.write_str(
                "there is data, but no mark says how far it was applied: restore the marks, or \
                 take a base copy",
            ),
        }
    }
}
