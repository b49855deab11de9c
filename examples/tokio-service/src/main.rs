//! A service under tokio: it applies logs to data in memory, and answers clients.
//!
//! Each shard has a log, a map in memory, and an applier, which is a task. A flush writes the maps
//! to files. SIGKILL ends the process at random instants, SIGTERM ends it in order, and each time it
//! is started again. In the end the data of each shard is equal to its log.
//!
//! README.md lists the steps. This file has the command line and the parent: it starts the service,
//! kills it, checks what it left, and shuts it down.

mod clients;
mod log;
mod metrics;
mod replica;
mod service;
mod shards;
mod verify;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use example_support::{Child, Error, Report, Run, RunArgs, fraction, listen};
use repl_core::{SeqNo, ShardId};
use serde::{Deserialize, Serialize};

/// Runs a service under tokio that is killed at random instants, then shut down, and loses nothing.
///
/// Without arguments: the service runs in a temporary folder and is killed 20 times. Exits with 1
/// unless the data of each shard is equal to its log, no client has read stale data, and the start
/// after the shutdown has applied no segment again.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Args {
    #[command(flatten)]
    run: RunArgs<20>,
    /// Break one rule on purpose.
    #[arg(long, value_name = "NAME")]
    mutant: Option<Mutant>,
    /// Serve metrics to Prometheus, at /metrics, and run until the program is ended, without kills.
    #[arg(long, value_name = "ADDR")]
    metrics: Option<SocketAddr>,
}

/// What the parent starts the service with.
#[derive(Debug, Serialize, Deserialize)]
struct Task {
    dir: PathBuf,
    seed: u64,
    /// Start no clients and change no shards.
    idle: bool,
    mutant: Option<Mutant>,
    metrics: Option<SocketAddr>,
}

/// A deliberately wrong service that the check must detect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
enum Mutant {
    /// Saves the marks before the data is flushed.
    SaveBeforeFlush,
    /// Changes the state before the list of shards.
    StateBeforeList,
    /// Deletes the data of a removed shard while a checkpoint still names it.
    DropDataEarly,
    /// Reads without waiting for the write.
    ReadWithoutWaiting,
    /// Takes no last checkpoint.
    ShutdownWithoutSave,
}

/// A run goes on for so many saves, and for so many more with each kill.
const SAVES: u64 = 20;
const SAVES_PER_KILL: u64 = 5;

/// What the service sends to its parent.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Event {
    Applied(ShardId, SeqNo),
    /// A client has read its own write.
    ReadFresh,
    /// A client has read older data than its own write.
    ReadStale,
    /// A checkpoint was saved.
    Saved,
    /// A shard was removed and another one added.
    Changed,
    /// All logs are applied, and removed shards deleted.
    Settled,
}

/// What a run counts.
#[derive(Debug, Default, Serialize)]
struct Counts {
    kills: u64,
    /// Checkpoints that were saved.
    saves: u64,
    /// The number of segments that were applied, each counted once.
    segments: u64,
    /// Segments that a later process applied again.
    replayed: u64,
    replayed_after_shutdown: u64,
    shards_replaced: u64,
    /// Segments that were deleted from the logs of the shards that are live in the end.
    deleted: u64,
    /// Reads of clients that found their own write.
    reads: u64,
    stale_reads: u64,
    /// The last segment of each shard that was applied, as far as the parent knows.
    #[serde(skip)]
    applied: BTreeMap<ShardId, SeqNo>,
}

impl Report for Counts {}

fn main() -> ExitCode {
    let serve = |task| {
        listen::<()>(drop);
        service::main(task)
    };
    example_support::main("tokio-service", serve, || {
        let mut args = Args::parse();
        if args.metrics.is_some() {
            args.run.kills = 0;
        }
        args.run.start("tokio-service")?.report(|run| kill_and_shut_down(&args, run))
    })
}

/// Kills the service again and again, shuts it down, and starts it once more to apply the logs to
/// their ends. A fault ends the run.
fn kill_and_shut_down(args: &Args, run: &mut Run) -> Result<(Counts, Vec<String>), Error> {
    let (dir, seed) = (run.folder.root.clone(), run.seed);
    let mut task = Task { dir, seed, idle: false, mutant: args.mutant, metrics: args.metrics };
    let saves = match args.metrics {
        Some(_) => u64::MAX,
        None => SAVES + SAVES_PER_KILL * args.run.kills,
    };
    let mut counts = Counts::default();
    let mut faults = Vec::new();
    while faults.is_empty() && !task.idle {
        task.idle = live(&task, saves, run, &mut counts, &mut faults)?;
    }
    if faults.is_empty() {
        let before = counts.replayed;
        live(&task, saves, run, &mut counts, &mut faults)?;
        counts.replayed_after_shutdown = counts.replayed - before;
    }
    let again = counts.replayed_after_shutdown;
    if again > 0 {
        faults.push(format!("{again} segments were applied again after the shutdown"));
    }
    counts.kills = run.kills.killed();
    if faults.is_empty() && counts.kills < args.run.kills {
        faults.push(format!("only {} kills of {}", counts.kills, args.run.kills));
    }
    Ok((counts, faults))
}

/// Runs one process until it is killed or shut down, and checks what it left. It is shut down after
/// so many saves; an idle one once all logs are applied. Returns whether it was shut down.
fn live(
    task: &Task,
    saves: u64,
    run: &mut Run,
    counts: &mut Counts,
    faults: &mut Vec<String>,
) -> Result<bool, Error> {
    let shut_down = run.child("service", task, |event, child: &mut Child| {
        if task.metrics.is_none() {
            child.must_end_soon()?;
        }
        if let Some(event) = event {
            counts.note(event);
        }
        let is_time = match event {
            Some(Event::Settled) => task.idle,
            // After the last save, so that there is something left to save.
            Some(Event::Applied(..)) => !task.idle && counts.saves >= saves,
            _ => false,
        };
        if is_time {
            child.terminate()?; // perhaps again, which changes nothing
        }
        // The last kill is due before nine tenths.
        Ok(if task.idle { 1.0 } else { fraction(counts.saves, saves).min(0.9) })
    })?;
    (*faults, counts.deleted) = verify::check(&task.dir, task.seed, task.idle)?;
    if counts.stale_reads > 0 {
        faults.push(format!("{} reads of clients were stale", counts.stale_reads));
    }
    Ok(shut_down)
}

impl Counts {
    fn note(&mut self, event: Event) {
        match event {
            Event::Applied(shard, seqno) => {
                let applied = self.applied.entry(shard).or_default();
                self.segments += u64::from(seqno > *applied);
                self.replayed += u64::from(seqno <= *applied);
                *applied = seqno.max(*applied);
            }
            Event::ReadFresh => self.reads += 1,
            Event::ReadStale => self.stale_reads += 1,
            Event::Saved => self.saves += 1,
            Event::Changed => self.shards_replaced += 1,
            Event::Settled => {}
        }
    }
}
