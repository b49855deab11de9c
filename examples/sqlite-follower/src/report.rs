//! The report of a run.

use std::collections::BTreeMap;

use example_support::{Error, fraction, row};
use serde::Serialize;

use crate::cli::StoreKind;
use crate::clients::Seen;
use crate::events::Event;
use crate::positions::Mark;
use crate::verify::Comparison;
use crate::wal::LogPoint;

/// More starts than this are summed up in one row.
const ROWS_OF_STARTS: usize = 40;

/// The report of one run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) databases: u64,
    pub(crate) threads: u16,
    pub(crate) store: StoreKind,
    pub(crate) transactions: u64,
    pub(crate) kills: u64,
    pub(crate) leader_kills: u64,
    /// Where each follower process started.
    pub(crate) starts: Vec<FollowerStart>,
    pub(crate) frames_applied: u64,
    pub(crate) frames_offered_again: u64,
    /// The largest lag of one replica, in frames.
    pub(crate) largest_lag: u64,
    pub(crate) checkpoints: usize,
    pub(crate) checkpoint_median_micros: u64,
    pub(crate) log_restarts: u64,
    /// Reads of replicas while they were written, each consistent.
    pub(crate) reads: u64,
    #[serde(flatten)]
    pub(crate) seen: Seen,
    pub(crate) replicas: Vec<Comparison>,
    #[serde(skip)]
    pub(crate) shards: BTreeMap<u64, Shard>,
    #[serde(skip)]
    pub(crate) checkpoint_micros: Vec<u64>,
}

/// The marks at which the shards of one follower process started.
#[derive(Debug, Default, Clone, Serialize)]
pub(crate) struct FollowerStart {
    /// By shard, `log.frame`. Empty if the follower was killed before it resumed or copied a shard.
    resumed: BTreeMap<u64, String>,
    copied: BTreeMap<u64, String>,
}

/// The state of a shard during a run.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    first: Option<u64>,
    done: u64,
    until: u64,
    /// The end of the leader's log, and the place that the follower has applied.
    leader: Option<LogPoint>,
    follower: Option<LogPoint>,
    /// The highest seqno that any follower process applied.
    highest: u64,
}

impl Report {
    pub(crate) fn note(&mut self, event: Event) {
        let shards = &mut self.shards;
        match event {
            Event::Committed { shard, done, until, end } => {
                let shard = shards.entry(shard).or_default();
                shard.first.get_or_insert(done);
                (shard.done, shard.until, shard.leader) = (done, until, Some(end));
                self.largest_lag = self.largest_lag.max(shard.lag());
            }
            Event::LogEnded => self.log_restarts += 1,
            Event::Started { shard, mark, at, copied } => {
                let entry = shards.entry(shard).or_default();
                entry.follower = Some(at);
                if copied {
                    entry.highest = mark; // a base copy starts new seqnos
                }
                let start = self.starts.last_mut();
                let marks = start.map(|s| if copied { &mut s.copied } else { &mut s.resumed });
                marks.map(|marks| marks.insert(shard, Mark(mark).to_string()));
            }
            Event::Applied { shard, seqno, frames, at } => {
                let shard = shards.entry(shard).or_default();
                self.frames_applied += frames;
                self.frames_offered_again += if seqno <= shard.highest { frames } else { 0 };
                shard.highest = shard.highest.max(seqno);
                shard.follower = Some(at);
            }
            Event::Saved { micros } => self.checkpoint_micros.push(micros),
            Event::Read => self.reads += 1,
            Event::Written { .. } | Event::Answered { .. } => {}
        }
    }

    /// The fraction of the work done, from 0 to 1.
    pub(crate) fn fraction(&self) -> f64 {
        let all: u64 = self.shards.values().map(|s| s.until - s.first().min(s.until)).sum();
        let are_known = self.shards.len() as u64 == self.databases;
        let is_done = are_known
            && self.shards.values().all(|shard| shard.first.is_some() && shard.done >= shard.until);
        if is_done { 1.0 } else { fraction(self.transactions_done(), all.max(1)) }
    }

    /// The number of transactions done in this run.
    pub(crate) fn transactions_done(&self) -> u64 {
        self.shards.values().map(|s| s.done - s.first().min(s.done)).sum()
    }

