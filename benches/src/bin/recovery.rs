//! Measures with dhat the most memory that a recovery takes, beside what the recovered state takes.
//! Prints one JSON line for each store.
#![expect(clippy::print_stdout, reason = "its output")]

use std::error::Error;

use benches::dense_ids;
use repl_checkpoint::{
    BincodeCodec, CheckpointStore, Codec, FileStore, OnCorrupt, Recovered, Rows, SlotStore,
    StoreId, Track, recover,
};
use repl_core::ShardId;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

type Fallible<T> = Result<T, Box<dyn Error>>;

fn main() -> Fallible<()> {
    let ids = dense_ids(1 << 20);
    let dir = tempfile::tempdir()?;
    let [slots, files] = ["slots", "files"].map(|name| dir.path().join(name));
    of("SlotStore", &ids, || Ok(SlotStore::open(&slots, StoreId::UNNAMED)?))?;
    of("FileStore", &ids, || Ok(FileStore::open(&files, StoreId::UNNAMED)?))
}

fn of<S>(name: &str, ids: &[ShardId], open: impl Fn() -> Fallible<S>) -> Fallible<()>
where
    S: CheckpointStore + 'static,
{
    let payload = saved(open()?, ids)?;
    let _profiler = dhat::Profiler::builder().testing().build();
    let allocated = || dhat::HeapStats::get().curr_bytes;
    let before = allocated();
    let track = Track::only(ids);
    let Recovered { state, checkpointer, .. } =
        recover(open()?, BincodeCodec, track, OnCorrupt::Fail)?;
    let most = dhat::HeapStats::get().max_bytes - before;
    drop(checkpointer);
    let (shards, own) = (state.len(), allocated() - before);
    println!(
        "{{\"recovered_shards\":{shards},\"store\":\"{name}\",\"most_bytes\":{most},\
         \"state_bytes\":{own},\"payload_bytes\":{payload}}}"
    );
    Ok(())
}

/// Saves in a new store, so that each slot holds a checkpoint. Returns the length of a payload.
fn saved(store: impl CheckpointStore + 'static, ids: &[ShardId]) -> Fallible<usize> {
    let mut follower = recover(store, BincodeCodec, ids, OnCorrupt::Fail)?;
    for seqno in 1..4 {
        for id in ids {
            follower.state.advance(*id, seqno);
        }
        follower.checkpointer.checkpoint(|_| Ok(()))?;
    }
    let mut payload = Vec::new();
    BincodeCodec.encode(&mut Rows::of(&follower.state.snapshot()), &mut payload)?;
    Ok(payload.len())
}
