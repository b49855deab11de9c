//! The command line, and the parent: it starts the service, kills it, checks what it left, and
//! shuts it down.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::Duration;

use clap::Parser;
use example_support::{Child, End, Error, Folder, Kills, fraction, listen, rng, row};
use repl_core::{SeqNo, ShardId};
use serde::{Deserialize, Serialize};

use crate::{Mutant, Task, service, verify};

/// Runs a service under tokio that is killed at random instants, then shut down, and loses nothing.
///
/// Without arguments: the service runs in a temporary folder and is killed 20 times. Exits with 1
/// unless the data of each shard is equal to its log, no client has read stale data, and the start
/// after the shutdown has applied no segment again.
#[derive(Debug, Parser)]
#[command(version, about)]
struct RunArgs {
    /// The number of times to kill the service.
    #[arg(long, value_name = "N", default_value_t = 20)]
    kills: u64,
    /// The seed of all random choices [default: a new one each time, printed].
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Print one JSON document instead of a table.
    #[arg(long)]
    json: bool,
    /// Break one rule on purpose.
    #[arg(long, value_name = "NAME")]
    mutant: Option<Mutant>,
}

/// A run goes on for so many saves, and for so many more with each kill.
const SAVES: u64 = 20;
const SAVES_PER_KILL: u64 = 5;
/// A kill that is due waits a random time up to this.
const WAITS_UP_TO: Duration = Duration::from_millis(15);
/// A service is killed or shut down within this time.
const LIMIT: Duration = Duration::from_secs(60);

/// What the service sends to its parent.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Event {
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

/// The report of a run.
#[derive(Debug, Default, Serialize)]
struct Report {
    seed: u64,
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
    faults: Vec<String>,
}

struct Run {
    task: Task,
    saves: u64,
    kills: Kills,
    /// The last segment of each shard that was applied, as far as the parent knows.
    applied: BTreeMap<ShardId, SeqNo>,
    report: Report,
}

/// Runs the program.
pub(crate) fn main() -> ExitCode {
    let serve = |task| {
        listen::<()>(drop);
        Ok(service::main(task)?)
    };
    example_support::main("tokio-service", serve, || {
        let args = RunArgs::parse();
        let (folder, ()) = Folder::take("tokio-service", None, ())?;
        let run = |folder: &Folder| run(&args, folder.root());
        example_support::run("tokio-service", args.json, folder, run)
    })
}

/// Kills the service again and again, shuts it down, and starts it once more to apply the logs to
/// their ends. A fault ends the run.
fn run(args: &RunArgs, root: &Path) -> Result<Report, Error> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let mut run = Run {
        task: Task { dir: root.to_owned(), seed, idle: false, mutant: args.mutant },
        saves: SAVES + SAVES_PER_KILL * args.kills,
        kills: Kills::new(rng(&[seed]), args.kills, WAITS_UP_TO),
        applied: BTreeMap::new(),
        report: Report { seed, ..Report::default() },
    };
    while run.live()? && run.report.faults.is_empty() {}
    if run.report.faults.is_empty() {
        run.task.idle = true;
        let before = run.report.replayed;
        run.live()?;
        run.report.replayed_after_shutdown = run.report.replayed - before;
    }
    let mut report = run.report;
    let again = report.replayed_after_shutdown;
    if again > 0 {
        report.faults.push(format!("{again} segments were applied again after the shutdown"));
    }
    report.kills = run.kills.killed();
    if report.faults.is_empty() && report.kills < args.kills {
        report.faults.push(format!("only {} kills of {}", report.kills, args.kills));
    }
    Ok(report)
}

impl Run {
    /// Runs one process until it is killed or shut down, and checks what it left. An idle one is
    /// shut down once all logs are applied. Returns whether it was killed.
    fn live(&mut self) -> Result<bool, Error> {
        let idle = self.task.idle;
        let (sender, events) = mpsc::channel();
        let mut child = Child::start("service", &self.task, sender)?;
        let was_killed = loop {
            let event = events.recv_timeout(Duration::from_millis(1)).ok();
            if let Some(event) = event {
                self.note(event);
            } else if let Some(end) = child.ended_within(LIMIT)? {
                break end == End::Killed;
            }
            if !idle && self.kills.is_due(fraction(self.report.saves, self.saves)) {
                child.kill()?;
                break true;
            }
            let is_time = match event {
                Some(Event::Settled) => idle,
                // After the last save, so that there is something left to save.
                Some(Event::Applied(..)) => !idle && self.report.saves >= self.saves,
                _ => false,
            };
            if is_time {
                child.terminate()?; // perhaps again, which changes nothing
            }
        };
        for event in events {
            self.note(event);
        }
        let found = verify::check(&self.task.dir, self.task.seed, idle)?;
        (self.report.faults, self.report.deleted) = found;
        if self.report.stale_reads > 0 {
            let fault = format!("{} reads of clients were stale", self.report.stale_reads);
            self.report.faults.push(fault);
        }
        Ok(was_killed)
    }

    fn note(&mut self, event: Event) {
        let report = &mut self.report;
        match event {
            Event::Applied(shard, seqno) => {
                let applied = self.applied.entry(shard).or_default();
                report.segments += u64::from(seqno > *applied);
                report.replayed += u64::from(seqno <= *applied);
                *applied = seqno.max(*applied);
            }
            Event::ReadFresh => report.reads += 1,
            Event::ReadStale => report.stale_reads += 1,
            Event::Saved => report.saves += 1,
            Event::Changed => report.shards_replaced += 1,
            Event::Settled => {}
        }
    }
}

impl example_support::Report for Report {
    fn table(&self) -> Vec<String> {
        let verdict = if self.faults.is_empty() { "equal to the logs" } else { "see the faults" };
        vec![
            row("seed", self.seed),
            row("segments", self.segments),
            row("kills", self.kills),
            row("checkpoints", self.saves),
            row("shards replaced", self.shards_replaced),
            row("replayed after kills", self.replayed - self.replayed_after_shutdown),
            row("replayed after shutdown", self.replayed_after_shutdown),
            row("deleted", format!("{} segments of the live shards", self.deleted)),
            row("reads", format!("{} fresh, {} stale", self.reads, self.stale_reads)),
            row("data", verdict),
        ]
    }

    fn faults(&self) -> Vec<String> {
        self.faults.clone()
    }
}
