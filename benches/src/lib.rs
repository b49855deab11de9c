//! Code shared by the benches: the bare work, the baseline, peers built from other crates, embedded
//! databases, a disk that counts, tasks, pairs of threads, shard ids, and rounds.
//!
//! ```
//! let marks = benches::baseline::Marks::new(&benches::dense_ids(4));
//! marks.advance(repl_core::ShardId(3), 7);
//! assert_eq!(marks.applied(repl_core::ShardId(3)), Some(7));
//! ```

pub mod bare;
pub mod baseline;
pub mod counted;
pub mod databases;
pub mod nowhere;
pub mod peers;
pub mod rounds;
pub mod tasks;
pub mod threads;

use repl_core::{ReplicationState, ShardId};

/// The ids 0, 1, 2, ...
pub fn dense_ids(shards: u64) -> Vec<ShardId> {
    (0..shards).map(ShardId).collect()
}

/// Ids spread over all 64 bits.
pub fn wide_ids(shards: u64) -> Vec<ShardId> {
    (0..shards).map(|i| ShardId(i.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect()
}

/// Random numbers, the same in every run (xorshift).
pub fn random() -> impl FnMut() -> u64 + Clone {
    let mut x = 0x2545_f491_4f6c_dd1d_u64;
    move || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x
    }
}

/// A state of these shards, each with a different mark.
pub fn state_of(ids: &[ShardId]) -> ReplicationState {
    let state = ReplicationState::new(ids);
    for (i, id) in (0..).zip(ids) {
        state.advance(*id, mark(i));
    }
    state
}

/// The mark of shard number `i`, with six or seven digits, as in a log that has run for a while.
pub fn mark(i: u64) -> u64 {
    100_000 + i * 37
}
