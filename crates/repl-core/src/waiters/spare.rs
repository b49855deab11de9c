//! The memory of queues.
//!
//! A shard whose waiters come and go, with none left each time, needs a queue for a moment again and
//! again. Each thread keeps the memory of the last queue that it emptied for the next one.

use std::cell::Cell;

use super::queue::WaitQueue;

thread_local! {
    static SPARE: Cell<Option<Box<WaitQueue>>> = const { Cell::new(None) };
}

/// An empty queue.
#[expect(clippy::unnecessary_box_returns, reason = "the box is what was kept")]
pub(super) fn take() -> Box<WaitQueue> {
    // A thread that ends has no spare queue any more.
    SPARE.try_with(Cell::take).ok().flatten().unwrap_or_default()
}

/// Keeps the memory of an empty queue, or frees it. The caller holds no lock.
pub(super) fn keep(queue: Box<WaitQueue>) {
    debug_assert!(queue.is_empty());
    let _ = SPARE.try_with(|spare| spare.replace(Some(queue)));
}
