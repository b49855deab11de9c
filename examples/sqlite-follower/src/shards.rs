//! The threads of the follower, and the work on each shard: make a base copy if needed, then apply
//! the log to the replica.
//!
//! Each thread owns some shards, and gives them turns. For each transaction, in the order of the
//! log, it
//! 1. makes the log durable up to it, and further if more transactions are there: otherwise a power
//!    cut could remove the end of the log while its pages stay in the replica;
//! 2. checks the mark: a transaction at or below it is applied already;
//! 3. writes its pages into the replica;
//! 4. records the position, which must be known before the mark can be saved;
//! 5. moves the mark.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use example_support::{Error, lock, send};
use repl_core::{NewShard, ReplicationState, SeqNo, Shard, ShardId};

use crate::Setup;
use crate::base_copy::copy_base;
use crate::cli::Mutant;
use crate::events::Event;
use crate::positions::{Mark, Positions, new_base, seqno_of};
use crate::replica::Replica;
use crate::start::{Start, next_log, reset};
use crate::tail::{Step, Tail};
use crate::wal::LogPoint;

/// The state that all threads of a follower share.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) setup: Setup,
    pub(crate) state: Arc<ReplicationState>,
    pub(crate) positions: Positions,
    /// The replicas of all shards that are tracked, or about to be.
    pub(crate) replicas: Mutex<BTreeMap<ShardId, Arc<Replica>>>,
    pub(crate) finish: Arc<AtomicBool>,
    /// The first error ends the follower.
    pub(crate) failed: mpsc::Sender<Error>,
}

/// Starts the threads that follow all shards. Must return before the first checkpoint.
pub(crate) fn start(
    common: &Arc<Common>,
    starts: Vec<Start>,
) -> Result<Vec<JoinHandle<Result<(), Error>>>, Error> {
    let threads = usize::from(common.setup.args.threads).clamp(1, starts.len().max(1));
    let mut shares: Vec<(Vec<ShardId>, Vec<Applier>)> = Vec::new();
    shares.resize_with(threads, Default::default);
    for (start, share) in starts.into_iter().zip((0..threads).cycle()) {
        let (to_copy, appliers) = &mut shares[share];
        match start {
            Start::Resume { shard, at, log_end } => {
                let (id, mark) = (shard.id(), shard.applied());
                let replica = common.open_replica(id, mark, log_end)?;
                send(Event::Started { shard: id.0, mark, at, copied: false });
                let tail = common.tail(id);
                appliers.push(Applier { replica, shard, tail, at, mark, durable: at });
            }
            Start::Copy(id) => to_copy.push(id),
        }
    }
    let follow = |(to_copy, mut appliers): (Vec<ShardId>, Vec<Applier>)| {
        let common = Arc::clone(common);
        thread::spawn(move || {
            for id in to_copy {
                appliers.push(begin_with_copy(&common, id)?);
            }
            serve(appliers, |applier: &mut Applier| {
                // Read before the log, so that the turn sees all written before the order.
                let finishing = common.finish.load(Ordering::Acquire);
                applier.turn(&common, finishing)
            })
        })
    };
    Ok(shares.into_iter().map(follow).collect())
}

/// Gives each task turns until it has ended. A turn returns the time until the next one is due, or
/// `None` at the end.
fn serve<T>(
    mut tasks: Vec<T>,
    mut turn: impl FnMut(&mut T) -> Result<Option<Duration>, Error>,
) -> Result<(), Error> {
    while !tasks.is_empty() {
        let mut rests = Vec::new();
        for task in &mut tasks {
            rests.push(turn(task)?);
        }
        let mut ended = rests.iter().map(Option::is_none);
        tasks.retain(|_| ended.next() != Some(true));
        thread::sleep(rests.into_iter().flatten().min().unwrap_or(Duration::ZERO));
    }
    Ok(())
}

fn begin_with_copy(common: &Common, id: ShardId) -> Result<Applier, Error> {
    let mut tail = common.tail(id);
    let at = copy_base(&common.setup.layout, id, &mut tail)?;
    let base = new_base(&at);
    let mark = seqno_of(base, &at);
    // A save of the mark needs the replica and the place, so they come before the shard.
    let replica = common.open_replica(id, mark, mark)?;
    replica.sync()?; // makes the first image, if images are kept
    common.positions.begin(id, base, at);
    let shard = common.state.add_shard(NewShard::new(id).with_mark(mark).with_log(base))?;
    send(Event::Started { shard: id.0, mark, at, copied: true });
    Ok(Applier { replica, shard, tail, at, mark, durable: at })
}

