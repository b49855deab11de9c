//! Reads of the replicas while they are written.
//!
//! A client sends a token: the shard, and the place in the leader's log where its transaction ends.
//! The follower
//! 1. computes the seqno of that place;
//! 2. waits until the mark of the shard reaches it, so that the replica holds all up to there, and
//!    after a start until the replica is consistent;
//! 3. reads between two transactions.
//!
//! Another thread reads the replicas in turn, as an engine's own readers would. It checks the
//! structure of the file and, for the generated workload, an invariant that every transaction
//! preserves ([`workload::INVARIANT`]).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use example_support::{Context, Error, send, try_for};
use repl_core::{ShardId, WaitError};
use rusqlite::Connection;

use crate::cli::Mutant;
use crate::events::{Event, Order};
use crate::positions::{Mark, seqno_of};
use crate::shards::Common;
use crate::{database, workload};

/// How long a shard may take to begin, and then its mark to reach a token.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts answering requests, each on a thread of its own since it may have to wait.
pub(crate) fn start_answering(common: &Arc<Common>, orders: Receiver<Order>) {
    common.spawn(move |common| {
        for order in orders {
            common.spawn(move |common| answer(common, order));
        }
        Ok(())
    });
}

fn answer(common: &Common, order: Order) -> Result<(), Error> {
    let Order::Read { shard: id, client, token } = order else { return Ok(()) };
    let id = ShardId(id);
    let shard = try_for(PATIENCE, || Ok(common.state.shard(id)))?; // it may be being copied
    let shard = shard.ok_or_else(|| format!("shard {id}: a client waits for a shard to begin"))?;
    let seqno = seqno_of(shard.log(), &token); // 1
    let waited = shard.applied() < seqno;
    let replica = common.replica(id).ok_or_else(|| format!("shard {id} has no replica"))?;
    let is_mutant = common.setup.args.mutant == Some(Mutant::SkipWait);
    let wait_for = replica.consistent_from().max(if is_mutant { 0 } else { seqno });
    match shard.reached(wait_for).wait_timeout(PATIENCE) {
        // The follower ends, and the client asks the next one.
        Err(WaitError::Closed) => return Ok(()),
        reached => reached.context(|| {
            let (mark, token) = (Mark(shard.applied()), Mark(wait_for));
            format!("shard {id}: a client waits for {token}, but the replica is at {mark}")
        })?, // 2
    };
    let read = replica.read(|db| database::read_row(db, client))?;
    let (found, at) = read.ok_or_else(|| format!("shard {id}: the replica is inconsistent"))?;
    send(Event::Answered { client, seqno, at, found, waited }); // 3
    Ok(())
}

/// The pause after a read, as a multiple of its duration, and the shortest one.
const REST: u32 = 20;
const SHORTEST: Duration = Duration::from_millis(20);

/// Starts the thread, which ends with the first error.
pub(crate) fn start_checking(common: &Arc<Common>) {
    common.spawn(|common| {
        while !common.finish.load(Ordering::Acquire) {
            thread::sleep(SHORTEST);
            for shard in common.state.shards() {
                let began = Instant::now();
                read_one(common, shard)?;
                thread::sleep((began.elapsed() * REST).max(SHORTEST));
            }
        }
        Ok(())
    });
}

fn read_one(common: &Common, shard: ShardId) -> Result<(), Error> {
    let Some(replica) = common.replica(shard) else { return Ok(()) };
    match replica.read(|db| check(db, common.setup.args.load.is_none()))? {
        Some((Some(found), at)) => {
            let at = Mark(at);
            return Err(format!("shard {shard}: reader at {at}: broken replica: {found}").into());
        }
        Some((None, _)) => send(Event::Read),
        None => {} // not consistent yet
    }
    Ok(())
}

/// What is wrong with the database, if anything.
fn check(db: &Connection, is_generated: bool) -> rusqlite::Result<Option<String>> {
    let found: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Ok(Some(found));
    }
    let kept = !is_generated || db.query_row(workload::INVARIANT, [], |row| row.get(0))?;
    Ok((!kept).then(|| format!("not true: {}", workload::INVARIANT)))
}