    /// Whether the current follower process has started every shard.
    pub(crate) fn follower_has_started(&self) -> bool {
        let started = self.starts.last().map(|s| s.resumed.len() + s.copied.len());
        started.is_some_and(|n| n as u64 == self.databases)
    }

    /// Returns the report with what the clients saw and the comparisons found, and the faults.
    pub(crate) fn close(mut self, seen: Seen, replicas: Vec<Comparison>) -> (Report, Vec<String>) {
        let micros = &mut self.checkpoint_micros;
        micros.sort_unstable();
        self.checkpoints = micros.len();
        self.checkpoint_median_micros = micros.get(micros.len() / 2).copied().unwrap_or(0);
        self.transactions = self.transactions_done();
        (self.seen, self.replicas) = (seen, replicas);
        let differing = self.replicas.iter().filter(|comparison| !comparison.equal);
        let faults = differing.map(|v| format!("replica db{} {}", v.shard, v.text())).collect();
        (self, faults)
    }
}

impl example_support::Report for Report {
    fn table(&self) -> Result<Vec<String>, Error> {
        let (seen, micros) = (&self.seen, self.checkpoint_median_micros);
        let mut rows = vec![
            row("transactions", self.transactions),
            row("follower kills", self.kills),
            row("leader kills", self.leader_kills),
        ];
        if self.starts.len() > ROWS_OF_STARTS {
            rows.push(row("follower starts", summary_of(&self.starts)));
        } else {
            let named = (1..).zip(&self.starts).map(|(n, s)| (format!("follower start {n}"), s));
            rows.extend(named.map(|(name, start): (String, _)| row(name, start.text())));
        }
        let (applied, again) = (self.frames_applied, self.frames_offered_again);
        let store = if self.store == StoreKind::Slots { "slots" } else { "files" };
        let median = format!("median {}.{:02} ms", micros / 1000, micros % 1000 / 10);
        let (waited, asked) = (seen.read_your_writes_waited, seen.read_your_writes_asked_again);
        let how = format!("{waited} had to wait, {asked} asked a second follower, none was stale");
        rows.extend([
            row("frames applied", format!("{applied}, {again} of them again")),
            row("largest lag", format!("{} frames", self.largest_lag)),
            row("checkpoints saved", format!("{}, {median}, in {store}", self.checkpoints)),
            row("log restarts", self.log_restarts),
            row("reads while applying", format!("{}, each consistent", self.reads)),
            row("reads of own writes", format!("{}: {how}", seen.read_your_writes)),
        ]);
        rows.extend(self.replicas.iter().map(|v| row(format!("replica db{}", v.shard), v.text())));
        let equal = self.replicas.iter().filter(|comparison| comparison.equal).count();
        let (all, kills) = (self.replicas.len(), self.kills + self.leader_kills);
        rows.push(row("replicas equal", format!("{equal} of {all}, after {kills} kills")));
        Ok(rows)
    }
}

fn summary_of(starts: &[FollowerStart]) -> String {
    let count = |is: fn(&FollowerStart) -> bool| starts.iter().filter(|start| is(start)).count();
    let copied = count(|start| !start.copied.is_empty());
    let none = count(|start| start.copied.is_empty() && start.resumed.is_empty());
    let (all, resumed) = (starts.len(), starts.len() - copied - none);
    format!("{all}: {resumed} resumed, {copied} copied, {none} killed at once")
}

impl Shard {
    fn first(&self) -> u64 {
        self.first.unwrap_or(0)
    }

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
        let parts = [("resumed", &self.resumed), ("copied", &self.copied)];
        let parts = parts.into_iter().filter(|(_, marks)| !marks.is_empty()).map(|(how, marks)| {
            let marks = marks.iter().map(|(shard, mark)| format!("db{shard} {mark}"));
            format!("{how} at {}", marks.collect::<Vec<_>>().join(", "))
        });
        let text = parts.collect::<Vec<_>>().join("; ");
        if text.is_empty() { "killed at once".to_owned() } else { text }
    }
}

impl Comparison {
    fn text(&self) -> String {
        let Comparison { tables, rows, hash, differences, .. } = self;
        if self.equal {
            format!("equal: {tables} tables, {rows} rows, hash {hash}")
        } else {
            format!("DIFFERS: {}", differences.join("; "))
        }
    }
}
