//! How does each shard get from what was decided for it to a thread that follows its log?
//!
//! A shard that resumes is tracked from the start, so its replica is opened before the first
//! checkpoint may begin. One that begins with a base copy is added to what is tracked when the copy
//! is in its place, and its replica and its position are to be found before that.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::thread;
use std::time::SystemTime;

use repl_core::{LogId, NewShard, ReplicationState, SeqNo, Shard, ShardId};

use crate::apply::Applier;
use crate::base_copy::copy_base;
use crate::checkpointing::Replicas;
use crate::events::{Event, tell};
use crate::follower::{FollowerError, FollowerOptions};
use crate::position::Position;
use crate::positions::Positions;
use crate::replica::{Replica, ReplicaError};
use crate::start::Start;
use crate::tail::Tail;

/// What the threads of a follower have in common.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) options: FollowerOptions,
    pub(crate) state: Arc<ReplicationState>,
    pub(crate) positions: Arc<Positions>,
    pub(crate) replicas: Replicas,
    pub(crate) finish: Arc<AtomicBool>,
}

/// How far a shard has come before it has a thread.
enum Begun {
    Resumed(Box<Applier>),
    ToCopy(ShardId),
}

/// Starts a thread a shard; must have returned before anything is saved.
pub(crate) fn start_shards(
    common: &Common,
    starts: Vec<(ShardId, Start)>,
    failed: &mpsc::Sender<FollowerError>,
) -> Result<Vec<thread::JoinHandle<()>>, FollowerError> {
    let mut begun = Vec::new();
    for (id, start) in starts {
        begun.push(match start {
            Start::Resume { shard, position, log_end } => {
                Begun::Resumed(Box::new(resume(common, shard, position, log_end)?))
            }
            Start::Copy => Begun::ToCopy(id),
        });
    }
    let follow = |begun| {
        let (common, failed) = (common.clone(), failed.clone());
        thread::spawn(move || {
            let applier = match begun {
                Begun::Resumed(applier) => Ok(*applier),
                Begun::ToCopy(id) => begin_with_copy(&common, id),
            };
            let followed = applier.and_then(|a| a.run(&common.finish).map_err(Into::into));
            if let Err(e) = followed {
                let _ = failed.send(e);
            }
        })
    };
    Ok(begun.into_iter().map(follow).collect())
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

fn begin_with_copy(common: &Common, id: ShardId) -> Result<Applier, FollowerError> {
    let Common { options, state, positions, replicas, .. } = common;
    let mut tail = common.tail(id);
    let position = Position::of_base_copy(copy_base(&options.layout, id, &mut tail)?);
    let mark = position.seqno();
    let replica = Arc::new(common.open_replica(id, mark, mark)?);
    if options.keep_images {
        replica.sync()?;
    }
    // Whoever saves the mark must find both, so they come first.
    replicas.insert(Arc::clone(&replica));
    let base = new_base();
    positions.begin(id, base, position);
    let shard = state.add_shard(NewShard::new(id).at(mark).log(base))?;
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
            log_first: !self.options.apply_before_log,
        }
    }
}
