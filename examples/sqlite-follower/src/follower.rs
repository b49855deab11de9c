//! The follower process.
//!
//! 1. Open the checkpoint folder first of all, which locks out a second follower.
//! 2. Withdraw the floors that a predecessor published. A process has no floors until it has saved
//!    twice itself.
//! 3. Recover the marks, and decide how each shard starts (`start.rs`).
//! 4. Run all shards on a few threads (`pool.rs`): base copy or resume, then follow the log
//!    (`apply.rs`). Meanwhile answer clients (`answers.rs`).
//! 5. Checkpoint in the background: flush the replicas and the positions, then save the marks.
//! 6. Publish each floor as it moves.
//! 7. On the order to finish: follow every log to its end, end all waits, save a last time, end.
//!
//! Any error ends the process. The next one starts at the saved marks.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use repl_checkpoint::{
    CheckpointError, CheckpointStore, CloseError, FileStore, Floors, JsonCodec, OnCorrupt,
    OpenStoreError, RecoverError, SaveReport, Schedule, SlotStore, Source, SpawnError, Status,
    StoreId, recover,
};
use repl_core::{AlreadyTracked, ShardId};
use thiserror::Error;

use crate::answers::{self, AnswerError};
use crate::apply::ApplyError;
use crate::base_copy::BaseCopyError;
use crate::checkpointing::{Flush, FlushError, Replicas};
use crate::cli::StoreKind;
use crate::durable::{self, FileError};
use crate::events::{self, Event, send};
use crate::floor::PublishedFloors;
use crate::layout::Layout;
use crate::pool::{Panicked, Pool};
use crate::positions::Positions;
use crate::reader;
use crate::replica::ReplicaError;
use crate::shards::{Common, start_shards};
use crate::start::{DecideError, decide_all};

/// How often marks are saved, if they have moved.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(50);
const LOOK_EVERY: Duration = Duration::from_millis(4);

/// How long a predecessor may take to end.
const LOCKED_FOR: Duration = Duration::from_secs(10);

/// The options of a follower.
#[expect(clippy::struct_excessive_bools, reason = "one per flag of the command line")]
#[derive(Debug, Clone)]
pub(crate) struct FollowerOptions {
    pub(crate) layout: Layout,
    pub(crate) store: StoreKind,
    pub(crate) store_id: StoreId,
    pub(crate) databases: u64,
    /// The number of threads that apply the databases.
    pub(crate) threads: usize,
    pub(crate) rebase: bool,
    /// Keep a copy of each replica and log as of its last sync.
    pub(crate) keep_images: bool,
    pub(crate) mark_before_flush: bool,
    pub(crate) apply_before_log: bool,
    pub(crate) skip_wait: bool,
}

