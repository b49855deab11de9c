//! The tasks of the service. Numbers in comments are those of the steps in README.md.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use example_support::{Error, send};
use repl_checkpoint::{
    Checkpointer, FileStore, JsonCodec, OnCorrupt, Recovered, StoreId, Track, recover,
};
use repl_core::{NewShard, Shard, ShardId};
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinError, JoinSet, block_in_place};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::metrics::Metrics;
use crate::replica::Replica;
use crate::shards::{self, Live, ShardList, pick};
use crate::{Event, Mutant, Task, clients};

const SHARDS: u64 = 8;
const CLIENTS: u64 = 8;
const CHECKPOINT_EVERY: Duration = Duration::from_millis(10);
/// The number of checkpoints between two changes of the shards.
const CHANGE_EVERY: u64 = 2;

/// Runs the service until SIGTERM, or until an error: the next start recovers from it.
pub(crate) fn main(task: Task) -> Result<(), Error> {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let stop = signal(SignalKind::terminate())?;
        let metrics = Metrics::install(task.metrics)?;
        let service = Service::start(task)?;
        let serving = metrics.serve(service.checkpointer.floors(), service.live.subscribe());
        tokio::select! {
            ended = service.run(stop) => ended,
            failed = serving => failed,
        }
    })
}

/// Owned by one task, so no checkpoint is in progress while the shards change.
struct Service {
    task: Task,
    list: ShardList,
    checkpointer: Checkpointer,
    /// What clients see.
    live: watch::Sender<Live>,
    appliers: JoinSet<Result<(), Error>>,
    applier_of: BTreeMap<ShardId, AbortHandle>,
    clients: JoinSet<Result<(), Error>>,
}

impl Service {
    /// Recovers, and starts the appliers and the clients. Blocks.
    fn start(task: Task) -> Result<Service, Error> {
        let mut list = ShardList::load(&task.dir)?; // 1
        if list.ever == 0 {
            (0..SHARDS).for_each(|_| _ = list.add());
            list.store(&task.dir)?;
        }
        let store = FileStore::open(task.dir.join("marks"), StoreId::UNNAMED)?;
        let live: Vec<ShardId> = list.live.iter().copied().collect();
        let recovered = recover(store, JsonCodec, Track::only(&live), OnCorrupt::Fail)?; // 2
        let Recovered { state, mut checkpointer, report } = recovered;
        for orphan in report.orphaned {
            if !list.removed.contains(&orphan) {
                let error = format!("shard {orphan} has a mark, but is not in the list of shards");
                return Err(error.into());
            }
            checkpointer.drop_orphan(orphan); // 3
        }
        let mut service = Service {
            task,
            list,
            checkpointer,
            live: watch::Sender::default(),
            appliers: JoinSet::new(),
            applier_of: BTreeMap::new(),
            clients: JoinSet::new(),
        };
        for shard in live.into_iter().filter_map(|shard| state.shard(shard)) {
            service.open(shard)?; // 4
        }
        for client in 0..if service.task.idle { 0 } else { CLIENTS } {
            let live = service.live.subscribe();
            service.clients.spawn(clients::run(live, client, service.task.mutant));
        }
        Ok(service)
    }

    /// Starts the applier of a shard. Blocks.
    fn open(&mut self, shard: Shard) -> Result<(), Error> {
        let id = shard.id();
        let replica = Arc::new(Replica::open(&self.task.dir, self.task.seed, shard)?);
        self.live.send_modify(|live| _ = live.insert(id, Arc::clone(&replica)));
        self.applier_of.insert(id, self.appliers.spawn(replica.apply()));
        Ok(())
    }

    /// Takes checkpoints and changes the shards, until a signal or an error.
    async fn run(mut self, mut stop: Signal) -> Result<(), Error> {
        let mut due = interval(CHECKPOINT_EVERY);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut round = 0;
        loop {
            tokio::select! {
                biased; // so that late checkpoints do not delay the end
                _ = stop.recv() => break,
                Some(applier) = self.appliers.join_next() => ended(applier)?,
                Some(client) = self.clients.join_next() => ended(client)?,
                _ = due.tick() => {
                    round += 1;
                    self.keep(round).await?;
                }
            }
        }
        self.shut_down().await
    }

