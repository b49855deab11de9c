//! The epochs of one log, and how they tell where two logs part.

use std::fmt;
use std::sync::Arc;

use crate::ids::{EpochStart, SeqNo};
use crate::outcome::{EpochOrder, StaleEpoch};

/// The epochs of one log: where the term of each leader begins.
///
/// Epochs and their first segments both ascend. An epoch without a segment is not kept, unless it is
/// the latest. The value is immutable and cheap to clone: clones share the memory, and no epochs
/// need none.
///
/// Two logs that have a segment of the same number and the same epoch are equal up to that segment,
/// as long as no two leaders ever have the same epoch. So epochs show where two logs part:
/// ```
/// use repl_core::{EpochStart, Epochs};
///
/// let start = |epoch, first| EpochStart { epoch, first };
/// let ours = Epochs::new([start(3, 1), start(4, 120)])?;
/// // The leader of epoch 5 has never had our segments from 120 on.
/// let log = Epochs::new([start(3, 1)])?.assign(start(5, 120))?;
/// assert_eq!(ours.find_divergence(125, &log, 150), Some(119));
/// assert_eq!(log.epoch_of(119), Some(3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Tables that are cut off
/// A log that has deleted its first segments may drop the epochs in front of the one that its first
/// segment is of. It does not change where that one began. Segments before the first epoch of a
/// table are of an unknown epoch, which is not the same as epoch 0.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Vec<EpochStart>", into = "Vec<EpochStart>"))]
pub struct Epochs(Option<Arc<[EpochStart]>>);

/// Where an epoch ends in a log: see [`Epochs::end_of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EpochEnd {
    /// The log has this epoch or an earlier one.
    At {
        /// The epoch that was asked for if the log has it, otherwise the latest one before it.
        epoch: u64,
        /// The last segment of that epoch.
        last: SeqNo,
    },
    /// The epoch is above the latest one. So is every epoch where the log has none.
    AfterLatest,
    /// The epoch is below the first one that is known. It has no segment above `last`; which ones it
    /// has is not known.
    BeforeFirst {
        /// The last segment whose epoch is not known; 0 for none.
        last: SeqNo,
    },
}

impl Epochs {
    /// Creates the table of these epochs.
    ///
    /// # Errors
    /// [`EpochOrder`] names the first epoch that is not above the one before it, or whose first
    /// segment is not.
    pub fn new(starts: impl IntoIterator<Item = EpochStart>) -> Result<Self, EpochOrder> {
        let starts: Vec<EpochStart> = starts.into_iter().collect();
        let ascend = |w: &[EpochStart]| w[0].epoch < w[1].epoch && w[0].first < w[1].first;
        match starts.windows(2).find(|w| !ascend(w)) {
            Some(pair) => Err(EpochOrder { start: pair[1] }),
            None => Ok(Self::of(&starts)),
        }
    }

    fn of(starts: &[EpochStart]) -> Self {
        Epochs((!starts.is_empty()).then(|| starts.into()))
    }

    /// Returns the table once a new epoch has begun: without the epochs whose first segment is at or
    /// above the new one's, as nothing is left of them. O(epochs).
    ///
    /// ```
    /// use repl_core::{EpochStart, Epochs, StaleEpoch};
    ///
    /// let start = |epoch, first| EpochStart { epoch, first };
    /// let epochs = Epochs::new([start(3, 100), start(4, 120)])?;
    /// assert_eq!(epochs.assign(start(5, 120))?.as_slice(), [start(3, 100), start(5, 120)]);
    /// assert_eq!(epochs.assign(start(4, 130)), Err(StaleEpoch { epoch: 4, latest: 4 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`StaleEpoch`] if the epoch is not above the latest one.
    pub fn assign(&self, start: EpochStart) -> Result<Self, StaleEpoch> {
        let EpochStart { epoch, first } = start;
        if let Some(latest) = self.latest().map(|latest| latest.epoch).filter(|it| epoch <= *it) {
            return Err(StaleEpoch { epoch, latest });
        }
        let kept = self.as_slice().iter().filter(|kept| kept.first < first);
        Ok(Self::of(&kept.copied().chain([start]).collect::<Vec<_>>()))
    }

    /// Returns the epochs, ascending.
    pub fn as_slice(&self) -> &[EpochStart] {
        self.0.as_deref().unwrap_or_default()
    }

    /// Returns the latest epoch; `None` where there are no epochs.
    pub fn latest(&self) -> Option<EpochStart> {
        self.as_slice().last().copied()
    }

    /// Returns the number of epochs.
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Returns whether there are no epochs.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the epoch that a segment is of, or will be of; `None` for a segment before the first
    /// epoch. O(log epochs).
    pub fn epoch_of(&self, seqno: SeqNo) -> Option<u64> {
        self.in_force_at(seqno).map(|i| self.as_slice()[i].epoch)
    }

