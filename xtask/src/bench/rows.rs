//! The comparisons of docs/benchmarks.md, and their goals.

mod checkpoints;
mod marks;
mod scale;

/// A comparison of `ours` with `peer` in one criterion group.
pub(super) struct Row {
    pub(super) work: &'static str,
    pub(super) group: &'static str,
    pub(super) peer: &'static str,
    /// The number of operations in one iteration of criterion.
    pub(super) operations: u32,
    pub(super) goal: Goal,
}

/// The goal of a comparison.
pub(super) enum Goal {
    /// At most this multiple of the peer's time.
    AtMost(f64),
    /// At least this many times faster than the peer.
    Faster(f64),
    /// At most this many microseconds more than the peer, whatever the ratio.
    Adds(f64),
    /// At most this many microseconds, whatever the ratio. The ratio is ours to the peer's.
    Takes(f64),
    /// No goal. The ratio is how many times faster than the peer.
    None,
}

/// Every comparison, in the order of the page.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    marks::ROWS.iter().chain(scale::ROWS).chain(checkpoints::ROWS)
}