    /// One round: a checkpoint, then what it allows to delete, then perhaps a change of the shards.
    async fn keep(&mut self, round: u64) -> Result<(), Error> {
        self.checkpoint().await?;
        block_in_place(|| self.delete())?;
        if !self.task.idle && round.is_multiple_of(CHANGE_EVERY) {
            block_in_place(|| self.change())?;
        }
        let all_applied = || self.live.borrow().values().all(|r| r.mark.applied() == r.log.end());
        if self.task.idle && self.list.removed.is_empty() && all_applied() {
            send(Event::Settled);
        }
        Ok(())
    }

    /// Flushes the data and saves the marks. An error ends the service: nothing relies on a flush
    /// or a save that failed.
    async fn checkpoint(&mut self) -> Result<(), Error> {
        let Some(attempt) = self.checkpointer.begin()? else { return Ok(()) }; // 1
        let live = self.live.borrow().clone();
        if self.task.mutant == Some(Mutant::SaveBeforeFlush) {
            block_in_place(|| self.checkpointer.save(attempt))?;
            sleep(CHECKPOINT_EVERY).await; // a kill falls into this even on a fast disk
            shards::flush(live).await?;
        } else {
            shards::flush(live).await?; // 2
            block_in_place(|| self.checkpointer.save(attempt))?; // 3
        }
        send(Event::Saved);
        Ok(())
    }

    /// Deletes segments, and removed shards, that no recovery needs. Blocks.
    fn delete(&mut self) -> Result<(), Error> {
        let floors = self.checkpointer.floors();
        for (shard, floor) in &floors.retention_floors() {
            if let Some(replica) = self.live.borrow().get(&shard) {
                replica.log.delete_up_to(floor)?; // 4 of a checkpoint
            }
        }
        let early = self.task.mutant == Some(Mutant::DropDataEarly);
        let removed = self.list.removed.len();
        for shard in self.list.removed.clone() {
            let is_free = early || floors.is_unreferenced(shard);
            if is_free && shards::delete(&self.task.dir, shard)? {
                self.list.removed.remove(&shard); // 3 of a change
            }
        }
        if self.list.removed.len() < removed {
            self.list.store(&self.task.dir)?; // 4 of a change
        }
        Ok(())
    }

    /// Removes a shard, and adds a new one. Blocks.
    fn change(&mut self) -> Result<(), Error> {
        let picked = pick(&self.live.borrow(), &[self.task.seed, self.list.ever]);
        let Some(replica) = picked else { return Ok(()) };
        let (removed, added) = (replica.mark.id(), self.list.add());
        self.list.remove(removed);
        if self.task.mutant != Some(Mutant::StateBeforeList) {
            self.list.store(&self.task.dir)?; // 1
        }
        self.live.send_modify(|live| _ = live.remove(&removed));
        if let Some(applier) = self.applier_of.remove(&removed) {
            applier.abort();
        }
        let state = Arc::clone(self.checkpointer.state());
        state.remove_shard(removed); // 2
        self.open(state.add_shard(NewShard::new(added))?)?;
        send(Event::Changed);
        Ok(())
    }

    /// Ends in order, so that the next start applies nothing again.
    async fn shut_down(mut self) -> Result<(), Error> {
        self.appliers.shutdown().await; // 1
        if self.task.mutant != Some(Mutant::ShutdownWithoutSave) {
            self.checkpoint().await?; // 2
        }
        self.checkpointer.state().close(); // 3
        while let Some(client) = self.clients.join_next().await {
            ended(client)?;
        }
        Ok(())
    }
}

/// The result of a task. An applier that was aborted has not failed.
fn ended(task: Result<Result<(), Error>, JoinError>) -> Result<(), Error> {
    match task {
        Err(error) if error.is_cancelled() => Ok(()),
        task => task?,
    }
}
