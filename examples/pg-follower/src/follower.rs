//! The follower process. Numbers in comments are those of the steps in README.md.

use std::time::{Duration, Instant};

use example_support::{Error, listen, send};
use pgwire_replication::{Lsn, ReplicationEvent};
use repl_checkpoint::Floors;
use repl_core::Shard;

use crate::batch::Batch;
use crate::copy::Copied;
use crate::events::Event;
use crate::failure::Failure;
use crate::patience::Patience;
use crate::postgres::Postgres;
use crate::sink::{SHARD, Sink, Work};
use crate::source::{Source, slot_of};
use crate::sqlite::Sqlite;
use crate::start::start;
use crate::{Keep, Mutant, Setup};

/// A stream on which nothing came for so long is made anew.
const QUIET: Duration = Duration::from_secs(60);

/// How often the position of an idle server is stored at most.
const IDLE_EVERY: Duration = Duration::from_secs(1);

/// How long what is received waits for more.
const WAIT: Duration = Duration::from_millis(10);

/// How long a mutant waits between two steps that belong together.
const MUTANT_WAIT: Duration = Duration::from_millis(200);

/// Follows the server until the process is killed, or something is wrong.
pub(crate) fn run(setup: &Setup) -> Result<(), Error> {
    listen::<()>(drop);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build()?.block_on(async {
        let mut patience = Patience::new();
        match setup.args.keep {
            Keep::Sqlite => Ok(follow(Sqlite::open(&setup.copy())?, setup, patience).await?),
            Keep::Postgres => loop {
                match Postgres::open(&setup.address, setup.args.lose_one_in).await {
                    Ok(sink) => break Ok(follow(sink, setup, patience).await?),
                    Err(failure) => patience.retry(failure).await?,
                }
            },
        }
    })
}

/// Follows in one session after another.
async fn follow<S: Sink>(
    mut sink: S,
    setup: &Setup,
    mut patience: Patience,
) -> Result<(), Failure> {
    loop {
        // A session closes its connection at its end, so that a server that stops need not wait.
        let ended = match Session::begin(&mut sink, setup, &mut patience).await {
            Ok(mut session) => session.run(&mut patience).await,
            Err(failure) => Err(failure),
        };
        match ended {
            Ok(Quiet) => patience = Patience::new(),
            Err(failure) => patience.retry(failure).await?,
        }
    }
}

/// A stream on which nothing comes: the server may be gone, or has nothing to say.
struct Quiet;

/// A stream, and what it is applied to.
struct Session<'a, S> {
    sink: &'a mut S,
    source: Source,
    /// The mark of the last commit.
    shard: Shard,
    /// What may be confirmed: all that is committed.
    floors: Floors,
    /// The columns of the copy.
    copied: Copied,
    mutant: Option<Mutant>,
}

impl<'a, S: Sink> Session<'a, S> {
    /// Connects, and starts the stream above the mark.
    async fn begin(
        sink: &'a mut S,
        setup: &Setup,
        patience: &mut Patience,
    ) -> Result<Self, Failure> {
        let (mut source, live) = start(sink, setup, patience).await?;
        let copied = sink.copied().await?;
        let shard = live.shard(SHARD).ok_or(Failure::NotTracked)?;
        source.start(shard.applied()).await?; // 5
        send(Event::Started { log: slot_of(shard.log()) });
        let floors = Floors::of_durable(live);
        Ok(Session { sink, source, shard, floors, copied, mutant: setup.args.mutant })
    }

    /// Applies the stream until it ends, or nothing more comes.
    async fn run(&mut self, patience: &mut Patience) -> Result<Quiet, Failure> {
        let mut batch = Batch::new(self.copied.clone());
        let (mut idle_since, mut heard) = (Instant::now(), Instant::now());
        loop {
            // 6
            if let Ok(event) = tokio::time::timeout(WAIT, self.source.stream.recv()).await {
                let event = event?.ok_or(Failure::EndOfStream)?;
                heard = Instant::now();
                if self.mutant == Some(Mutant::ConfirmBeforeCommit)
                    && let ReplicationEvent::Commit { end_lsn, .. } = &event
                {
                    self.source.stream.update_applied_lsn(*end_lsn);
                }
                batch.read(event, self.shard.applied())?;
                if !batch.is_due() {
                    continue;
                }
            } else if heard.elapsed() > QUIET {
                return Ok(Quiet);
            }
            if !batch.transactions.is_empty() {
                self.commit(&batch).await?;
                batch.clear();
                *patience = Patience::new();
            } else if idle_since.elapsed() > IDLE_EVERY && batch.is_idle() {
                // All that was delivered is confirmed: go on to where the server is. 8
                batch.report_skipped();
                if batch.reached > self.shard.applied() {
                    self.save(Work { transactions: &[], mark: Some(batch.reached) }).await?;
                }
                if batch.reached > 0 {
                    *patience = Patience::new(); // the server has sent that, and all is stored
                }
                idle_since = Instant::now();
            }
        }
    }

    /// Commits what was received.
    async fn commit(&mut self, batch: &Batch) -> Result<(), Failure> {
        let transactions = &batch.transactions[..];
        let mark = transactions.last().map(|transaction| transaction.end);
        match self.mutant {
            Some(Mutant::MarkAfterRows) => {
                self.sink.commit(&self.shard, Work { transactions, mark: None }).await?;
                tokio::time::sleep(MUTANT_WAIT).await;
                self.save(Work { transactions: &[], mark }).await?;
            }
            Some(Mutant::MarkBeforeRows) => {
                self.save(Work { transactions: &[], mark }).await?;
                tokio::time::sleep(MUTANT_WAIT).await;
                self.sink.commit(&self.shard, Work { transactions, mark: None }).await?;
            }
            Some(Mutant::ConfirmBeforeCommit) => {
                tokio::time::sleep(MUTANT_WAIT * 2).await;
                self.save(Work { transactions, mark }).await?;
            }
            None => self.save(Work { transactions, mark }).await?,
        }
        let (transactions, skipped) = (transactions.len() as u64, batch.skipped);
        send(Event::Committed { transactions, skipped });
        Ok(())
    }

    /// Commits rows and mark, moves the live mark, and confirms it to the server.
    async fn save(&mut self, work: Work<'_>) -> Result<(), Failure> {
        self.sink.commit(&self.shard, work).await?; // 7
        if let Some(mark) = work.mark {
            self.shard.advance(mark);
        }
        let floor = self.floors.retention_floor(SHARD).unwrap_or(0);
        self.source.stream.update_applied_lsn(Lsn(floor));
        Ok(())
    }
}