/// An error that ends the follower.
#[derive(Debug, Error)]
pub(crate) enum FollowerError {
    #[error(transparent)]
    OpenStore(#[from] OpenStoreError),
    #[error(transparent)]
    Recover(#[from] RecoverError),
    #[error(
        "the checkpoint in {} holds shard {shard}, which this run does not have: restore the \
         checkpoint of this folder", path.display()
    )]
    UnknownShard { shard: ShardId, path: PathBuf },
    #[error(transparent)]
    Decide(#[from] DecideError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    BaseCopy(#[from] BaseCopyError),
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error(transparent)]
    Tracked(#[from] AlreadyTracked),
    #[error(transparent)]
    Panicked(#[from] Panicked),
    #[error(transparent)]
    Reader(#[from] reader::InconsistentRead),
    #[error(transparent)]
    Answer(#[from] AnswerError),
    #[error("cannot save the marks any more: {0}")]
    Unhealthy(String),
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    #[error(transparent)]
    Close(#[from] CloseError),
}

/// Runs the follower until the order to finish.
pub(crate) fn run(options: FollowerOptions) -> Result<(), FollowerError> {
    let layout = options.layout.clone();
    let (reads, orders) = mpsc::channel();
    let finish = events::listen(move |order| {
        let _ = reads.send(order);
    });
    let store = open_store(&options)?; // 1
    durable::remove(&layout.floors())?; // 2
    let shards: Vec<ShardId> = events::shards(options.databases).collect();
    let recovered = recover(store, JsonCodec, &shards, OnCorrupt::FallBack)?; // 3
    if let Source::FellBack { generation, damaged } = &recovered.report.source {
        for file in damaged {
            eprintln!("follower: {}; fell back to generation {generation}", crate::chain(file));
        }
    }
    if let Some(shard) = recovered.report.orphaned.first().copied() {
        return Err(FollowerError::UnknownShard { shard, path: layout.checkpoint() });
    }
    let mut checkpointer = recovered.checkpointer;
    let positions = Arc::new(Positions::load(&layout.positions())?);
    let replicas = Replicas::default();
    let mut flush = Flush {
        replicas: replicas.clone(),
        positions: Arc::clone(&positions),
        floors: checkpointer.floors(),
        skips_syncs: options.mark_before_flush,
        count: 0,
        failed: false,
    };
    let rebase = options.rebase;
    let starts = decide_all(&layout, &positions, &mut checkpointer, rebase)?;
    let common = Common { options, state: recovered.state, positions, replicas, finish };
    let (failed, failures) = mpsc::channel();
    let pool = start_shards(&common, starts, &failed)?; // 4
    answers::start(&common, orders, &failed);
    reader::start(&common.replicas, &common.state, &common.finish, &failed);
    let floors = checkpointer.floors();
    checkpointer.on_save(report_save);
    let background = checkpointer.spawn(
        Schedule::every(CHECKPOINT_EVERY),
        move |attempt| Ok(flush.run(attempt.marks())?), // 5
        move |error| {
            eprintln!("follower: {}", crate::chain(error));
            let is_final = match error {
                CheckpointError::Flush(why) => why.downcast_ref().is_some_and(FlushError::is_final),
                other => other.is_poisoning(),
            };
            if is_final {
                let _ = failed.send(FollowerError::Unhealthy(crate::chain(error)));
            }
        },
    )?;
    watch(&common, &floors, &failures, pool)?;
    common.state.close();
    background.close().wait()?; // 7
    Ok(())
}

/// Reports how long a checkpoint took, from the snapshot to the end of the save.
fn report_save(save: &SaveReport) {
    if let Ok(micros) = u64::try_from((save.flush_time + save.save_time).as_micros()) {
        send(Event::Saved { micros });
    }
}

/// Opens the checkpoint folder, waiting for a predecessor to end.
fn open_store(options: &FollowerOptions) -> Result<Box<dyn CheckpointStore>, OpenStoreError> {
    let (dir, id) = (options.layout.checkpoint(), options.store_id);
    let open = || -> Result<Box<dyn CheckpointStore>, OpenStoreError> {
        Ok(match options.store {
            StoreKind::Files => Box::new(FileStore::open(&dir, id)?),
            StoreKind::Slots => Box::new(SlotStore::open(&dir, id)?),
        })
    };
    let deadline = Instant::now() + LOCKED_FOR;
    loop {
        match open() {
            Err(OpenStoreError::Locked { .. }) if Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(10));
            }
            opened => return opened,
        }
    }
}

/// Publishes the floors until all shards reach the end of their log, or one fails.
fn watch(
    common: &Common,
    floors: &Floors,
    failures: &mpsc::Receiver<FollowerError>,
    mut pool: Pool,
) -> Result<(), FollowerError> {
    let mut published = PublishedFloors::default();
    let path = common.options.layout.floors();
    loop {
        // Before the check for failures, since a shard sends its failure before it ends.
        let ended = pool.has_ended()?;
        match failures.recv_timeout(LOOK_EVERY) {
            Ok(error) => return Err(error),
            // All senders are gone, so nothing can fail any more.
            Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) if ended => {
                return Ok(());
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(Panicked.into()),
        }
        if let Status::Stopped { error } = floors.health().status {
            return Err(FollowerError::Unhealthy(error));
        }
        let before = published.clone();
        for (id, _) in &common.state.snapshot() {
            let (Some(floor), Some(shard)) = (floors.retention_floor(id), common.state.shard(id))
            else {
                continue; // without a floor the leader keeps the whole log
            };
            if let Some(position) = common.positions.of(id, shard.log(), floor) {
                published.set(id, position);
            }
        }
        if published != before {
            published.publish(&path)?; // 6
        }
    }
}
