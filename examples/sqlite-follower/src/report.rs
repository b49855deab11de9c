//! The report of a run, as a table and as JSON.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use crate::cli::StoreKind;
use crate::clients::Seen;
use crate::events::Event;
use crate::position::Mark;
use crate::verify::Verdict;
use crate::wal::LogPoint;

/// The report of one run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) databases: u64,
    /// The number of follower threads that apply the databases.
    pub(crate) threads: u16,
    /// The store of the follower's marks.
    pub(crate) store: StoreKind,
    pub(crate) transactions: u64,
    pub(crate) seconds: f64,
    pub(crate) kills: u64,
    pub(crate) leader_kills: u64,
    /// Where each follower process started.
    pub(crate) starts: Vec<FollowerStart>,
    pub(crate) frames_applied: u64,
    pub(crate) frames_offered_again: u64,
    /// The largest lag of one replica, in frames.
    pub(crate) largest_lag: u64,
    pub(crate) checkpoints: u64,
    pub(crate) checkpoint_median_micros: u64,
    pub(crate) log_restarts: u64,
    /// Reads of replicas while they were written, each consistent.
    pub(crate) reads: u64,
    /// Reads of clients that returned what they had written, in total and by shard.
    pub(crate) read_your_writes: u64,
    pub(crate) read_your_writes_by_shard: BTreeMap<u64, u64>,
    /// Those of them that had to wait for the follower, and those that a second follower answered.
    pub(crate) read_your_writes_waited: u64,
    pub(crate) read_your_writes_asked_again: u64,
    pub(crate) replicas: Vec<Verdict>,
    #[serde(skip)]
    pub(crate) running: Running,
}

/// The marks at which the shards of one follower process started.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct FollowerStart {
    /// By shard, `log.frame`. Empty if the follower was killed before it resumed or copied a shard.
    pub(crate) resumed: BTreeMap<u64, String>,
    pub(crate) copied: BTreeMap<u64, String>,
}

/// The state of the shards during a run.
#[derive(Debug, Default)]
pub(crate) struct Running {
    shards: BTreeMap<u64, Shard>,
    checkpoint_micros: Vec<u64>,
}

#[derive(Debug, Default)]
struct Shard {
    first: Option<u64>,
    done: u64,
    until: u64,
    is_done: bool,
    /// The end of the leader's log, and the place that the follower has applied.
    leader: Option<LogPoint>,
    follower: Option<LogPoint>,
    /// The highest seqno that any follower process applied.
    highest: u64,
}

impl Report {
    pub(crate) fn follower_started(&mut self) {
        self.starts.push(FollowerStart::default());
    }

    pub(crate) fn note(&mut self, event: Event) {
        let shards = &mut self.running.shards;
        match event {
            Event::Writing { shard, done, until } => {
                let shard = shards.entry(shard).or_default();
                shard.first.get_or_insert(done);
                (shard.done, shard.until) = (done, until);
            }
            Event::Committed { shard, done, end } => {
                let shard = shards.entry(shard).or_default();
                (shard.done, shard.leader) = (done, Some(end));
                self.largest_lag = self.largest_lag.max(shard.lag());
            }
            Event::Done { shard } => shards.entry(shard).or_default().is_done = true,
            Event::LogEnded { .. } => self.log_restarts += 1,
            Event::Resumed { shard, mark, at } | Event::Copied { shard, mark, at } => {
                let entry = shards.entry(shard).or_default();
                entry.follower = Some(at);
                if let Some(start) = self.starts.last_mut() {
                    let copied = matches!(event, Event::Copied { .. });
                    if copied {
                        // A base copy starts new seqnos.
                        entry.highest = mark;
                    }
                    let began = if copied { &mut start.copied } else { &mut start.resumed };
                    began.insert(shard, Mark(mark).to_string());
                }
            }
            Event::Applied { shard, seqno, frames, at } => {
                let shard = shards.entry(shard).or_default();
                self.frames_applied += frames;
                if seqno <= shard.highest {
                    self.frames_offered_again += frames;
                }
                shard.highest = shard.highest.max(seqno);
                shard.follower = Some(at);
            }
            Event::NextLog { .. } | Event::Written { .. } | Event::Answered { .. } => {}
            Event::Saved { micros } => self.running.checkpoint_micros.push(micros),
            Event::Read { .. } => self.reads += 1,
        }
    }

    /// The fraction of the work done, from 0 to 1.
    pub(crate) fn fraction(&self) -> f64 {
        let (mut done, mut all) = (0, 0);
        for shard in self.running.shards.values() {
            let first = shard.first.unwrap_or(0);
            done += shard.done - first.min(shard.done);
            all += shard.until - first.min(shard.until);
        }
        if self.leader_is_done() { 1.0 } else { ratio(done, all) }
    }

    /// The number of transactions done in this run.
    pub(crate) fn transactions_done(&self) -> u64 {
        let done = |s: &Shard| s.done - s.first.unwrap_or(0).min(s.done);
        self.running.shards.values().map(done).sum()
    }

    pub(crate) fn leader_is_done(&self) -> bool {
        let shards = &self.running.shards;
        shards.len() as u64 == self.databases && shards.values().all(|s| s.is_done)
    }

