//! The loop of an engine, as docs/remote.md has it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use repl_checkpoint::{CheckpointError, RemoteCheckpointer, RemoteError, RemoteStore, Witness};
use repl_core::Snapshot;
use tokio::time::{sleep, timeout};

use crate::support::proxy::{Mode, Proxy};
use crate::support::server::Server;
use crate::support::{ONE, start, start_with};

const INTERVAL: Duration = Duration::from_millis(5);
const LIMIT: Duration = Duration::from_millis(500);

/// Its data is durable up to this mark, and it keeps this witness.
#[derive(Default)]
struct Engine(Mutex<u64>, Mutex<Option<Witness>>);

impl Engine {
    async fn flush(&self, marks: &Snapshot) -> std::io::Result<()> {
        tokio::task::yield_now().await;
        *self.0.lock().unwrap() = marks.mark(ONE).unwrap();
        Ok(())
    }

    fn write_witness(&self, witness: Witness) {
        *self.1.lock().unwrap() = Some(witness);
    }
}

/// Saves until the store is lost to this process, or all is saved that was applied when `is_done`.
async fn save_until_lost<S: RemoteStore>(
    checkpointer: &mut RemoteCheckpointer<S>,
    engine: &Engine,
    is_done: impl Fn() -> bool,
) -> Result<(), CheckpointError> {
    loop {
        let is_last = is_done();
        let round = async {
            // Settles a save in doubt, then takes a snapshot.
            let Some(attempt) = checkpointer.begin().await? else { return Ok(()) };
            let flushed = engine.flush(attempt.marks()).await;
            flushed.map_err(|error| CheckpointError::Flush(error.into()))?;
            let saved = checkpointer.save(attempt).await;
            saved.map(|_| engine.write_witness(checkpointer.witness())) // it logs a failure itself
        };
        match timeout(LIMIT, round).await {
            Ok(Err(error)) if error.is_poisoning() => return Err(error),
            Ok(Err(error)) => eprintln!("save: {error:?}"),
            Err(late) => eprintln!("save: {late}"), // a save: in doubt, as if its answer was lost
            Ok(Ok(())) if is_last => return Ok(()),
            Ok(Ok(())) => {}
        }
        sleep(checkpointer.retry_after().max(INTERVAL)).await;
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
        save_until_lost(&mut follower.checkpointer, &flushed, || false).await
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
        Err(CheckpointError::Remote(RemoteError::Fenced { by, .. })) => assert_eq!(by, "b"),
        other => panic!("{other:?}"),
    }
    assert!(floors.saved(ONE, mark + 1).await.is_err());
    assert_eq!(floors.checkpointed(ONE), Some(mark));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loop_of_an_engine_ends_with_a_last_save_and_a_witness_that_holds() {
    let Some(server) = Server::start().await else { return };
    let mut follower = start(server.config(), "a").await;
    let engine = Engine::default();
    follower.state.advance(ONE, 3);
    save_until_lost(&mut follower.checkpointer, &engine, || true).await.unwrap();
    let witness = *engine.1.lock().unwrap();
    assert_eq!(witness, Some(follower.checkpointer.witness()));
    let successor = start_with(server.config(), "b", witness).await.unwrap();
    assert_eq!(successor.state.applied_seqno(ONE), Some(3));
}
