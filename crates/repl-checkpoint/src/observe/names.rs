//! The names, types and meanings of all metrics. docs/observability.md lists them.

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, histogram};

use super::outcome::{Origin, Outcome};

/// One metric.
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    kind: Kind,
    unit: Unit,
    about: &'static str,
}

enum Kind {
    Counter,
    Gauge,
    Histogram,
}

const fn counter(name: &'static str, unit: Unit, about: &'static str) -> Metric {
    Metric { name, kind: Kind::Counter, unit, about }
}

const fn gauge(name: &'static str, unit: Unit, about: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, unit, about }
}

pub(crate) const CHECKPOINTS: Metric =
    counter("repl_checkpoints_total", Unit::Count, "Checkpoints that have ended, by outcome");
pub(crate) const DURATION: Metric = Metric {
    name: "repl_checkpoint_duration_seconds",
    kind: Kind::Histogram,
    unit: Unit::Seconds,
    about: "The time that the phases of a checkpoint took",
};
pub(crate) const BYTES: Metric =
    counter("repl_checkpoint_bytes_total", Unit::Bytes, "Bytes that were saved");
pub(crate) const RECOVERIES: Metric =
    counter("repl_recoveries_total", Unit::Count, "Recoveries, by where the marks came from");

pub(crate) const LAST_SUCCESS: Metric = gauge(
    "repl_checkpoint_last_success_timestamp_seconds",
    Unit::Seconds,
    "When the last checkpoint succeeded, as Unix time",
);
pub(crate) const RUNNING: Metric = gauge(
    "repl_checkpoint_running_seconds",
    Unit::Seconds,
    "For how long the checkpoint in progress has been running; 0 if none is",
);
pub(crate) const HEALTH: Metric = gauge(
    "repl_checkpoint_health",
    Unit::Count,
    "1 for the status of the checkpointer, 0 for others",
);

pub(crate) const SHARDS: Metric = gauge("repl_shards", Unit::Count, "Shards that are tracked");
pub(crate) const APPLIED: Metric =
    gauge("repl_applied_seqnos", Unit::Count, "The sum of the marks of all shards");
pub(crate) const CHECKPOINTED: Metric = gauge(
    "repl_checkpointed_seqnos",
    Unit::Count,
    "The sum of the checkpointed marks of all shards; 0 for a shard without one",
);
pub(crate) const FLOOR: Metric = gauge(
    "repl_floor_seqnos",
    Unit::Count,
    "The sum of the retention floors of all shards; 0 for a shard without one",
);
pub(crate) const LAG: Metric =
    gauge("repl_lag_seqnos", Unit::Count, "How far the shard farthest behind is behind its log");
pub(crate) const LAG_SECONDS: Metric = gauge(
    "repl_lag_seconds",
    Unit::Seconds,
    "The longest time that a shard has been behind its log",
);
pub(crate) const WAITERS: Metric =
    gauge("repl_waiters", Unit::Count, "Waits for a seqno that is not reached");
pub(crate) const RANGES: Metric =
    gauge("repl_completed_ranges", Unit::Count, "Ranges that are completed above the marks");

pub(crate) const SHARD_APPLIED: Metric =
    gauge("repl_shard_applied_seqno", Unit::Count, "The mark of a shard");
pub(crate) const SHARD_CHECKPOINTED: Metric =
    gauge("repl_shard_checkpointed_seqno", Unit::Count, "The checkpointed mark of a shard, or 0");
pub(crate) const SHARD_FLOOR: Metric =
    gauge("repl_shard_floor_seqno", Unit::Count, "The retention floor of a shard, or 0");
pub(crate) const SHARD_LAG: Metric =
    gauge("repl_shard_lag_seqnos", Unit::Count, "How far a shard is behind its log");
pub(crate) const SHARD_LAG_SECONDS: Metric =
    gauge("repl_shard_lag_seconds", Unit::Seconds, "For how long a shard has been behind its log");
pub(crate) const NOT_SHOWN: Metric = gauge(
    "repl_shards_not_shown",
    Unit::Count,
    "Shards without metrics of their own, as there are more than the limit",
);

const ALL: [Metric; 21] = [
    CHECKPOINTS,
    DURATION,
    BYTES,
    RECOVERIES,
    LAST_SUCCESS,
    RUNNING,
    HEALTH,
    SHARDS,
    APPLIED,
    CHECKPOINTED,
    FLOOR,
    LAG,
    LAG_SECONDS,
    WAITERS,
    RANGES,
    SHARD_APPLIED,
    SHARD_CHECKPOINTED,
    SHARD_FLOOR,
    SHARD_LAG,
    SHARD_LAG_SECONDS,
    NOT_SHOWN,
];

/// Describes every metric of this crate to the recorder, and sets its counters to 0.
///
/// Call it once, after the recorder is installed. Without the zeros, the first failure would not be
/// an increase to an alert. docs/observability.md lists the metrics.
pub fn describe_metrics() {
    for Metric { name, kind, unit, about } in ALL {
        match kind {
            Kind::Counter => describe_counter!(name, unit, about),
            Kind::Gauge => describe_gauge!(name, unit, about),
            Kind::Histogram => describe_histogram!(name, unit, about),
        }
    }
    for outcome in Outcome::ALL {
        counter!(CHECKPOINTS.name, "outcome" => outcome.name()).increment(0);
    }
    for outcome in [Outcome::Whole, Outcome::Delta] {
        counter!(BYTES.name, "outcome" => outcome.name()).increment(0);
    }
    for origin in Origin::ALL {
        counter!(RECOVERIES.name, "origin" => origin.name()).increment(0);
    }
    for phase in ["flush", "encode", "store"] {
        let _ = histogram!(DURATION.name, "phase" => phase);
    }
}
