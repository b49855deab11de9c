//! A range of sequence numbers.

use std::fmt;
use std::ops::RangeInclusive;

use crate::ids::SeqNo;

/// The sequence numbers from `first` to `last`, both included.
///
/// A range is never inverted: bounds that hold no seqno give the one empty range, as a
/// [`RangeInclusive`] with inverted bounds is empty too. Calls that take a range take anything that
/// converts into one: a seqno, or `first..=last`.
///
/// ```
/// use repl_core::SeqRange;
///
/// let range = SeqRange::from(3..=5);
/// assert_eq!((range.first(), range.last(), range.len()), (3, 5, 3));
/// assert!(range.contains(4));
/// assert_eq!(SeqRange::from(7), SeqRange::new(7, 7));
/// assert_eq!(SeqRange::new(5, 3), SeqRange::EMPTY);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields, try_from = "Bounds"))]
pub struct SeqRange {
    first: SeqNo,
    last: SeqNo,
}

impl SeqRange {
    /// The range that holds nothing. Its bounds are 1 and 0.
    pub const EMPTY: SeqRange = SeqRange { first: 1, last: 0 };

    /// Creates the range from `first` to `last`, both included; [`EMPTY`](Self::EMPTY) if `last` is below
    /// `first`.
    pub const fn new(first: SeqNo, last: SeqNo) -> Self {
        if first <= last { SeqRange { first, last } } else { SeqRange::EMPTY }
    }

    /// Returns the lowest seqno.
    pub const fn first(&self) -> SeqNo {
        self.first
    }

    /// Returns the highest seqno.
    pub const fn last(&self) -> SeqNo {
        self.last
    }

    /// Returns the number of seqnos in the range; `u64::MAX` for the range of all 2^64.
    pub const fn len(&self) -> u64 {
        if self.is_empty() { 0 } else { (self.last - self.first).saturating_add(1) }
    }

    /// Returns whether the range holds nothing.
    pub const fn is_empty(&self) -> bool {
        self.first > self.last
    }

    /// Returns whether `seqno` is in the range.
    pub const fn contains(&self, seqno: SeqNo) -> bool {
        self.first <= seqno && seqno <= self.last
    }
}

impl From<SeqNo> for SeqRange {
    fn from(seqno: SeqNo) -> Self {
        SeqRange { first: seqno, last: seqno }
    }
}

impl From<RangeInclusive<SeqNo>> for SeqRange {
    fn from(range: RangeInclusive<SeqNo>) -> Self {
        // One that was iterated to its end is empty too.
        if range.is_empty() { SeqRange::EMPTY } else { SeqRange::new(*range.start(), *range.end()) }
    }
}

impl fmt::Display for SeqRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..={}", self.first, self.last)
    }
}

/// What is read from outside: it may be inverted.
#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
#[serde(rename = "SeqRange", deny_unknown_fields)]
struct Bounds {
    first: SeqNo,
    last: SeqNo,
}

#[cfg(feature = "serde")]
impl TryFrom<Bounds> for SeqRange {
    type Error = String;

    fn try_from(Bounds { first, last }: Bounds) -> Result<Self, String> {
        if first > last && (first, last) != (1, 0) {
            return Err(format!("the range {first}..={last} is inverted"));
        }
        Ok(SeqRange { first, last })
    }
}
