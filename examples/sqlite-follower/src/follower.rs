//! The follower process.
//!
//! 1. Open the checkpoint folder first of all, which locks out a second follower.
//! 2. Withdraw the floors that a predecessor published. A process has no floors until it has saved
//!    twice itself.
//! 3. Recover the marks, and decide how each shard starts (`start.rs`).
//! 4. Run all shards on a few threads (`shards.rs`): base copy or resume, then follow the log.
//!    Meanwhile answer clients (`reads.rs`).
//! 5. Checkpoint in the background: flush the replicas and the positions, then save the marks.
//! 6. Publish each floor as it moves.
//! 7. On the order to finish: follow every log to its end, end all waits, save a last time, end.
//!
//! Any error ends the process. The next one starts at the saved marks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use example_support::{Error, chain, files, join_ended, listen, send};
use repl_checkpoint::{
    CheckpointStore, FileStore, Floors, JsonCodec, OnCorrupt, OpenStoreError, Schedule, SlotStore,
    Source, Status, StoreId, open_timeout, recover,
};
use repl_core::{ShardId, Snapshot};

use crate::cli::{Mutant, StoreKind};
use crate::events::{Event, Order};
use crate::handover::PublishedFloors;
use crate::positions::Positions;
use crate::shards::{self, Common};
use crate::start::decide_all;
use crate::{Setup, reads};

/// How often marks are saved, if they have moved.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(50);
const LOOK_EVERY: Duration = Duration::from_millis(4);

/// How long a predecessor may take to end.
const LOCKED_FOR: Duration = Duration::from_secs(10);

/// Runs the follower until the order to finish.
pub(crate) fn run(setup: Setup) -> Result<(), Error> {
    let layout = setup.layout.clone();
    let (reads, orders) = mpsc::channel();
    let finish = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&finish);
    listen(move |order| match order {
        Order::Finish => flag.store(true, Ordering::Release),
        order => drop(reads.send(order)),
    });
    let store = open_timeout(LOCKED_FOR, || open_store(&setup)).wait()?; // 1
    files::remove(&layout.floors())?; // 2
    let ids: Vec<ShardId> = setup.shards().collect();
    let recovered = recover(store, JsonCodec, &ids, OnCorrupt::FallBack)?; // 3
    if let Source::FellBack { generation, damaged } = &recovered.report.source {
        for file in damaged {
            eprintln!("follower: {}; fell back to generation {generation}", chain(file));
        }
    }
    let mut checkpointer = recovered.checkpointer;
    let positions = Positions::load(&layout.positions())?;
    let starts = decide_all(&layout, &positions, &mut checkpointer, setup.args.rebase)?;
    let (failed, failures) = mpsc::channel();
    let replicas = Mutex::default();
    let common =
        Arc::new(Common { setup, state: recovered.state, positions, replicas, finish, failed });
    let threads = shards::start(&common, starts)?; // 4
    reads::start_answering(&common, orders);
    reads::start_checking(&common);
    let floors = checkpointer.floors();
    checkpointer.on_save(|save| {
        let micros = u64::try_from((save.flush_time + save.save_time).as_micros());
        send(Event::Saved { micros: micros.unwrap_or(u64::MAX) });
    });
    let (flushing, failing, behind) = (Arc::clone(&common), common.failed.clone(), floors.clone());
    let (mut count, mut has_failed) = (0_u64, false);
    let background = checkpointer.spawn(
        Schedule::every(CHECKPOINT_EVERY),
        move |attempt| {
            if has_failed {
                return Err("an earlier flush failed, and may have lost writes".into());
            }
            count += 1;
            let flushed = flush(&flushing, attempt.marks(), &behind, count); // 5
            has_failed = flushed.is_err();
            flushed
        },
        move |error| drop(failing.send(format!("cannot save the marks: {}", chain(error)).into())),
    )?;
    watch(&common, &floors, &failures, threads)?;
    common.state.close();
    background.close().wait()?; // 7
    Ok(())
}

fn open_store(setup: &Setup) -> Result<Box<dyn CheckpointStore>, OpenStoreError> {
    let (dir, id) = (setup.layout.checkpoint(), StoreId(setup.store));
    Ok(match setup.args.store {
        StoreKind::Files => Box::new(FileStore::open(&dir, id)?),
        StoreKind::Slots => Box::new(SlotStore::open(&dir, id)?),
    })
}

/// Makes the replicas durable, and then the positions.
fn flush(common: &Common, marks: &Snapshot, floors: &Floors, count: u64) -> Result<(), Error> {
    // The mutant syncs in every eighth flush only, so that most marks are saved too early.
    let mutant = common.setup.args.mutant == Some(Mutant::MarkBeforeFlush);
    for shard in marks.shards() {
        let replica = common.replica(shard);
        let replica = replica.ok_or_else(|| format!("shard {shard} has no replica"))?;
        if !mutant || count.is_multiple_of(8) {
            replica.sync()?;
        }
    }
    common.positions.save(marks, floors)
}

/// Publishes the floors until all shards reach the end of their log, or something fails.
fn watch(
    common: &Common,
    floors: &Floors,
    failures: &Receiver<Error>,
    mut threads: Vec<JoinHandle<Result<(), Error>>>,
) -> Result<(), Error> {
    let mut published = PublishedFloors::new();
    let path = common.setup.layout.floors();
    loop {
        join_ended(&mut threads)?;
        match failures.recv_timeout(LOOK_EVERY) {
            Ok(error) => return Err(error),
            Err(_) if threads.is_empty() => return Ok(()),
            Err(_) => {}
        }
        if let Status::Stopped { error } = floors.health().status {
            return Err(format!("cannot save the marks any more: {error}").into());
        }
        let before = published.clone();
        for (id, floor) in &floors.retention_floors() {
            if let Some(shard) = common.state.shard(id)
                && let Some(at) = common.positions.of(id, shard.log(), floor)
            {
                published.insert(id.0, at);
            }
        }
        if published != before {
            files::save_in_cache(&path, &published)?; // 6
        }
    }
}