impl Common {
    /// Starts a thread. If it fails, its error ends the follower.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Common>) -> Result<(), Error> + Send + 'static,
    ) {
        let common = Arc::clone(self);
        thread::spawn(move || work(&common).or_else(|error| common.failed.send(error)));
    }

    pub(crate) fn replica(&self, id: ShardId) -> Option<Arc<Replica>> {
        lock(&self.replicas).get(&id).cloned()
    }

    fn open_replica(&self, id: ShardId, mark: SeqNo, end: SeqNo) -> Result<Arc<Replica>, Error> {
        let layout = &self.setup.layout;
        let image = self.image(layout.replica_image(id));
        let replica = Arc::new(Replica::open(&layout.replica(id), image, mark, end)?);
        lock(&self.replicas).insert(id, Arc::clone(&replica));
        Ok(replica)
    }

    fn tail(&self, id: ShardId) -> Tail {
        let layout = &self.setup.layout;
        let mut tail = Tail::new(&layout.log(id));
        tail.image = self.image(layout.log_image(id));
        tail
    }

    fn image(&self, path: PathBuf) -> Option<PathBuf> {
        self.setup.args.drop_page_cache.then_some(path)
    }
}

/// The shortest time until the next look at a log without anything new.
const IDLE: Duration = Duration::from_millis(2);

/// How long a busy shard keeps its thread.
const TURN: Duration = Duration::from_millis(4);

/// The applier of one shard.
#[derive(Debug)]
struct Applier {
    replica: Arc<Replica>,
    shard: Shard,
    tail: Tail,
    /// The place in the log up to which the replica is applied.
    at: LogPoint,
    /// The mark before the next transaction. It is in the previous log if `at` is the start of one.
    mark: SeqNo,
    /// Up to where the log is known to be durable.
    durable: LogPoint,
}

impl Applier {
    /// Follows the log for one turn. Returns the time until the next turn is due, or `None` at the
    /// end of the log if `finishing`, which must be read before the call.
    fn turn(&mut self, common: &Common, finishing: bool) -> Result<Option<Duration>, Error> {
        let (began, id, layout) = (Instant::now(), self.shard.id(), &common.setup.layout);
        let log_first = common.setup.args.mutant != Some(Mutant::ApplyBeforeLog);
        while began.elapsed() < TURN {
            let looked = Instant::now();
            match self.tail.step(&self.at)? {
                Step::Transaction(t) if log_first && !t.is_within(&self.durable) => {
                    self.durable = self.tail.make_durable(self.at)?; // 1
                }
                Step::Transaction(transaction) => {
                    let at = transaction.end;
                    let seqno = seqno_of(self.shard.log(), &at);
                    if seqno == 0 {
                        return Err(format!("shard {id}: there are no more log numbers").into());
                    }
                    // 2
                    if self.shard.applied() < seqno {
                        self.replica.apply(&transaction, seqno)?; // 3
                        common.positions.reached(id, seqno, at); // 4
                        let outcome = self.shard.advance_from(self.mark, seqno); // 5
                        if !outcome.is_advanced() {
                            let to = Mark(seqno);
                            return Err(
                                format!("shard {id}: no advance to {to}: {outcome:?}").into()
                            );
                        }
                    }
                    (self.at, self.mark) = (at, seqno);
                    let frames = transaction.frame_count() as u64;
                    send(Event::Applied { shard: id.0, seqno, frames, at });
                }
                Step::NewLog(header) => {
                    self.at = next_log(layout, &self.shard, &self.at, &header)?;
                }
                Step::Idle if finishing => return Ok(None),
                // An unfinished transaction is read from its start each time, so back off.
                Step::Idle => return Ok(Some(IDLE.max(looked.elapsed()))),
                Step::Reset(why) => return Err(reset(layout, &self.shard, &self.at, why)),
            }
        }
        Ok(Some(Duration::ZERO))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn busy_shards_starve_no_other_and_an_ended_one_gets_no_turn() {
        let mut order = Vec::new();
        serve(vec![(0, 20), (1, 60), (2, 40)], |(id, left)| {
            order.push(*id);
            *left -= 1;
            Ok((*left > 0).then_some(Duration::ZERO))
        })
        .unwrap();
        let count = |id| order.iter().filter(|o| **o == id).count();
        assert_eq!((count(0), count(1), count(2)), (20, 60, 40));
        assert!(order[..60].chunks(3).all(|round| round == [0, 1, 2]), "{order:?}");
        assert!(order[60..100].chunks(2).all(|round| round == [1, 2]), "{order:?}");
    }

    #[test]
    fn a_thread_sleeps_until_a_shard_may_have_work() {
        let (began, mut turns) = (Instant::now(), 0);
        serve(vec![5, 9], |rest| {
            turns += 1;
            Ok((turns < 40).then(|| Duration::from_millis(*rest)))
        })
        .unwrap();
        assert!(began.elapsed() >= Duration::from_millis(19 * 5), "{:?}", began.elapsed());
    }
}
