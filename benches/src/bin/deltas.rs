//! Measures how many bytes are written by saves after one mark of many has moved. Prints one JSON
//! line for each size.
#![expect(clippy::print_stdout, reason = "its output")]

use std::error::Error;

use benches::counted::Counted;
use benches::{dense_ids, random};
use repl_checkpoint::{JsonCodec, OnCorrupt, SaveReport, Saved, SlotStore, StoreId, recover};

const SAVES: u64 = 10_000;

fn main() -> Result<(), Box<dyn Error>> {
    for shards in [1024, 65_536] {
        saves(shards)?;
    }
    Ok(())
}

fn saves(shards: u64) -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let disk = Counted::default();
    let store = SlotStore::open_on(disk.clone(), dir.path(), StoreId::UNNAMED)?;
    let ids = dense_ids(shards);
    let mut follower = recover(store, JsonCodec, &ids, OnCorrupt::Fail)?;
    let mut mark = 1_000_000;
    for id in &ids {
        follower.state.advance(*id, mark);
    }
    let mut whole = 0;
    for _ in 0..2 {
        let saved = follower.checkpointer.checkpoint(|_| Ok(()))?;
        let Saved::Written(SaveReport { bytes, .. }) = saved else { return Err("saved".into()) };
        whole = bytes;
    }
    let mut number = random();
    let (before, mut deltas) = (disk.bytes(), 0);
    for _ in 0..SAVES {
        mark += 1;
        let place = usize::try_from(number() % shards)?;
        follower.state.advance(ids[place], mark);
        if let Saved::Written(report) = follower.checkpointer.checkpoint(|_| Ok(()))? {
            deltas += u64::from(report.base.is_some());
        }
    }
    let mean = (disk.bytes() - before) / SAVES;
    let row = whole / shards;
    println!(
        "{{\"saved_shards\":{shards},\"saves\":{SAVES},\"deltas\":{deltas},\"mean_bytes\":{mean},\
         \"row_bytes\":{row}}}"
    );
    Ok(())
}