    fn in_force_at(&self, seqno: SeqNo) -> Option<usize> {
        self.as_slice().partition_point(|start| start.first <= seqno).checked_sub(1)
    }

    /// Returns where an epoch ends in a log whose last segment is `last`. O(log epochs).
    ///
    /// - The latest epoch ends at `last`.
    /// - An earlier one ends before the first segment of the next.
    /// - An epoch between two of the log has no segment there. The end is that of the one before.
    /// - For epochs outside the table see [`EpochEnd`].
    ///
    /// The end is never above `last`. It is below the first segment of the epoch where the log ends
    /// before that.
    ///
    /// ```
    /// use repl_core::{EpochEnd, EpochStart, Epochs};
    ///
    /// let start = |epoch, first| EpochStart { epoch, first };
    /// let epochs = Epochs::new([start(3, 100), start(5, 120)])?;
    /// assert_eq!(epochs.end_of(5, 150), EpochEnd::At { epoch: 5, last: 150 });
    /// assert_eq!(epochs.end_of(3, 150), EpochEnd::At { epoch: 3, last: 119 });
    /// assert_eq!(epochs.end_of(4, 150), EpochEnd::At { epoch: 3, last: 119 });
    /// assert_eq!(epochs.end_of(6, 150), EpochEnd::AfterLatest);
    /// assert_eq!(epochs.end_of(2, 150), EpochEnd::BeforeFirst { last: 99 });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn end_of(&self, epoch: u64, last: SeqNo) -> EpochEnd {
        let starts = self.as_slice();
        let next = starts.partition_point(|start| start.epoch <= epoch);
        let ends = starts.get(next).map_or(last, |next| last.min(next.first.saturating_sub(1)));
        match next.checked_sub(1).map(|i| starts[i].epoch) {
            Some(known) if known == epoch || next < starts.len() => {
                EpochEnd::At { epoch: known, last: ends }
            }
            None if !starts.is_empty() => EpochEnd::BeforeFirst { last: ends },
            _ => EpochEnd::AfterLatest,
        }
    }

    /// Returns the last segment that two logs have in common, or `None` where their epochs cannot
    /// tell. O(epochs).
    ///
    /// This log ends at `our_last` and has these epochs; the other log ends at `their_last`. Logs
    /// that do not part have the lesser of both in common.
    ///
    /// The answer is exact, or it is `None`. It is `None`
    /// - where a log with segments has no epochs;
    /// - where the logs differ already at the first segment whose epoch both tables give, and that
    ///   may not be the first segment of all. Segments before it may be common or not.
    ///
    /// `Some(0)` says that nothing is in common: a log has no segments, or they differ from
    /// segment 1 on.
    pub fn find_divergence(
        &self,
        our_last: SeqNo,
        theirs: &Epochs,
        their_last: SeqNo,
    ) -> Option<SeqNo> {
        let last = our_last.min(their_last);
        if last == 0 {
            return Some(0);
        }
        let (ours, theirs) = (self.as_slice(), theirs.as_slice());
        let from = ours.first()?.first.max(theirs.first()?.first).max(1); // there is no segment 0
        let at = |starts: &[EpochStart]| starts.partition_point(|start| start.first <= from) - 1;
        let (ours, theirs) = (&ours[at(ours)..], &theirs[at(theirs)..]);
        // Of segments that a log does not have yet, its table gives the epoch from the first on.
        let is_one_epoch = ours[0].epoch == theirs[0].epoch;
        if !(is_one_epoch && (from <= last || ours[0].first == theirs[0].first)) {
            return (from == 1).then_some(0);
        }
        let equal = ours[1..].iter().zip(&theirs[1..]).take_while(|(a, b)| a == b).count() + 1;
        let parts = [ours.get(equal), theirs.get(equal)].into_iter().flatten();
        Some(parts.map(|start| start.first - 1).fold(last, SeqNo::min))
    }
}

/// Shows the epochs, each with its first segment.
impl fmt::Debug for Epochs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let starts = self.as_slice().iter().map(|start| (start.epoch, start.first));
        f.debug_map().entries(starts).finish()
    }
}

impl TryFrom<Vec<EpochStart>> for Epochs {
    type Error = EpochOrder;

    fn try_from(starts: Vec<EpochStart>) -> Result<Self, EpochOrder> {
        Epochs::new(starts)
    }
}

impl From<Epochs> for Vec<EpochStart> {
    fn from(epochs: Epochs) -> Self {
        epochs.as_slice().to_vec()
    }
}

#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Epochs>() == 16);
