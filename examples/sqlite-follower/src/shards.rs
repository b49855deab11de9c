//! How does each shard get from what was decided for it to a task that follows its log?
//!
//! A shard that resumes is tracked from the start, so its replica is opened before the first
//! checkpoint may begin. One that begins with a base copy is added to what is tracked when the copy
//! is in its place, and its replica and its position are to be found before that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use repl_core::{LogId, NewShard, ReplicationState, SeqNo, Shard, ShardId};

use crate::apply::Applier;
use crate::base_copy::{BaseCopy, TRY_EVERY};
use crate::checkpointing::Replicas;
use crate::events::{Event, tell};
use crate::follower::{FollowerError, FollowerOptions};
use crate::pool::{Pool, Turn};
use crate::position::Position;
use crate::positions::Positions;
use crate::replica::{Replica, ReplicaError};
use crate::start::Start;
use crate::tail::Tail;
use crate::wal::LogPoint;

/// What the threads of a follower have in common.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) options: FollowerOptions,
    pub(crate) state: Arc<ReplicationState>,
    pub(crate) positions: Arc<Positions>,
    pub(crate) replicas: Replicas,
    pub(crate) finish: Arc<AtomicBool>,
}

/// How far a shard has come.
enum Task {
    Follow(Box<Applier>),
    Copy(BaseCopy, Tail),
}

/// Starts the threads that follow all shards; must have returned before anything is saved.
pub(crate) fn start_shards(
    common: &Common,
    starts: Vec<(ShardId, Start)>,
    failed: &mpsc::Sender<FollowerError>,
) -> Result<Pool, FollowerError> {
    let mut tasks = Vec::new();
    for (id, start) in starts {
        tasks.push(match start {
            Start::Resume { shard, position, log_end } => {
                Task::Follow(Box::new(resume(common, shard, position, log_end)?))
            }
            Start::Copy => Task::Copy(BaseCopy::new(id), common.tail(id)),
        });
    }
    let (common, failed) = (common.clone(), failed.clone());
    Ok(Pool::start(common.options.threads, tasks, move |task| {
        // Read before the log is: what was written before the word was given is then seen.
        let finishing = common.finish.load(Ordering::Acquire);
        task.turn(&common, finishing).unwrap_or_else(|e| {
            let _ = failed.send(e);
            Turn::Ended
        })
    }))
}

impl Task {
    fn turn(self, common: &Common, finishing: bool) -> Result<Turn<Task>, FollowerError> {
        match self {
            Task::Follow(mut applier) => Ok(match applier.turn(finishing)? {
                Some(rest) => Turn::Again(Task::Follow(applier), rest),
                None => Turn::Ended,
            }),
            Task::Copy(copy, mut tail) => {
                let Some(at) = copy.attempt(&common.options.layout, &mut tail)? else {
                    return Ok(Turn::Again(Task::Copy(copy, tail), TRY_EVERY));
                };
                let applier = begin_at_copy(common, copy.shard(), tail, at)?;
                Ok(Turn::Again(Task::Follow(Box::new(applier)), Duration::ZERO))
            }
        }
    }
}

fn resume(
    common: &Common,
    shard: Shard,
    position: Position,
    log_end: SeqNo,
) -> Result<Applier, FollowerError> {
    let (id, mark) = (shard.id(), shard.applied());
    let replica = Arc::new(common.open_replica(id, mark, log_end)?);
    common.replicas.insert(Arc::clone(&replica));
    tell(Event::Resumed { shard: id.0, mark, at: position.at });
    Ok(common.applier(shard, replica, common.tail(id), position))
}

fn begin_at_copy(
    common: &Common,
    id: ShardId,
    tail: Tail,
    at: LogPoint,
) -> Result<Applier, FollowerError> {
    let Common { options, state, positions, replicas, .. } = common;
    let position = Position::of_base_copy(at);
    let mark = position.seqno();
    let replica = Arc::new(common.open_replica(id, mark, mark)?);
    if options.keep_images {
        replica.sync()?;
    }
    // Whoever saves the mark must find both, so they come first.
    replicas.insert(Arc::clone(&replica));
    let base = new_base();
    positions.begin(id, base, position);
    let shard = state.add_shard(NewShard::new(id).with_mark(mark).with_log(base))?;
    tell(Event::Copied { shard: id.0, mark, at: position.at });
    Ok(common.applier(shard, replica, tail, position))
}

/// A name for the sequence of logs that begins with a base copy.
fn new_base() -> LogId {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let nanos = now.map_or(0, |d| d.as_nanos());
    LogId(nanos << 32 | u128::from(std::process::id()))
}

impl Common {
    fn open_replica(&self, id: ShardId, mark: SeqNo, end: SeqNo) -> Result<Replica, ReplicaError> {
        let layout = &self.options.layout;
        let replica = Replica::open(id, &layout.replica(id), mark, end)?;
        Ok(if self.options.keep_images {
            replica.keeping_image(layout.replica_image(id))
        } else {
            replica
        })
    }

    fn tail(&self, id: ShardId) -> Tail {
        let layout = &self.options.layout;
        let tail = Tail::new(&layout.log(id));
        if self.options.keep_images { tail.keeping_image(layout.log_image(id)) } else { tail }
    }

    fn applier(
        &self,
        shard: Shard,
        replica: Arc<Replica>,
        tail: Tail,
        position: Position,
    ) -> Applier {
        Applier {
            layout: self.options.layout.clone(),
            positions: Arc::clone(&self.positions),
            mark: shard.applied(),
            replica,
            shard,
            tail,
            position,
            durable: position.at,
            log_first: !self.options.apply_before_log,
        }
    }
}
