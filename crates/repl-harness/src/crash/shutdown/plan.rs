//! When the filesystem is shut down, and under whom: a seed decides.

use super::{Follower, Kind};
use crate::rng::Rng;

/// One cycle: a writer runs until its filesystem is shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Who saves.
    pub follower: Follower,
    /// Chooses the options that the filesystem is mounted with.
    pub options: u64,
    /// After how many calls of the store the shutdown is ordered.
    pub calls: u64,
    /// How long after that it comes, in microseconds.
    pub delay: u64,
}

/// So many cycles one after the other run the same follower: each but the first recovers what the
/// one before it left.
const BLOCK: u64 = 5;

impl Plan {
    /// That of one cycle, from 0. `stream` tells apart those that run side by side.
    pub fn of(seed: u64, stream: u64, kind: Kind, cycle: u64) -> Self {
        let mut rng = Rng::new(seed ^ cycle.rotate_left(32), stream);
        let all = Follower::all(kind);
        let turn = usize::try_from(cycle / BLOCK).unwrap_or(0) % all.len();
        Plan {
            follower: all[turn],
            options: rng.next(),
            // An open makes up to thirty calls, a save two to seven. Those that wait for the device
            // take most of the time, so the delay is as long as one or two of them.
            calls: rng.below(70),
            delay: if rng.one_in(3) { 0 } else { rng.below(1000) },
        }
    }
}
