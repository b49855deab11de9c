//! Events that the applier sends to its parent.

use repl_core::SeqNo;
use serde::{Deserialize, Serialize};

/// An event. The counts of `Committed` are those since the process started.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub(crate) enum Event {
    Started { mark: SeqNo, above: u64 },
    Committed { done: u64, passed_over: u64, waits: u64, failed: u64 },
}
