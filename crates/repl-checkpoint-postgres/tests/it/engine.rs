//! The loop of an engine, as docs/remote.md has it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use repl_checkpoint::{CheckpointError, RemoteCheckpointer, RemoteError, RemoteStore};
use repl_core::Snapshot;
use tokio::time::{sleep, timeout};

use crate::support::proxy::{Mode, Proxy};
use crate::support::server::Server;
use crate::support::{ONE, start};

/// Its data is durable up to these marks.
#[derive(Default)]
struct Engine(Mutex<u64>);

impl Engine {
    async fn flush(&self, marks: &Snapshot) -> std::io::Result<()> {
        tokio::task::yield_now().await;
        *self.0.lock().unwrap() = marks.mark(ONE).unwrap();
        Ok(())
    }
}

/// Saves until the store is lost to this process, and returns why. Stop applying then.
async fn save_until_lost<S: RemoteStore>(
    checkpointer: &mut RemoteCheckpointer<S>,
    engine: &Engine,
    interval: Duration,
    limit: Duration,
) -> CheckpointError {
    loop {
        let round = async {
            // Settles a save in doubt, then takes a snapshot.
            let Some(attempt) = checkpointer.begin().await? else { return Ok(()) };
            let flushed = engine.flush(attempt.marks()).await;
            flushed.map_err(|error| CheckpointError::Flush(error.into()))?;
            checkpointer.save(attempt).await.map(drop)
        };
        // A save that is cut off here is in doubt, as one whose answer is lost.
        if let Ok(Err(error)) = timeout(limit, round).await
            && error.is_poisoning()
        {
            return error;
        }
        sleep(checkpointer.retry_after().max(interval)).await;
    }
}

#[test]
fn the_loop_of_the_page_is_the_one_that_is_tested() {
    let this = include_str!("engine.rs");
    let begin = this.find("/// Saves until the store is lost").unwrap();
    let end = begin + this[begin..].find("\n}\n").unwrap();
    assert!(include_str!("../../../../docs/remote.md").contains(&this[begin..end]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loop_of_an_engine_outlives_every_fault_but_a_takeover() {
    let Some(mut server) = Server::start().await else { return };
    let proxy = Proxy::to(server.port).await;
    let mut follower = start(proxy.config(server.config()), "a").await;
    let (state, floors) = (Arc::clone(&follower.state), follower.checkpointer.floors());
    let engine = Arc::new(Engine::default());
    let flushed = Arc::clone(&engine);
    let running = tokio::spawn(async move {
        let (interval, limit) = (Duration::from_millis(5), Duration::from_millis(500));
        save_until_lost(&mut follower.checkpointer, &flushed, interval, limit).await
    });
    let mut mark = 0;
    let faults = [
        Mode::Pass,
        Mode::CutRequest,
        Mode::DropAnswer,
        Mode::HoldRequests,
        Mode::Down,
        Mode::Pass,
    ];
    for (fault, crash) in faults.into_iter().zip([false, false, false, false, false, true]) {
        proxy.set(fault);
        mark += 1;
        state.advance(ONE, mark);
        sleep(Duration::from_millis(50)).await;
        if crash {
            tokio::task::block_in_place(|| server.crash());
            server.run().await;
        }
        mark += 1;
        state.advance(ONE, mark);
        proxy.set(Mode::Pass);
        let saved = timeout(Duration::from_secs(60), floors.saved(ONE, mark)).await;
        assert_eq!(saved.unwrap(), Ok(mark), "after {fault:?}");
        assert!(*engine.0.lock().unwrap() >= mark);
    }
    let successor = start(server.config(), "b").await;
    assert_eq!(successor.state.applied_seqno(ONE), Some(mark));
    state.advance(ONE, mark + 1);
    match timeout(Duration::from_secs(60), running).await.unwrap().unwrap() {
        CheckpointError::Remote(RemoteError::Fenced { by, .. }) => assert_eq!(by, "b"),
        other => panic!("{other:?}"),
    }
    assert!(floors.saved(ONE, mark + 1).await.is_err());
    assert_eq!(floors.checkpointed(ONE), Some(mark));
}
