//! How does a follower process start, run and end?
//!
//! 1. Open the checkpoint folder, which locks out a second follower, before anything is touched.
//! 2. Withdraw the floors that a predecessor published: until this process has saved twice it
//!    promises nothing.
//! 3. Recover the marks, and decide how each shard begins (`start.rs`).
//! 4. A thread a shard: base copy or resume, then follow the log (`apply.rs`).
//! 5. Checkpoints in the background: flush the replicas and the positions, then save the marks.
//! 6. Publish each floor as it moves.
//! 7. Told to finish: follow every log to its end, save a last time, end.
//!
//! Whatever goes wrong ends the process: the next one begins at the saved marks.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use repl_checkpoint::{
    CheckpointError, CloseError, FileStore, Floors, Health, JsonCodec, OnCorrupt, OpenStoreError,
    Origin, RecoverError, Schedule, SpawnError, StoreId, recover,
};
use repl_core::{AlreadyTracked, LogId, NewShard, ReplicationState, SeqNo, ShardId};
use thiserror::Error;

use crate::apply::{Applier, ApplyError};
use crate::base_copy::{BaseCopyError, copy_base};
use crate::checkpointing::{Flush, FlushError, Replicas, SaveClock, TimedStore};
use crate::durable::{self, FileError};
use crate::events::{self, Event, tell};
use crate::floor::PublishedFloors;
use crate::layout::Layout;
use crate::position::Position;
use crate::positions::Positions;
use crate::reader;
use crate::replica::{Replica, ReplicaError};
use crate::start::{DecideError, Start, decide_all};
use crate::tail::Tail;

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
    pub(crate) store: StoreId,
    pub(crate) databases: u64,
    pub(crate) rebase: bool,
    /// Keep a copy of each replica as of its last sync.
    pub(crate) keep_images: bool,
    pub(crate) mark_before_flush: bool,
    pub(crate) apply_before_log: bool,
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
    #[error("a shard's thread panicked")]
    Panicked,
    #[error(transparent)]
    Reader(#[from] reader::InconsistentRead),
    #[error("the marks can no longer be saved: {0}")]
    Unhealthy(String),
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    #[error(transparent)]
    Close(#[from] CloseError<FlushError>),
}

/// What the threads of a follower have in common.
#[derive(Clone)]
struct Common {
    options: FollowerOptions,
    state: Arc<ReplicationState>,
    positions: Arc<Positions>,
    replicas: Replicas,
    finish: Arc<AtomicBool>,
}

/// Follows until it is told to finish.
pub(crate) fn run(options: FollowerOptions) -> Result<(), FollowerError> {
    let layout = options.layout.clone();
    let finish = events::listen();
    let store = open_store(&options)?; // 1
    durable::remove(&layout.floors())?; // 2
    let began = SaveClock::default();
    let store = TimedStore { store, began: began.clone() };
    let shards: Vec<ShardId> = events::shards(options.databases).collect();
    let recovered = recover(store, JsonCodec, &shards, OnCorrupt::FallBack)?; // 3
    if let Origin::FellBack { generation, damaged } = &recovered.found.origin {
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
    let threads = start_shards(&common, starts, &failed); // 4
    reader::start(&common.replicas, &common.state, &common.finish, &failed);
    let floors = checkpointer.floors();
    let background = checkpointer.spawn(
        Schedule::every(CHECKPOINT_EVERY),
        move |marks| flush.run(marks), // 5
        move |error| {
            eprintln!("follower: {}", crate::chain(error));
            if error.poisons() || matches!(error, CheckpointError::Flush(e) if e.is_final()) {
                let _ = failed.send(FollowerError::Unhealthy(error.to_string()));
            }
        },
    )?;
    watch(&common, &floors, &failures, || threads.iter().all(thread::JoinHandle::is_finished))?;
    background.close()?; // 7
    Ok(())
}

/// Opens the checkpoint folder, waiting for a predecessor that is about to end.
fn open_store(options: &FollowerOptions) -> Result<FileStore, OpenStoreError> {
    let deadline = Instant::now() + LOCKED_FOR;
    loop {
        match FileStore::open(options.layout.checkpoint(), options.store) {
            Err(OpenStoreError::Locked { .. }) if Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(10));
            }
            opened => return opened,
        }
    }
}

