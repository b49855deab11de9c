//! Marks, lag, waits and health as they are when they are recorded.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use repl_checkpoint::{Floors, StateMetrics};
use repl_core::{ApplyWindow, NewShard, ReplicationState, ShardId, Snapshot};

use super::ONE;
use crate::remote;
use crate::remote::server::{Client, Fault};
use crate::support::recorder::Recorded;
use crate::support::scripted::{Outcome, Scripted};
use crate::support::{begun, durable, save};

const TWO: ShardId = ShardId(2);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The gauges of these names.
fn gauges<const N: usize>(recorder: &Recorded, names: [&str; N]) -> [f64; N] {
    names.map(|name| recorder.gauge(&format!("repl_{name}")).unwrap_or(-1.0))
}

#[track_caller]
fn assert_gauges<const N: usize>(recorder: &Recorded, names: [&str; N], expected: [f64; N]) {
    assert!(
        gauges(recorder, names).iter().zip(&expected).all(|(a, b)| a.total_cmp(b).is_eq()),
        "{names:?}: {:?}, not {expected:?}",
        gauges(recorder, names)
    );
}

const SUMS: [&str; 4] = ["shards", "applied_seqnos", "checkpointed_seqnos", "floor_seqnos"];

#[test]
fn marks_are_summed_over_the_present_incarnations_of_all_shards() {
    let mut follower = Scripted::default().recovered(&[1, 2]);
    let (recorder, state) = (Recorded::default(), Arc::clone(&follower.state));
    let mut metrics = StateMetrics::new(follower.checkpointer.floors());
    let mut assert_sums = |sums| {
        recorder.run(|| metrics.record(seconds(0)));
        assert_gauges(&recorder, SUMS, sums);
    };
    state.advance(ONE, 5);
    state.advance(TWO, 7);
    assert_sums([2.0, 12.0, 0.0, 0.0]);
    save(&mut follower.checkpointer);
    state.advance(ONE, 9);
    assert_sums([2.0, 16.0, 12.0, 0.0]);
    save(&mut follower.checkpointer);
    state.advance(ONE, 10);
    assert_sums([2.0, 17.0, 16.0, 12.0]);
    state.reset_shard(NewShard::new(ONE).with_mark(3));
    assert_sums([2.0, 10.0, 7.0, 7.0]);
    state.remove_shard(TWO);
    assert_sums([1.0, 3.0, 0.0, 0.0]);
}

