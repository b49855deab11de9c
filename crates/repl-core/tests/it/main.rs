//! What `repl-core` guarantees, one file a guarantee.

use std::sync::atomic::{AtomicBool, Ordering};

mod behind_ranges;
mod completed_laws;
mod contract;
mod forward_only;
mod lives;
mod merge;
mod model;
mod no_advance_lost;
mod restore;
mod snapshot_laws;

/// Tells threads to stop when it goes out of scope, by a failed assertion too: a test that fails
/// must not hang.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
