//! Plans the shutdowns of a filesystem from a seed.

use fastrand::Rng;
use repl_harness::crash::StoreKind;

use super::follower::Follower;

/// The plan of one cycle, in which a writer runs until its filesystem is shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The follower that saves.
    pub(crate) follower: Follower,
    /// A number that selects the mount options.
    pub(crate) options: u64,
    /// The number of calls after which the shutdown is ordered.
    pub(crate) calls: u64,
    /// The delay between order and shutdown, in microseconds.
    pub(crate) delay: u64,
}

/// The number of successive cycles of one follower. Each but the first recovers what the one before
/// it left.
const BLOCK: u64 = 5;

impl Plan {
    /// The plan of a cycle, from 0. Lanes that run at the same time pass different `lane` numbers.
    pub(crate) fn of(seed: u64, lane: u64, kind: StoreKind, cycle: u64) -> Self {
        let mut rng = Rng::with_seed(seed ^ cycle.rotate_left(32) ^ lane.rotate_left(48));
        let all = Follower::all(kind);
        let turn = usize::try_from(cycle / BLOCK).unwrap_or(0) % all.len();
        Plan {
            follower: all[turn],
            options: rng.u64(..),
            // An open makes up to thirty calls, a save two to seven. Calls that wait for the device
            // take most of the time, so the delay is as long as one or two of them.
            calls: rng.u64(..70),
            delay: if rng.u64(..3) == 0 { 0 } else { rng.u64(..1000) },
        }
    }
}
