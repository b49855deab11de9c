//! Measures with dhat the memory of a `ReplicationState`, what stays of one that is dropped while
//! threads that have looked up in it live on, and the memory of a checkpoint. Prints one JSON line
//! for each.
#![expect(clippy::print_stdout, reason = "its output")]

use std::collections::HashMap;
use std::error::Error;
use std::hint::black_box;
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use benches::nowhere::Nowhere;
use benches::{baseline, dense_ids, wide_ids};
use repl_checkpoint::{BincodeCodec, Codec, JsonCodec, OnCorrupt, recover};
use repl_core::{ReplicationState, ShardId};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

type Done = Result<(), Box<dyn Error>>;

fn main() -> Done {
    of_a_state(&dense_ids(65_536));
    of_a_state_with_readers(&wide_ids(1 << 20))?;
    for shards in [1024, 16_384, 131_072, 1_048_576] {
        let ids = dense_ids(shards);
        of_a_checkpoint("bincode", &ids, BincodeCodec)?;
        of_a_checkpoint("json", &ids, JsonCodec)?;
        let marks = baseline::Marks::new(&ids);
        let bytes = peak(|| {
            let mark = |id: &ShardId| (id.0, marks.applied(*id).unwrap_or(0));
            let map: HashMap<u64, u64> = ids.iter().map(mark).collect();
            baseline::Marks::encode(&map)?;
            Ok(())
        })?;
        plot("baseline", shards, bytes);
    }
    Ok(())
}

fn allocated() -> usize {
    dhat::HeapStats::get().curr_bytes
}

fn of_a_state(ids: &[ShardId]) {
    let _profiler = dhat::Profiler::builder().testing().build();
    let before = allocated();
    let state = ReplicationState::new(ids);
    let bytes = allocated() - before;
    let (shards, a_shard) = (ids.len(), bytes / ids.len());
    println!("{{\"shards\":{shards},\"bytes\":{bytes},\"bytes_a_shard\":{a_shard}}}");
    drop(state);
}

fn of_a_state_with_readers(ids: &[ShardId]) -> Done {
    const THREADS: usize = 8;
    let _profiler = dhat::Profiler::builder().testing().build();
    let (looked_up, idle) = (&Barrier::new(THREADS + 1), &Barrier::new(THREADS + 1));
    thread::scope(|s| {
        let mut states = Vec::new();
        for _ in 0..THREADS {
            let (send, state) = mpsc::channel::<Arc<ReplicationState>>();
            states.push(send);
            s.spawn(move || {
                if let Ok(state) = state.recv() {
                    for id in ids.iter().step_by(100) {
                        black_box(state.applied_seqno(*id));
                    }
                }
                looked_up.wait();
                idle.wait();
            });
        }
        let before = allocated();
        let state = Arc::new(ReplicationState::new(ids));
        let gives = |thread: mpsc::Sender<_>| thread.send(Arc::clone(&state)).is_ok();
        let all_given = states.into_iter().all(gives);
        looked_up.wait();
        let bytes = allocated() - before;
        drop(state);
        let left = allocated().saturating_sub(before);
        idle.wait();
        let (shards, a_shard) = (ids.len(), bytes / ids.len());
        println!(
            "{{\"shards\":{shards},\"bytes\":{bytes},\"bytes_a_shard\":{a_shard},\
             \"threads\":{THREADS},\"bytes_left\":{left}}}"
        );
        if all_given { Ok(()) } else { Err("a thread has ended".into()) }
    })
}

/// The most memory that a checkpoint takes while every mark moves, after others were saved.
fn of_a_checkpoint(name: &str, ids: &[ShardId], codec: impl Codec + 'static) -> Done {
    let mut follower = recover(Nowhere, codec, ids, OnCorrupt::Fail)?;
    let advance_all = |seqno| {
        for id in ids {
            follower.state.advance(*id, seqno);
        }
    };
    for seqno in 1..3 {
        advance_all(seqno);
        follower.checkpointer.checkpoint(|_| Ok(()))?;
    }
    advance_all(100_000);
    let bytes = peak(|| {
        follower.checkpointer.checkpoint(|_| Ok(()))?;
        Ok(())
    })?;
    plot(name, ids.len() as u64, bytes);
    Ok(())
}

fn peak(f: impl FnOnce() -> Done) -> Result<usize, Box<dyn Error>> {
    let _profiler = dhat::Profiler::builder().testing().build();
    let before = allocated();
    f()?;
    Ok(dhat::HeapStats::get().max_bytes - before)
}

fn plot(contender: &str, size: u64, bytes: usize) {
    println!(
        "{{\"plot\":\"checkpoint_memory\",\"contender\":\"{contender}\",\"size\":{size},\
         \"value\":{bytes}}}"
    );
}
