//! The parent: starts the service, kills it, checks what it left, and shuts it down.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use clap::ValueEnum;
use kill_loop::{Child, Kills};
use repl_core::{SeqNo, ShardId};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::RunArgs;
use crate::verify;

/// A run goes on for so many saves, and for so many more with each kill.
const SAVES: u64 = 20;
const SAVES_PER_KILL: u64 = 5;
/// A kill that is due waits a random time up to this.
const WAITS_UP_TO: Duration = Duration::from_millis(15);
/// A service that is silent for so long hangs.
const SILENCE: Duration = Duration::from_secs(20);

/// What the service sends to its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    Applied {
        shard: ShardId,
        seqno: SeqNo,
    },
    /// A client has read its own write, or older data.
    Read {
        fresh: bool,
    },
    TimedOut,
    /// A checkpoint was saved.
    Saved,
    /// A shard was removed and another one added.
    Changed,
    /// All logs are applied, and removed shards deleted.
    Settled,
}

/// The report of a run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) seconds: f64,
    pub(crate) kills: u64,
    /// Checkpoints that were saved.
    pub(crate) saves: u64,
    /// The number of segments that were applied, each counted once.
    pub(crate) segments: u64,
    /// Segments that a later process applied again.
    pub(crate) replayed: u64,
    pub(crate) replayed_after_shutdown: u64,
    pub(crate) shards_replaced: u64,
    /// Segments that were deleted from the logs of the shards that are live in the end.
    pub(crate) deleted: u64,
    pub(crate) reads: u64,
    pub(crate) stale_reads: u64,
    pub(crate) timeouts: u64,
    pub(crate) faults: Vec<String>,
}

struct Run<'a> {
    args: &'a RunArgs,
    root: &'a Path,
    saves: u64,
    kills: Kills,
    /// The last segment of each shard that was applied, as far as the parent knows.
    applied: BTreeMap<ShardId, SeqNo>,
    report: Report,
}

/// Kills the service again and again, shuts it down, and starts it once more to apply the logs to
/// their ends. A fault ends the run.
pub(crate) fn run(args: &RunArgs, root: &Path) -> io::Result<Report> {
    let began = Instant::now();
    let seed = args.seed.unwrap_or_else(any_seed);
    let saves = SAVES + SAVES_PER_KILL * args.kills;
    let kills = Kills::new(seed, args.kills, 0, saves, WAITS_UP_TO);
    let report = Report { seed, ..Report::default() };
    let mut run = Run { args, root, saves, kills, applied: BTreeMap::new(), report };
    while run.live(false)? && run.report.faults.is_empty() {}
    if run.report.faults.is_empty() {
        let before = run.report.replayed;
        run.live(true)?;
        run.report.replayed_after_shutdown = run.report.replayed - before;
    }
    let mut report = run.report;
    let again = report.replayed_after_shutdown;
    if again > 0 {
        report.faults.push(format!("{again} segments were applied again after the shutdown"));
    }
    if report.faults.is_empty() && report.kills < args.kills {
        report.faults.push(format!("only {} kills of {}", report.kills, args.kills));
    }
    report.seconds = began.elapsed().as_secs_f64();
    Ok(report)
}

impl Run<'_> {
    /// Runs one process until it is killed or shut down, and checks what it left. An idle one is
    /// shut down once all logs are applied. Returns whether it was killed.
    fn live(&mut self, idle: bool) -> io::Result<bool> {
        let mut child = self.start(idle)?;
        let (mut heard, mut is_asked) = (Instant::now(), false);
        let status = loop {
            let event = child.next_event();
            if let Some(event) = event {
                heard = Instant::now();
                self.note(event);
            }
            if let Some(status) = child.ended()? {
                break Some(status);
            }
            if !idle && self.kills.is_due(self.report.saves) {
                child.kill()?;
                break None;
            }
            let is_time = match event {
                Some(Event::Settled) => idle,
                // After the last save, so that there is something left to save.
                Some(Event::Applied { .. }) => !idle && self.report.saves >= self.saves,
                _ => false,
            };
            if is_time && !is_asked {
                let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
                kill_process(id.ok_or(io::ErrorKind::InvalidInput)?, Signal::TERM)?;
                is_asked = true;
            }
            if heard.elapsed() > SILENCE {
                return Err(io::Error::other("the service hangs"));
            }
        };
        child.rest().for_each(|event| self.note(event));
        self.report.kills = self.kills.killed();
        let found = verify::check(self.root, self.report.seed, idle)?;
        (self.report.faults, self.report.deleted) = found;
        if self.report.stale_reads > 0 {
            let fault = format!("{} reads of clients were stale", self.report.stale_reads);
            self.report.faults.push(fault);
        }
        match status {
            None => Ok(true),
            Some(status) if status.success() && is_asked => Ok(false),
            Some(status) => {
                Err(io::Error::other(format!("the service stopped with {status}: see above")))
            }
        }
    }

    /// Starts this executable again as the service.
    fn start(&self, idle: bool) -> io::Result<Child<Event>> {
        let mut args: Vec<OsString> = vec!["serve".into(), "--dir".into()];
        args.push(self.root.into());
        args.push(format!("--seed={}", self.report.seed).into());
        if idle {
            args.push("--idle".into());
        }
        if let Some(mutant) = self.args.mutant.and_then(|mutant| mutant.to_possible_value()) {
            args.push(format!("--mutant={}", mutant.get_name()).into());
        }
        Child::start(args)
    }

    fn note(&mut self, event: Event) {
        let report = &mut self.report;
        match event {
            Event::Applied { shard, seqno } => {
                let applied = self.applied.entry(shard).or_default();
                if seqno > *applied {
                    *applied = seqno;
                    report.segments += 1;
                } else {
                    report.replayed += 1;
                }
            }
            Event::Read { fresh } => {
                report.reads += 1;
                report.stale_reads += u64::from(!fresh);
            }
            Event::TimedOut => report.timeouts += 1,
            Event::Saved => report.saves += 1,
            Event::Changed => report.shards_replaced += 1,
            Event::Settled => {}
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { seed, seconds, kills, saves, segments, shards_replaced, .. } = self;
        let Report { replayed, replayed_after_shutdown, deleted, .. } = self;
        let Report { reads, stale_reads, timeouts, faults, .. } = self;
        writeln!(f, "seed {seed}, {seconds:.1} s")?;
        writeln!(f, "killed {kills} times, then shut down")?;
        writeln!(f, "saved {saves} checkpoints, replaced {shards_replaced} shards")?;
        writeln!(f, "applied {segments} segments, {replayed} of them again after a kill")?;
        writeln!(f, "applied {replayed_after_shutdown} segments again after the shutdown")?;
        writeln!(f, "deleted {deleted} segments of the shards that are live in the end")?;
        writeln!(f, "clients read {reads} writes, {stale_reads} stale; {timeouts} timed out")?;
        match faults.len() {
            0 => writeln!(f, "the data of each shard is equal to its log"),
            n => writeln!(f, "faults: {n}"),
        }
    }
}

fn any_seed() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    (u64::from(std::process::id()) ^ u64::from(now.subsec_nanos())) % 1_000_000
}
