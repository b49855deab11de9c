//! What the follower tells its parent.

use serde::{Deserialize, Serialize};

/// What has happened in the follower. A kill may hide the last ones.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Event {
    /// A base copy is committed, with so many rows. `log` is the number of its slot.
    Copied { log: u64, rows: u64 },
    /// The stream was started, above the stored mark.
    Started { log: u64 },
    /// A transaction of the sink is committed. It holds so many of the server; so many others were
    /// offered again, and passed over.
    Committed { transactions: u64, skipped: u64 },
    /// The connection was lost, and a new one is made.
    Reconnected,
    /// A commit was sent and not answered.
    InDoubt,
    /// The marks say that a commit in doubt took effect.
    FoundCommitted,
}
