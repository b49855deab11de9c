//! Answers clients: reads from a replica what a client wrote on the leader.
//!
//! The client sends a token: the shard, and the place in the leader's log where its transaction
//! ends. The leader cannot name a seqno, since logs are counted from the follower's base copy. So
//! the follower
//! 1. computes the seqno of that place from a position that it knows;
//! 2. waits until the mark of the shard reaches it, so that the replica holds all up to there;
//! 3. reads between two transactions, as every reader does (`replica.rs`). After a start the
//!    replica may be consistent only from a later mark on. Then it waits for that one too.
//!
//! A killed follower does not answer. The client sends its token to the next one.

use std::sync::mpsc::{Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use repl_core::{SeqNo, Shard, ShardId, WaitError};
use thiserror::Error;

use crate::client_row;
use crate::events::{Event, Order, send};
use crate::follower::FollowerError;
use crate::position::Mark;
use crate::replica::ReadError;
use crate::shards::Common;
use crate::wal::LogPoint;

/// How long the mark may take to reach a token.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often to check whether a base copy is done.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A read that a client requests.
#[derive(Debug, Clone, Copy)]
struct ReadRequest {
    shard: ShardId,
    client: u64,
    request: u64,
    token: LogPoint,
}

/// An error while answering a client.
#[derive(Debug, Error)]
pub(crate) enum AnswerError {
    #[error("shard {shard}: a client waits, but the shard is not followed")]
    NotFollowed { shard: ShardId },
    #[error("shard {shard}: a client waits for {}, but the mark is {}", Mark(*seqno), Mark(*mark))]
    Wait { shard: ShardId, seqno: SeqNo, mark: SeqNo, source: WaitError },
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Starts answering requests, each on a thread of its own since it may have to wait.
pub(crate) fn start(common: &Common, orders: Receiver<Order>, failed: &Sender<FollowerError>) {
    let (common, failed) = (common.clone(), failed.clone());
    thread::spawn(move || {
        for order in orders {
            let Order::Read { shard, client, request, token } = order else { continue };
            let read = ReadRequest { shard: ShardId(shard), client, request, token };
            let (common, failed) = (common.clone(), failed.clone());
            thread::spawn(move || match answer(&common, read) {
                Ok(event) => send(event),
                // The follower ends, and the client asks the next one.
                Err(AnswerError::Wait { source: WaitError::Closed, .. }) => {}
                Err(e) => drop(failed.send(e.into())),
            });
        }
    });
}

fn answer(common: &Common, read: ReadRequest) -> Result<Event, AnswerError> {
    let ReadRequest { shard: id, client, request, token } = read;
    let deadline = Instant::now() + PATIENCE;
    let (shard, seqno) = find(common, id, &token, deadline)?; // 1
    let waited = shard.applied() < seqno;
    if !common.options.skip_wait {
        wait(&shard, seqno, deadline)?; // 2
    }
    let replica = common.replicas.get(id).ok_or(AnswerError::NotFollowed { shard: id })?;
    loop {
        match replica.read(|db| client_row::read(db, client)) {
            Ok((found, at)) => {
                return Ok(Event::Answered { client, request, seqno, at, found, waited }); // 3
            }
            Err(ReadError::NotYet { consistent_from, .. }) => {
                wait(&shard, consistent_from, deadline)?;
            }
            Err(e) => return Err(e.into()),
        }
    }
}

/// Waits until the shard is followed. Returns it, and the seqno of a place in its log.
fn find(
    common: &Common,
    id: ShardId,
    token: &LogPoint,
    deadline: Instant,
) -> Result<(Shard, SeqNo), AnswerError> {
    loop {
        if let Some(shard) = common.state.shard(id)
            && let Some(seqno) = common.positions.seqno_of(id, shard.log(), token)
        {
            return Ok((shard, seqno));
        }
        if Instant::now() > deadline {
            return Err(AnswerError::NotFollowed { shard: id });
        }
        thread::sleep(LOOK_EVERY);
    }
}

fn wait(shard: &Shard, seqno: SeqNo, deadline: Instant) -> Result<(), AnswerError> {
    let left = deadline.saturating_duration_since(Instant::now());
    shard.reached(seqno).wait_timeout(left).map(drop).map_err(|source| {
        let mark = shard.applied();
        AnswerError::Wait { shard: shard.id(), seqno, mark, source }
    })
}