type Failures = mpsc::Sender<FollowerError>;

fn start_shards(
    common: &Common,
    starts: Vec<(ShardId, Start)>,
    failed: &Failures,
) -> Vec<thread::JoinHandle<()>> {
    let follow = |(shard, start)| {
        let (common, failed) = (common.clone(), failed.clone());
        thread::spawn(move || {
            if let Err(e) = follow(&common, shard, start) {
                let _ = failed.send(e);
            }
        })
    };
    starts.into_iter().map(follow).collect()
}

/// Brings one shard to its start and follows its log.
fn follow(common: &Common, id: ShardId, start: Start) -> Result<(), FollowerError> {
    let Common { options, state, positions, replicas, finish } = common;
    let layout = &options.layout;
    let mut tail = Tail::new(&layout.log(id));
    if options.keep_images {
        tail = tail.keeping_image(layout.log_image(id));
    }
    let open = |mark: SeqNo, log_end: SeqNo| {
        let replica = Replica::open(id, &layout.replica(id), mark, log_end)?;
        let replica = if options.keep_images {
            replica.keeping_image(layout.replica_image(id))
        } else {
            replica
        };
        Ok::<_, ReplicaError>(Arc::new(replica))
    };
    let (shard, replica, position) = match start {
        Start::Resume { shard, position, log_end } => {
            let mark = shard.applied();
            let replica = open(mark, log_end)?;
            replicas.insert(Arc::clone(&replica));
            tell(Event::Resumed { shard: id.0, mark, at: position.at });
            (shard, replica, position)
        }
        Start::Copy => {
            let position = Position::of_base_copy(copy_base(layout, id, &mut tail)?);
            let mark = position.seqno();
            let replica = open(mark, mark)?;
            if options.keep_images {
                replica.sync()?;
            }
            // Whoever saves the mark must find both.
            replicas.insert(Arc::clone(&replica));
            let base = new_base();
            positions.begin(id, base, position);
            let shard = state.add_shard(NewShard::new(id).at(mark).log(base))?;
            tell(Event::Copied { shard: id.0, mark, at: position.at });
            (shard, replica, position)
        }
    };
    let mark = shard.applied();
    let (layout, positions) = (layout.clone(), Arc::clone(positions));
    let log_first = !options.apply_before_log;
    Ok(Applier { layout, positions, replica, shard, tail, position, mark, log_first }
        .run(finish)?)
}

/// A name for the sequence of logs that begins with a base copy.
fn new_base() -> LogId {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let nanos = now.map_or(0, |d| d.as_nanos());
    LogId(nanos << 32 | u128::from(std::process::id()))
}

/// Publishes the floors until all shards are at their end, or one has failed.
fn watch(
    common: &Common,
    floors: &Floors,
    failures: &mpsc::Receiver<FollowerError>,
    ended: impl Fn() -> bool,
) -> Result<(), FollowerError> {
    let mut published = PublishedFloors::default();
    let path = common.options.layout.floors();
    loop {
        match failures.recv_timeout(LOOK_EVERY) {
            Ok(error) => return Err(error),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(FollowerError::Panicked),
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
        if common.finish.load(Ordering::Acquire) && ended() {
            // A thread that failed has said so before it ended, one that panicked has not.
            return match failures.try_recv() {
                Ok(error) => Err(error),
                Err(_) => common.all_tracked(),
            };
        }
    }
}

impl Common {
    /// A thread that panicked before its shard was added leaves it out; the parent compares the
    /// rest.
    fn all_tracked(&self) -> Result<(), FollowerError> {
        let snapshot = self.state.snapshot();
        let missing = events::shards(self.options.databases).any(|s| snapshot.get(s).is_none());
        if missing { Err(FollowerError::Panicked) } else { Ok(()) }
    }
}
