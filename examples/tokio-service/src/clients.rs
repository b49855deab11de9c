//! Clients that read their own writes.

use std::time::Duration;

use example_support::{Error, send};
use repl_core::WaitError;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::shards::{Live, pick};
use crate::{Event, Mutant};

/// The time between two writes of a client.
const PAUSE: Duration = Duration::from_millis(3);
/// How long a client waits for its write.
const PATIENCE: Duration = Duration::from_secs(1);

/// Writes and reads, until waiting is closed.
pub(crate) async fn run(
    live: watch::Receiver<Live>,
    client: u64,
    mutant: Option<Mutant>,
) -> Result<(), Error> {
    let reads_anyway = mutant == Some(Mutant::ReadWithoutWaiting);
    let patience = if reads_anyway { Duration::ZERO } else { PATIENCE };
    for turn in 0_u64.. {
        sleep(PAUSE).await;
        let Some(replica) = pick(&live.borrow(), &[client, turn]) else { break };
        let (seqno, key) = match replica.log.append().await {
            Err(_) if replica.mark.is_removed() => continue, // the log is deleted
            appended => appended?,                           // 1
        };
        match timeout(patience, replica.mark.reached(seqno)).await {
            Ok(Ok(_mark)) => {} // 2
            Err(_elapsed) if reads_anyway => {}
            Ok(Err(WaitError::Removed)) | Err(_) => continue,
            Ok(Err(_closed)) => break,
        }
        let fresh = replica.get(key).is_some_and(|entry| entry.seqno >= seqno); // 3
        send(if fresh { Event::ReadFresh } else { Event::ReadStale });
    }
    Ok(())
}
