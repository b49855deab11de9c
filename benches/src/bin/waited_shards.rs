//! Measures with dhat what remains in memory after one waiter on each of a million shards is gone,
//! and after waiting on them is closed. Prints one JSON line.
#![expect(clippy::print_stdout, reason = "its output")]

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Waker};

use benches::dense_ids;
use repl_core::ReplicationState;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

fn main() -> Result<(), Box<dyn Error>> {
    const SHARDS: u64 = 1_000_000;
    let ids = dense_ids(SHARDS);
    let state = ReplicationState::new(&ids);
    let mut context = Context::from_waker(Waker::noop());
    let profiler = dhat::Profiler::builder().testing().build();
    let allocated = || dhat::HeapStats::get().curr_bytes;
    let before = allocated();
    let left = || allocated().saturating_sub(before);
    // All wait at the same time: half are reached, and half are dropped.
    let mut waiting: Vec<_> = ids.iter().map(|id| state.reached(*id, 1)).collect();
    for reached in &mut waiting {
        if Pin::new(reached).poll(&mut context).is_ready() {
            return Err("a future is ready without an advance".into());
        }
    }
    let waited = left() as u64 / SHARDS;
    for id in ids.iter().step_by(2) {
        state.advance(*id, 1);
    }
    drop(waiting);
    let after_waiters = left();
    state.close();
    let after_close = left();
    println!(
        "{{\"shards\":{SHARDS},\"bytes_a_waited_shard\":{waited},\
         \"left_after_waiters\":{after_waiters},\"left_after_close\":{after_close}}}"
    );
    drop(profiler);
    Ok(())
}
