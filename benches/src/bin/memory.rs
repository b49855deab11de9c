//! Measures the memory of a `ReplicationState` with dhat. Prints one JSON line.
#![expect(clippy::print_stdout, reason = "its output")]

use benches::dense_ids;
use repl_core::ReplicationState;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

fn main() {
    const SHARDS: u64 = 65_536;
    let ids = dense_ids(SHARDS);
    let profiler = dhat::Profiler::builder().testing().build();
    let before = dhat::HeapStats::get().curr_bytes;
    let state = ReplicationState::new(&ids);
    let bytes = dhat::HeapStats::get().curr_bytes - before;
    let a_shard = bytes as u64 / SHARDS;
    println!("{{\"shards\":{SHARDS},\"bytes\":{bytes},\"bytes_a_shard\":{a_shard}}}");
    drop((state, profiler));
}
