//! Does a reader of a replica that is being written see whole transactions?
//!
//! A thread reads one replica after the other the way an engine's own readers would, and holds each
//! state against what every transaction of the workload keeps: see [`workload::INVARIANT`]. A read
//! under the user's own SQL checks the structure of the file alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use repl_core::{ReplicationState, ShardId};
use rusqlite::Connection;
use thiserror::Error;

use crate::checkpointing::Replicas;
use crate::events::{Event, tell};
use crate::follower::FollowerError;
use crate::position::Mark;
use crate::replica::ReadError;
use crate::workload;

/// A reader saw what no transaction left behind.
#[derive(Debug, Error)]
pub(crate) enum InconsistentRead {
    #[error("shard {shard}: a reader at {} found a broken replica: {found}", Mark(*at))]
    Broken { shard: ShardId, at: u64, found: String },
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// The time a read takes, times this, passes before the next.
const REST: u32 = 20;

/// Starts to read; whatever is found wrong is sent to `failed`.
pub(crate) fn start(
    replicas: &Replicas,
    state: &Arc<ReplicationState>,
    finish: &Arc<AtomicBool>,
    failed: &mpsc::Sender<FollowerError>,
) {
    let (replicas, state) = (replicas.clone(), Arc::clone(state));
    let (finish, failed) = (Arc::clone(finish), failed.clone());
    thread::spawn(move || {
        while !finish.load(Ordering::Acquire) {
            for (shard, _) in &state.snapshot() {
                let began = Instant::now();
                if let Err(e) = read_one(&replicas, shard) {
                    let _ = failed.send(e.into());
                    return;
                }
                thread::sleep((began.elapsed() * REST).max(Duration::from_millis(20)));
            }
            thread::sleep(Duration::from_millis(20));
        }
    });
}

fn read_one(replicas: &Replicas, shard: ShardId) -> Result<(), InconsistentRead> {
    let Some(replica) = replicas.get(shard) else { return Ok(()) };
    match replica.read(check) {
        Ok((None, _)) => {
            tell(Event::Read { shard: shard.0 });
            Ok(())
        }
        Ok((Some(found), at)) => Err(InconsistentRead::Broken { shard, at, found }),
        Err(ReadError::NotYet { .. }) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// What is wrong with the database, if anything is.
fn check(db: &Connection) -> rusqlite::Result<Option<String>> {
    let found: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Ok(Some(found));
    }
    if !workload::is_of_workload(db)? {
        return Ok(None);
    }
    let kept: bool = db.query_row(workload::INVARIANT, [], |row| row.get(0))?;
    Ok((!kept).then(|| format!("not so: {}", workload::INVARIANT)))
}
