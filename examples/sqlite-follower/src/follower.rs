//! How does a follower process start, run and end?
//!
//! 1. Open the checkpoint folder, which locks out a second follower, before anything is touched.
//! 2. Withdraw the floors that a predecessor published: until this process has saved twice it
//!    promises nothing.
//! 3. Recover the marks, and decide how each shard begins (`start.rs`).
//! 4. A few threads for all shards (`pool.rs`): base copy or resume, then follow the log
//!    (`apply.rs`). Clients ask for what they have written meanwhile (`answers.rs`).
//! 5. Checkpoints in the background: flush the replicas and the positions, then save the marks.
//! 6. Publish each floor as it moves.
//! 7. Told to finish: follow every log to its end, end all waiting, save a last time, end.
//!
//! Whatever goes wrong ends the process: the next one begins at the saved marks.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use repl_checkpoint::{
    CheckpointError, CheckpointStore, CloseError, FileStore, Floors, Health, JsonCodec, OnCorrupt,
    OpenStoreError, RecoverError, Schedule, SlotStore, Source, SpawnError, StoreId, recover,
};
use repl_core::{AlreadyTracked, ShardId};
use thiserror::Error;

use crate::answers::{self, AnswerError};
use crate::apply::ApplyError;
use crate::base_copy::BaseCopyError;
use crate::checkpointing::{Flush, FlushError, Replicas, SaveClock, TimedStore};
use crate::cli::StoreKind;
use crate::durable::{self, FileError};
use crate::events;
use crate::floor::PublishedFloors;
use crate::layout::Layout;
use crate::pool::{Panicked, Pool};
use crate::positions::Positions;
use crate::reader;
use crate::replica::ReplicaError;
use crate::shards::{Common, start_shards};
use crate::start::{DecideError, decide_all};

/// How often marks are saved, where they have moved.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(50);
const LOOK_EVERY: Duration = Duration::from_millis(4);

/// How long a predecessor may take to die.
const LOCKED_FOR: Duration = Duration::from_secs(10);

/// What a follower is told when it starts.
#[expect(clippy::struct_excessive_bools, reason = "one a flag of the command line")]
#[derive(Debug, Clone)]
pub(crate) struct FollowerOptions {
    pub(crate) layout: Layout,
    pub(crate) store: StoreKind,
    pub(crate) store_id: StoreId,
    pub(crate) databases: u64,
    /// How many threads apply them.
    pub(crate) threads: usize,
    pub(crate) rebase: bool,
    /// Keep a copy of each replica as of its last sync.
    pub(crate) keep_images: bool,
    pub(crate) mark_before_flush: bool,
    pub(crate) apply_before_log: bool,
    pub(crate) skip_wait: bool,
}

/// The follower had to end.
#[derive(Debug, Error)]
pub(crate) enum FollowerError {
    #[error(transparent)]
    OpenStore(#[from] OpenStoreError),
    #[error(transparent)]
    Recover(#[from] RecoverError),
    #[error(
        "the checkpoint in {} names shard {shard}, which this run does not have: it is not the \
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
    #[error("the marks can no longer be saved: {0}")]
    Unhealthy(String),
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    #[error(transparent)]
    Close(#[from] CloseError<FlushError>),
}

/// Follows until it is told to finish.
pub(crate) fn run(options: FollowerOptions) -> Result<(), FollowerError> {
    let layout = options.layout.clone();
    let (asked, questions) = mpsc::channel();
    let finish = events::listen(move |order| {
        let _ = asked.send(order);
    });
    let store = open_store(&options)?; // 1
    durable::remove(&layout.floors())?; // 2
    let began = SaveClock::default();
    let store = TimedStore { store, began: began.clone() };
    let shards: Vec<ShardId> = events::shards(options.databases).collect();
    let recovered = recover(store, JsonCodec, &shards, OnCorrupt::FallBack)?; // 3
    if let Source::FellBack { generation, damaged } = &recovered.found.origin {
        for file in damaged {
            eprintln!("follower: damaged checkpoint {file}; fell back to generation {generation}");
        }
    }
    if let Some(shard) = recovered.found.unnamed.first().copied() {
        return Err(FollowerError::UnknownShard { shard, path: layout.checkpoint() });
    }
    let mut checkpointer = recovered.checkpointer;
    let positions = Arc::new(Positions::load(&layout.positions())?);
    let replicas = Replicas::default();
    let mut flush = Flush {
        replicas: replicas.clone(),
        positions: Arc::clone(&positions),
        floors: checkpointer.floors(),
        began,
        sabotaged: options.mark_before_flush,
        turn: 0,
        failed: false,
    };
    let rebase = options.rebase;
    let starts = decide_all(&layout, &positions, &mut checkpointer, rebase)?;
    let common = Common { options, state: recovered.state, positions, replicas, finish };
    let (failed, failures) = mpsc::channel();
    let pool = start_shards(&common, starts, &failed)?; // 4
    answers::start(&common, questions, &failed);
    reader::start(&common.replicas, &common.state, &common.finish, &failed);
    let floors = checkpointer.floors();
    let background = checkpointer.spawn(
        Schedule::every(CHECKPOINT_EVERY),
        move |marks| flush.run(marks), // 5
        move |error| {
            eprintln!("follower: {}", crate::chain(error));
            if error.is_poisoning() || matches!(error, CheckpointError::Flush(e) if e.is_final()) {
                let _ = failed.send(FollowerError::Unhealthy(error.to_string()));
            }
        },
    )?;
    watch(&common, &floors, &failures, pool)?;
    common.state.close();
    background.close()?; // 7
    Ok(())
}

/// Opens the checkpoint folder, waiting for a predecessor that is about to end.
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

/// Publishes the floors until all shards are at their end, or one has failed.
fn watch(
    common: &Common,
    floors: &Floors,
    failures: &mpsc::Receiver<FollowerError>,
    mut pool: Pool,
) -> Result<(), FollowerError> {
    let mut published = PublishedFloors::default();
    let path = common.options.layout.floors();
    loop {
        // Asked before failures are looked for: a shard that failed has said so before it ended.
        let ended = pool.has_ended()?;
        match failures.recv_timeout(LOOK_EVERY) {
            Ok(error) => return Err(error),
            // Without senders there is nobody left who could fail.
            Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) if ended => {
                return Ok(());
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(Panicked.into()),
        }
        if let Health::Stopped { error } = floors.health() {
            return Err(FollowerError::Unhealthy(error));
        }
        let before = published.clone();
        for (id, _) in &common.state.snapshot() {
            let (Some(floor), Some(shard)) = (floors.retention_floor(id), common.state.shard(id))
            else {
                continue; // without a floor the leader holds all
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
