//! Marks, lag and health as metrics.
#![expect(clippy::cast_precision_loss, reason = "a gauge is an f64, exact up to 2^53")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use metrics::{Label, SharedString, gauge};
use repl_core::{LagClock, SeqNo, ShardId, Snapshot};

use crate::floors::Floors;
use crate::health::Status;
use crate::observe::names::{self, Metric};

/// The number of samples that the lag of a shard is computed from: see [`LagClock`].
const SAMPLES: usize = 32;

/// Records marks, lag, waits and health as gauges of the crate `metrics`.
///
/// Nothing is measured in between: call [`record`](StateMetrics::record) at each scrape, or on a
/// timer. docs/observability.md lists the metrics. Describe them once, with
/// [`describe_metrics`](crate::describe_metrics).
///
/// Metrics with a label for each shard are off, unless [`with_shards`](StateMetrics::with_shards)
/// allows a number of them. A recorder keeps a gauge that is set no more: let it drop idle ones. A
/// shard that is shown no more is set to NaN before.
///
/// ```
/// use std::time::{Duration, Instant};
/// use repl_checkpoint::{Floors, StateMetrics, describe_metrics};
/// use repl_core::{ReplicationState, ShardId, Snapshot};
///
/// let state = std::sync::Arc::new(ReplicationState::new(&[ShardId(1)]));
/// let floors = Floors::of_durable(state); // or `Checkpointer::floors`
/// let start = Instant::now();
/// describe_metrics(); // the recorder is installed before
/// let mut metrics = StateMetrics::new(floors).with_shards(100);
/// metrics.log_ends(&Snapshot::from_iter([(ShardId(1), 7)]), start.elapsed()); // from the leader
/// metrics.record(start.elapsed()); // at each scrape
/// ```
#[derive(Debug, Clone)]
pub struct StateMetrics {
    floors: Floors,
    labels: Vec<Label>,
    most_shards: Option<usize>,
    shown: Vec<ShardId>,
    /// Where the logs end.
    ends: BTreeMap<ShardId, (SeqNo, LagClock)>,
}

/// What is recorded of a shard.
struct Figures {
    applied: SeqNo,
    checkpointed: SeqNo,
    floor: SeqNo,
    /// `None` if it is not known where its log ends.
    lag: Option<(SeqNo, Duration)>,
}

impl StateMetrics {
    /// Creates the metrics of a state and its checkpointer.
    pub fn new(floors: Floors) -> Self {
        let (labels, most_shards, shown) = (Vec::new(), None, Vec::new());
        StateMetrics { floors, labels, most_shards, shown, ends: BTreeMap::new() }
    }

    /// Adds a label to every gauge, which tells the states of one process apart.
    #[must_use]
    pub fn with_label(
        mut self,
        name: impl Into<SharedString>,
        value: impl Into<SharedString>,
    ) -> Self {
        self.labels.push(Label::new(name.into(), value.into()));
        self
    }

    /// Records metrics with the label `shard` too, for at most `most` shards: the first by id.
    ///
    /// `repl_shards_not_shown` says how many are left out. Each shard makes five time series.
    #[must_use]
    pub fn with_shards(self, most: usize) -> Self {
        StateMetrics { most_shards: Some(most), ..self }
    }

    /// Records where the logs ended at a time, to compute lags from. A shard that `ends` does not
    /// hold has no known lag until it does.
    ///
    /// Times are as those of [`LagClock::sample`]. Keeps up to 32 samples a shard, at 24 bytes each.
    pub fn log_ends(&mut self, ends: &Snapshot, at: Duration) {
        self.ends.retain(|shard, _| ends.mark(*shard).is_some());
        for (shard, end) in ends {
            let new = || (end, LagClock::new(SAMPLES));
            let (last, clock) = self.ends.entry(shard).or_insert_with(new);
            *last = end;
            clock.sample(end, at);
        }
    }

    /// Sets all gauges. `now` is on the clock of [`log_ends`](StateMetrics::log_ends).
    ///
    /// For each shard it records `floor <= checkpointed <= applied`. Costs a few snapshots, and a
    /// short lock for each shard.
    pub fn record(&mut self, now: Duration) {
        // In this order, so that none is above the next.
        let floors = self.floors.retention_floors();
        let checkpointed = self.floors.checkpointed_marks();
        let applied = self.floors.state().snapshot();
        let ranges: usize = applied.entries().map(|entry| entry.applied_set.range_count()).sum();
        let figures = |(shard, mark)| Figures {
            applied: mark,
            checkpointed: same(&checkpointed, &applied, shard),
            floor: same(&floors, &applied, shard),
            lag: self.lag(shard, mark, now),
        };
        let all: Vec<Figures> = applied.iter().map(figures).collect();
        self.record_all(&all);
        self.set(&names::RANGES, ranges as f64);
        self.set(&names::WAITERS, self.floors.state().waiter_count() as f64);
        self.record_health();
        if let Some(most) = self.most_shards {
            self.record_shards(applied.shards().zip(&all).take(most));
            self.set(&names::NOT_SHOWN, all.len().saturating_sub(most) as f64);
        }
    }

