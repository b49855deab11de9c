//! Checks that readers of a replica see whole transactions while it is written.
//!
//! A thread reads the replicas in turn, as an engine's own readers would. It checks the structure
//! of the file and, for the generated workload, an invariant that every transaction preserves
//! ([`workload::INVARIANT`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use repl_core::{ReplicationState, ShardId};
use rusqlite::Connection;
use thiserror::Error;

use crate::checkpointing::Replicas;
use crate::events::{Event, send};
use crate::follower::FollowerError;
use crate::position::Mark;
use crate::replica::ReadError;
use crate::workload;

/// A read that no sequence of whole transactions explains.
#[derive(Debug, Error)]
pub(crate) enum InconsistentRead {
    #[error("shard {shard}: a reader at {} found a broken replica: {found}", Mark(*at))]
    Broken { shard: ShardId, at: u64, found: String },
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// The pause after a read, as a multiple of its duration.
const REST: u32 = 20;

/// Starts the thread. It sends the first error to `failed` and ends.
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
            send(Event::Read { shard: shard.0 });
            Ok(())
        }
        Ok((Some(found), at)) => Err(InconsistentRead::Broken { shard, at, found }),
        Err(ReadError::NotYet { .. }) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// What is wrong with the database, if anything.
fn check(db: &Connection) -> rusqlite::Result<Option<String>> {
    let found: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Ok(Some(found));
    }
    if !workload::is_of_workload(db)? {
        return Ok(None);
    }
    let kept: bool = db.query_row(workload::INVARIANT, [], |row| row.get(0))?;
    Ok((!kept).then(|| format!("not true: {}", workload::INVARIANT)))
}
