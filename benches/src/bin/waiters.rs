//! Measures with dhat the memory of a million waiters on one shard, and what remains after they are
//! dropped. Prints one JSON line.
#![expect(clippy::print_stdout, reason = "its output")]

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Waker};

use repl_core::{ReplicationState, ShardId};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

fn main() -> Result<(), Box<dyn Error>> {
    const WAITERS: u32 = 1_000_000;
    let state = ReplicationState::single();
    let shard = state.shard(ShardId::SINGLE).ok_or("not tracked")?;
    let mut context = Context::from_waker(Waker::noop());
    let profiler = dhat::Profiler::builder().testing().build();
    let allocated = || dhat::HeapStats::get().curr_bytes;
    let before = allocated();
    // A boxed slice has no spare capacity. Ascending order leaves the nodes of a B-tree least full.
    let mut waiting: Box<[_]> =
        (1..=WAITERS).map(|seqno| shard.reached(u64::from(seqno))).collect();
    for reached in &mut waiting {
        if Pin::new(reached).poll(&mut context).is_ready() {
            return Err("a future is ready without an advance".into());
        }
    }
    let bytes = allocated() - before;
    let a_waiter = (bytes as u64).div_ceil(u64::from(WAITERS));
    drop(waiting);
    let left = allocated().saturating_sub(before);
    println!(
        "{{\"waiters\":{WAITERS},\"bytes\":{bytes},\"bytes_a_waiter\":{a_waiter},\
         \"bytes_left\":{left}}}"
    );
    drop(profiler);
    Ok(())
}
