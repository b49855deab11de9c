//! The memory of queues.
//!
//! A shard whose waiters come and go, with none left each time, needs a queue for a moment again and
//! again. Each thread keeps the memory of the last queue that it emptied for the next one.

use std::cell::Cell;
use std::sync::Arc;

use super::queue::WaitQueue;

thread_local! {
    static SPARE: Cell<Option<Arc<WaitQueue>>> = const { Cell::new(None) };
}

/// An empty queue that is not shared.
pub(super) fn take(closed: bool) -> Arc<WaitQueue> {
    // A thread that ends has no spare queue any more.
    let spare = SPARE.try_with(Cell::take).ok().flatten();
    match spare {
        Some(queue) if queue.closed == closed => queue,
        _ => Arc::new(WaitQueue { closed, ..WaitQueue::default() }),
    }
}

/// Keeps the memory of an empty queue that is not shared, or frees it. The caller holds no lock.
pub(super) fn keep(queue: Arc<WaitQueue>) {
    debug_assert!(queue.is_empty());
    let _ = SPARE.try_with(|spare| spare.replace(Some(queue)));
}
