//! The task of each shard: make a base copy if needed, then follow the log.
//!
//! A shard that resumes is tracked from the start, so its replica is opened before the first
//! checkpoint may begin. A shard that begins with a base copy is tracked once the copy is in place.
//! Its replica and its position must be known before that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};

use repl_core::{LogId, NewShard, ReplicationState, SeqNo, Shard, ShardId};

use crate::apply::Applier;
use crate::base_copy::{BaseCopy, TRY_EVERY};
use crate::checkpointing::Replicas;
use crate::events::{Event, send};
use crate::follower::{FollowerError, FollowerOptions};
use crate::pool::{Pool, Turn};
use crate::position::Position;
use crate::positions::Positions;
use crate::replica::{Replica, ReplicaError};
use crate::start::Start;
use crate::tail::Tail;
use crate::wal::LogPoint;

/// The state that all threads of a follower share.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) options: FollowerOptions,
    pub(crate) state: Arc<ReplicationState>,
    pub(crate) positions: Arc<Positions>,
    pub(crate) replicas: Replicas,
    pub(crate) finish: Arc<AtomicBool>,
}

/// The stage of a shard.
enum Task {
    Follow(Box<Applier>),
    Copy(BaseCopy, Tail),
}

/// Starts the threads that follow all shards. Must return before the first checkpoint.
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
        // Read before the log, so that the turn sees all written before the order to finish.
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
    send(Event::Resumed { shard: id.0, mark, at: position.at });
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
    // A save of the mark needs the replica and the position, so they come before the shard.
    replicas.insert(Arc::clone(&replica));
    let base = new_base();
    positions.begin(id, base, position);
    let shard = state.add_shard(NewShard::new(id).with_mark(mark).with_log(base))?;
    send(Event::Copied { shard: id.0, mark, at: position.at });
    Ok(common.applier(shard, replica, tail, position))
}

/// A new id for the sequence of logs since a base copy.
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