#[test]
fn waits_and_completed_ranges_are_counted() {
    let state = Arc::new(ReplicationState::new(&[ONE, TWO]));
    let window = ApplyWindow::new(state.shard(ONE).unwrap(), 100).unwrap();
    for seqno in [3, 5, 6, 9] {
        window.complete(seqno).unwrap();
    }
    let waiting = [state.reached(TWO, 5), state.reached(ONE, 8)];
    let recorder = Recorded::default();
    let mut metrics = StateMetrics::new(Floors::of_durable(state));
    recorder.run(|| metrics.record(seconds(0)));
    assert_gauges(&recorder, ["completed_ranges", "waiters"], [3.0, 0.0]);
    let mut waiting = waiting;
    for wait in &mut waiting {
        assert!(Pin::new(wait).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    recorder.run(|| metrics.record(seconds(0)));
    assert_gauges(&recorder, ["completed_ranges", "waiters"], [3.0, 2.0]);
}

#[test]
fn the_lags_are_those_of_the_shards_farthest_behind_and_missing_until_the_logs_are_known() {
    const LAGS: [&str; 2] = ["lag_seqnos", "lag_seconds"];
    let state = Arc::new(ReplicationState::new(&[ONE, TWO]));
    let recorder = Recorded::default();
    let mut metrics = StateMetrics::new(Floors::of_durable(Arc::clone(&state)));
    recorder.run(|| metrics.record(seconds(10)));
    assert_gauges(&recorder, LAGS, [-1.0, -1.0]);
    let ends = |one, two| Snapshot::from_iter([(ONE, one), (TWO, two)]);
    metrics.log_ends(&ends(1, 0), seconds(10));
    metrics.log_ends(&ends(2, 100), seconds(15));
    recorder.run(|| metrics.record(seconds(20)));
    assert_gauges(&recorder, LAGS, [100.0, 10.0]);
    state.advance(ONE, 1);
    recorder.run(|| metrics.record(seconds(20)));
    assert_gauges(&recorder, LAGS, [100.0, 5.0]);
    state.advance(TWO, 100);
    state.advance(ONE, 2);
    recorder.run(|| metrics.record(seconds(30)));
    assert_gauges(&recorder, LAGS, [0.0, 0.0]);
}

#[test]
fn shards_have_metrics_of_their_own_only_up_to_the_limit() {
    const EACH: [&str; 5] = [
        "shard_applied_seqno",
        "shard_checkpointed_seqno",
        "shard_floor_seqno",
        "shard_lag_seqnos",
        "shard_lag_seconds",
    ];
    let of = |shard: u64| EACH.map(|name| format!("{name}{{shard=\"{shard}\"}}"));
    let mut follower = Scripted::default().recovered(&[1, 2, 3]);
    let recorder = Recorded::default();
    let assert_shard = |shard, expected| {
        assert_gauges(&recorder, of(shard).each_ref().map(String::as_str), expected);
    };
    let floors = follower.checkpointer.floors();
    recorder.run(|| StateMetrics::new(floors.clone()).record(seconds(0)));
    assert_shard(1, [-1.0; 5]);
    assert_gauges(&recorder, ["shards_not_shown"], [-1.0]);

    let mut metrics = StateMetrics::new(floors).with_shards(2);
    for mark in [5, 7, 9] {
        follower.state.advance(ONE, mark);
        save(&mut follower.checkpointer);
    }
    metrics.log_ends(&Snapshot::from_iter([(ONE, 12)]), seconds(1));
    recorder.run(|| metrics.record(seconds(4)));
    assert_shard(1, [9.0, 9.0, 7.0, 3.0, 3.0]);
    assert_shard(2, [0.0, 0.0, 0.0, f64::NAN, f64::NAN]);
    assert_shard(3, [-1.0; 5]);
    assert_gauges(&recorder, ["shards_not_shown"], [1.0]);

    follower.state.remove_shard(ONE);
    recorder.run(|| metrics.record(seconds(4)));
    assert_shard(1, [f64::NAN; 5]);
    assert_shard(3, [0.0, 0.0, 0.0, f64::NAN, f64::NAN]);
    assert_gauges(&recorder, ["shards_not_shown"], [0.0]);
}

#[test]
fn a_label_of_the_engine_is_on_every_gauge() {
    let recorder = Recorded::default();
    let state = Arc::new(ReplicationState::new(&[ONE]));
    let metrics = StateMetrics::new(Floors::of_durable(state));
    recorder.run(|| metrics.with_label("tenant", "a").with_shards(9).record(seconds(0)));
    let rows = recorder.keys();
    assert!(rows.iter().all(|key| key.contains(r#"tenant="a""#)), "{rows:?}");
    assert!(rows.contains(&r#"repl_shard_applied_seqno{tenant="a",shard="1"}"#.to_owned()));
}

#[test]
fn health_is_1_for_the_status_and_0_for_others() {
    const STATUS: [&str; 5] = ["good", "failing", "in_doubt", "poisoned", "stopped"];
    let names = STATUS.map(|status| format!("checkpoint_health{{status=\"{status}\"}}"));
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    let recorder = Recorded::default();
    let mut metrics = StateMetrics::new(follower.checkpointer.floors());
    let mut assert_health = |expected| {
        recorder.run(|| metrics.record(seconds(0)));
        assert_gauges(&recorder, names.each_ref().map(String::as_str), expected);
    };
    assert_health([1.0, 0.0, 0.0, 0.0, 0.0]);
    store.fail_next(&[Outcome::NotSaved, Outcome::InDoubt]);
    follower.checkpointer.checkpoint(durable).unwrap_err();
    assert_health([0.0, 1.0, 0.0, 0.0, 0.0]);
    follower.checkpointer.checkpoint(durable).unwrap_err();
    assert_health([0.0, 0.0, 0.0, 1.0, 0.0]);

    let client = Client::new("a");
    let mut remote = remote::start(&client);
    let mut metrics = StateMetrics::new(remote.checkpointer.floors());
    let mut assert_health = |expected| {
        recorder.run(|| metrics.record(seconds(0)));
        assert_gauges(&recorder, names.each_ref().map(String::as_str), expected);
    };
    client.plant(&[Fault::LostBefore]);
    remote::save(&mut remote.checkpointer).unwrap_err();
    assert_health([0.0, 0.0, 1.0, 0.0, 0.0]);
    drop(remote::start(&client.named("b"))); // the store is lost
    remote::save(&mut remote.checkpointer).unwrap_err();
    assert_health([0.0, 0.0, 0.0, 1.0, 0.0]);
}

#[test]
fn the_last_success_is_unix_time_and_a_running_checkpoint_is_timed() {
    const NAMES: [&str; 2] =
        ["checkpoint_last_success_timestamp_seconds", "checkpoint_running_seconds"];
    let unix_now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let mut follower = Scripted::default().recovered(&[1]);
    let recorder = Recorded::default();
    let mut metrics = StateMetrics::new(follower.checkpointer.floors());
    recorder.run(|| metrics.record(seconds(0)));
    assert_gauges(&recorder, NAMES, [-1.0, 0.0]);
    let before = unix_now();
    save(&mut follower.checkpointer);
    recorder.run(|| metrics.record(seconds(0)));
    let [success, running] = gauges(&recorder, NAMES);
    let hundredth = 0.01; // two clocks are read
    assert!(before - hundredth <= success && success <= unix_now() + hundredth, "{success}");
    assert!(running.total_cmp(&0.0).is_eq());
    let attempt = begun(&mut follower.checkpointer);
    recorder.run(|| metrics.record(seconds(0)));
    assert!(gauges(&recorder, NAMES)[1] > 0.0);
    drop(attempt);
}