    /// Whether the current follower process has started every shard.
    pub(crate) fn follower_has_started(&self) -> bool {
        let started = self.starts.last().map(|s| s.resumed.len() + s.copied.len());
        started.is_some_and(|n| n as u64 == self.databases)
    }

    pub(crate) fn close(&mut self, seconds: f64, seen: &Seen, replicas: Vec<Verdict>) {
        self.read_your_writes = seen.by_shard.values().sum();
        self.read_your_writes_by_shard = seen.by_shard.clone();
        self.read_your_writes_waited = seen.waited;
        self.read_your_writes_asked_again = seen.asked_again;
        let micros = &mut self.running.checkpoint_micros;
        micros.sort_unstable();
        self.checkpoints = micros.len() as u64;
        self.checkpoint_median_micros = micros.get(micros.len() / 2).copied().unwrap_or(0);
        self.transactions = self.transactions_done();
        self.seconds = seconds;
        self.replicas = replicas;
    }

    pub(crate) fn all_equal(&self) -> bool {
        self.replicas.len() as u64 == self.databases && self.replicas.iter().all(|v| v.equal)
    }

    /// Writes the table.
    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let mut row = |name: &str, value: String| writeln!(out, "{name:<24}{value}");
        row("seed", self.seed.to_string())?;
        row("transactions", format!("{} in {:.1} s", self.transactions, self.seconds))?;
        row("follower kills", self.kills.to_string())?;
        if self.leader_kills > 0 {
            row("leader kills", self.leader_kills.to_string())?;
        }
        if self.starts.len() > ROWS_OF_STARTS {
            row("follower starts", summary_of(&self.starts))?;
        } else {
            for (index, start) in self.starts.iter().enumerate() {
                row(&format!("follower start {}", index + 1), start.text())?;
            }
        }
        let again = self.frames_offered_again;
        row("frames applied", format!("{}, {again} of them again", self.frames_applied))?;
        row("largest lag", format!("{} frames", self.largest_lag))?;
        let micros = self.checkpoint_median_micros;
        let (saved, median, store) = (self.checkpoints, ms(micros), self.store);
        row("checkpoints saved", format!("{saved}, median {median:.2} ms, in {store}"))?;
        row("log restarts", self.log_restarts.to_string())?;
        row("reads while applying", format!("{}, each consistent", self.reads))?;
        let (reads, waited) = (self.read_your_writes, self.read_your_writes_waited);
        let again = self.read_your_writes_asked_again;
        let how = format!("{waited} had to wait, {again} asked a second follower, none was stale");
        row("reads of own writes", format!("{reads}: {how}"))?;
        for verdict in &self.replicas {
            row(&format!("replica db{}", verdict.shard), verdict.text())?;
        }
        let equal = self.replicas.iter().filter(|verdict| verdict.equal).count();
        let (replicas, kills) = (self.replicas.len(), self.kills + self.leader_kills);
        row("replicas equal", format!("{equal} of {replicas}, after {kills} kills"))
    }
}

/// More starts than this are summed up in one row.
const ROWS_OF_STARTS: usize = 40;

fn summary_of(starts: &[FollowerStart]) -> String {
    let count = |is: fn(&FollowerStart) -> bool| starts.iter().filter(|start| is(start)).count();
    let copied = count(|start| !start.copied.is_empty());
    let none = count(|start| start.copied.is_empty() && start.resumed.is_empty());
    let (all, resumed) = (starts.len(), starts.len() - copied - none);
    format!("{all}: {resumed} resumed, {copied} copied, {none} killed at once")
}

impl Shard {
    /// How many frames the follower is behind, or 0 if unknown.
    fn lag(&self) -> u64 {
        let (Some(leader), Some(follower)) = (self.leader, self.follower) else { return 0 };
        // A log restarts only when the follower has reached its end.
        let reached = if leader.salts == follower.salts { follower.frame } else { 0 };
        u64::from(leader.frame.saturating_sub(reached))
    }
}

impl FollowerStart {
    fn text(&self) -> String {
        let list = |marks: &BTreeMap<u64, String>| {
            let marks = marks.iter().map(|(shard, mark)| format!("db{shard} {mark}"));
            marks.collect::<Vec<_>>().join(", ")
        };
        match (self.resumed.is_empty(), self.copied.is_empty()) {
            (true, true) => "killed at once".to_owned(),
            (false, true) => format!("resumed at {}", list(&self.resumed)),
            (true, false) => format!("copied at {}", list(&self.copied)),
            (false, false) => {
                format!("resumed at {}; copied at {}", list(&self.resumed), list(&self.copied))
            }
        }
    }
}

impl Verdict {
    fn text(&self) -> String {
        if self.equal {
            let Verdict { tables, rows, hash, .. } = self;
            format!("equal: {tables} tables, {rows} rows, hash {}", hash.get(..16).unwrap_or(hash))
        } else {
            format!("DIFFERS: {}", self.differences.join("; "))
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "for display")]
fn ms(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

#[expect(clippy::cast_precision_loss, reason = "for a progress bar")]
fn ratio(done: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { done as f64 / all as f64 }
}
