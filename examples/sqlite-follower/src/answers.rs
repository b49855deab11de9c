//! How does a client read from a replica what it has written on the leader?
//!
//! The client brings a token: the shard, and the place in the leader's log at which its transaction
//! ends. The leader numbers no logs, as they are counted from the follower's base copy, so the
//! token becomes a seqno here:
//! 1. the seqno of that place, from a position that the follower knows;
//! 2. wait until the mark of the shard has reached it: all up to there is in the replica then;
//! 3. read, between two transactions as every reader does (`replica.rs`). After a start the replica
//!    may hold a whole state only from a later mark on, which is waited for too.
//!
//! A follower that is killed answers nothing; the client brings its token to the next one.

use std::sync::mpsc::{Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use repl_core::{SeqNo, Shard, ShardId, WaitError};
use thiserror::Error;

use crate::client_row;
use crate::events::{Event, Order, tell};
use crate::follower::FollowerError;
use crate::position::Mark;
use crate::replica::ReadError;
use crate::shards::Common;
use crate::wal::LogPoint;

/// How long a mark may take to reach what is in the leader's log.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often to look whether a base copy is done.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What a client asks for.
#[derive(Debug, Clone, Copy)]
struct Question {
    shard: ShardId,
    client: u64,
    request: u64,
    token: LogPoint,
}

/// A client could not be answered.
#[derive(Debug, Error)]
pub(crate) enum AnswerError {
    #[error("shard {shard}: a client waits, and nobody follows it")]
    NotFollowed { shard: ShardId },
    #[error("shard {shard}: a client waits for {}, and the mark is at {}", Mark(*seqno), Mark(*mark))]
    Wait { shard: ShardId, seqno: SeqNo, mark: SeqNo, source: WaitError },
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Starts to answer, each client on a thread of its own as it may have to wait.
pub(crate) fn start(common: &Common, questions: Receiver<Order>, failed: &Sender<FollowerError>) {
    let (common, failed) = (common.clone(), failed.clone());
    thread::spawn(move || {
        for order in questions {
            let Order::Read { shard, client, request, token } = order else { continue };
            let question = Question { shard: ShardId(shard), client, request, token };
            let (common, failed) = (common.clone(), failed.clone());
            thread::spawn(move || match answer(&common, question) {
                Ok(event) => tell(event),
                // Nobody waits for a follower that ends.
                Err(AnswerError::Wait { source: WaitError::Closed, .. }) => {}
                Err(e) => drop(failed.send(e.into())),
            });
        }
    });
}

fn answer(common: &Common, question: Question) -> Result<Event, AnswerError> {
    let Question { shard: id, client, request, token } = question;
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
            Err(ReadError::NotYet { whole_from, .. }) => wait(&shard, whole_from, deadline)?,
            Err(e) => return Err(e.into()),
        }
    }
}

/// The shard, once it is followed, and the seqno of a place in its log.
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
    shard.wait_for_timeout(seqno, left).map(drop).map_err(|source| {
        let mark = shard.applied();
        AnswerError::Wait { shard: shard.id(), seqno, mark, source }
    })
}