    fn lag(&self, shard: ShardId, mark: SeqNo, now: Duration) -> Option<(SeqNo, Duration)> {
        let (end, clock) = self.ends.get(&shard)?;
        Some((end.saturating_sub(mark), clock.lag(mark, now)?))
    }

    fn record_all(&self, all: &[Figures]) {
        let sum = |of: fn(&Figures) -> SeqNo| {
            all.iter().map(|figures| u128::from(of(figures))).sum::<u128>() as f64
        };
        self.set(&names::SHARDS, all.len() as f64);
        self.set(&names::APPLIED, sum(|figures| figures.applied));
        self.set(&names::CHECKPOINTED, sum(|figures| figures.checkpointed));
        self.set(&names::FLOOR, sum(|figures| figures.floor));
        let lags = || all.iter().filter_map(|figures| figures.lag);
        if let Some((seqnos, _)) = lags().max_by_key(|(seqnos, _)| *seqnos) {
            self.set(&names::LAG, seqnos as f64);
        }
        if let Some((_, time)) = lags().max_by_key(|(_, time)| *time) {
            self.set(&names::LAG_SECONDS, time.as_secs_f64());
        }
    }

    fn record_health(&self) {
        let health = self.floors.health();
        let status = match health.status {
            Status::Good => "good",
            Status::Failing { .. } => "failing",
            Status::InDoubt { .. } => "in_doubt",
            Status::Poisoned { .. } => "poisoned",
            Status::Stopped { .. } => "stopped",
        };
        for name in ["good", "failing", "in_doubt", "poisoned", "stopped"] {
            self.set_with(&names::HEALTH, Label::new("status", name), f64::from(name == status));
        }
        let running = health.running_since.map_or(Duration::ZERO, |since| since.elapsed());
        self.set(&names::RUNNING, running.as_secs_f64());
        if let Some(success) = health.last_success.and_then(unix_time) {
            self.set(&names::LAST_SUCCESS, success.as_secs_f64());
        }
    }

    fn record_shards<'a>(&mut self, shards: impl Iterator<Item = (ShardId, &'a Figures)>) {
        let mut before = std::mem::take(&mut self.shown);
        for (shard, figures) in shards {
            self.shown.push(shard);
            let Figures { applied, checkpointed, floor, lag } = figures;
            let number = |seqno: &SeqNo| *seqno as f64;
            let lag =
                lag.map_or([f64::NAN; 2], |(seqnos, time)| [seqnos as f64, time.as_secs_f64()]);
            let [seqnos, seconds] = lag;
            self.set_shard(
                shard,
                [number(applied), number(checkpointed), number(floor), seqnos, seconds],
            );
        }
        before.retain(|shard| self.shown.binary_search(shard).is_err());
        for gone in before {
            self.set_shard(gone, [f64::NAN; 5]);
        }
    }

    fn set_shard(&self, shard: ShardId, values: [f64; 5]) {
        let metrics = [
            names::SHARD_APPLIED,
            names::SHARD_CHECKPOINTED,
            names::SHARD_FLOOR,
            names::SHARD_LAG,
            names::SHARD_LAG_SECONDS,
        ];
        for (metric, value) in metrics.iter().zip(values) {
            self.set_with(metric, Label::new("shard", shard.to_string()), value);
        }
    }

    fn set(&self, metric: &Metric, value: f64) {
        gauge!(metric.name, self.labels.clone()).set(value);
    }

    fn set_with(&self, metric: &Metric, label: Label, value: f64) {
        let labels: Vec<Label> = self.labels.iter().cloned().chain([label]).collect();
        gauge!(metric.name, labels).set(value);
    }
}

/// The mark in `saved`, if it is of the incarnation in `now`; otherwise 0.
fn same(saved: &Snapshot, now: &Snapshot, shard: ShardId) -> SeqNo {
    let is_same = saved.incarnation(shard) == now.incarnation(shard);
    saved.mark(shard).filter(|_| is_same).unwrap_or(0)
}

/// An instant as Unix time, on the clock as it is set now.
fn unix_time(instant: Instant) -> Option<Duration> {
    let time = SystemTime::now().checked_sub(instant.elapsed())?;
    time.duration_since(UNIX_EPOCH).ok()
}
