//! What is counted and measured, and that the docs list exactly that.

mod state;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use repl_checkpoint::{
    JsonCodec, OnCorrupt, Saved, SlotStore, StateMetrics, describe_metrics, recover,
};
use repl_core::{ShardId, Snapshot};

use crate::support::recorder::Recorded;
use crate::support::scripted::{Outcome, Scripted};
use crate::support::{
    begun, durable, file, recovered, recovered_from, save, store as file_store, try_recover,
};

const ONE: ShardId = ShardId(1);

/// The metrics in the table of docs/observability.md, with labels and values sorted.
fn documented() -> BTreeSet<[String; 4]> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/observability.md");
    let page = fs::read_to_string(page).unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, kind, labels, about] = cells[..] else { return None };
        let labels: BTreeSet<&str> =
            labels.split([' ', ',', ':']).filter(|word| !word.is_empty()).collect();
        let labels = labels.into_iter().collect::<Vec<_>>().join(" ");
        Some([name.to_owned(), kind.to_owned(), labels, about.to_owned()])
    };
    page.lines().filter(|line| line.starts_with("| `repl_")).filter_map(row).collect()
}

#[test]
fn the_docs_list_every_metric_with_its_type_labels_and_meaning_and_no_other() {
    let recorder = Recorded::default();
    recorder.run(|| {
        describe_metrics();
        let mut follower = Scripted::default().recovered(&[1, 2]);
        follower.state.advance(ONE, 5);
        save(&mut follower.checkpointer);
        let mut metrics = StateMetrics::new(follower.checkpointer.floors()).with_shards(1);
        metrics.log_ends(&Snapshot::from_iter([(ONE, 7)]), Duration::ZERO);
        metrics.record(Duration::ZERO);
    });
    let (documented, found) = (documented(), recorder.rows());
    let only = |a: &BTreeSet<[String; 4]>, b: &BTreeSet<[String; 4]>| {
        a.difference(b).cloned().collect::<Vec<_>>()
    };
    assert_eq!((only(&documented, &found), only(&found, &documented)), Default::default());
    assert!(found.len() > 20);
}

/// Asserts that a checkpoint of mark 9 after two saves is counted with this outcome, once, and that
/// nothing else is.
fn counts(outcome: &str, checkpoint: impl FnOnce(&Scripted, &mut repl_checkpoint::Recovered)) {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    follower.state.advance(ONE, 5);
    save(&mut follower.checkpointer);
    save(&mut follower.checkpointer);
    let recorder = Recorded::default();
    recorder.run(|| checkpoint(&store, &mut follower));
    let expected = [(format!("repl_checkpoints_total{{outcome={outcome:?}}}"), 1)];
    assert_eq!(recorder.counters("repl_checkpoints_total"), expected);
}

#[test]
fn each_checkpoint_is_counted_once_by_its_outcome() {
    let fails = |outcome| {
        move |store: &Scripted, follower: &mut repl_checkpoint::Recovered| {
            follower.state.advance(ONE, 9);
            store.fail_next(&[outcome]);
            let checkpoint = || follower.checkpointer.checkpoint(durable).unwrap_err();
            assert!(
                catch_unwind(AssertUnwindSafe(checkpoint)).is_ok()
                    || matches!(outcome, Outcome::Panic)
            );
        }
    };
    counts("unchanged", |_, follower| {
        assert_eq!(follower.checkpointer.checkpoint(durable).unwrap(), Saved::Unchanged);
    });
    counts("unchanged", |_, follower| {
        follower.state.advance(ONE, 9);
        let mut attempt = begun(&mut follower.checkpointer);
        attempt.lower(ONE, 5);
        assert_eq!(follower.checkpointer.save(attempt).unwrap(), Saved::Unchanged);
    });
    counts("whole", |_, follower| {
        follower.state.advance(ONE, 9);
        save(&mut follower.checkpointer);
    });
    counts("flush_failed", |_, follower| {
        follower.state.advance(ONE, 9);
        follower.checkpointer.checkpoint(|_| Err("no room".into())).unwrap_err();
    });
    counts("dropped", |_, follower| {
        follower.state.advance(ONE, 9);
        drop(begun(&mut follower.checkpointer));
    });
    counts("dropped", |_, follower| {
        follower.state.advance(ONE, 9);
        let checkpoint = || drop(follower.checkpointer.checkpoint(|_| panic!("in the flush")));
        catch_unwind(AssertUnwindSafe(checkpoint)).unwrap_err();
    });
    counts("refused", |_, follower| {
        follower.state.advance(ONE, 9);
        let mut attempt = begun(&mut follower.checkpointer);
        attempt.lower(ONE, 4);
        follower.checkpointer.save(attempt).unwrap_err();
    });
    counts("failed", fails(Outcome::NotSaved));
    counts("in_doubt", fails(Outcome::InDoubt));
    counts("panicked", fails(Outcome::Panic));
}

#[test]
fn a_checkpoint_after_one_in_doubt_is_counted_as_poisoned() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1]);
    store.fail_next(&[Outcome::InDoubt]);
    follower.checkpointer.checkpoint(durable).unwrap_err();
    let recorder = Recorded::default();
    recorder.run(|| follower.checkpointer.checkpoint(durable).unwrap_err());
    let expected = [(r#"repl_checkpoints_total{outcome="poisoned"}"#.to_owned(), 1)];
    assert_eq!(recorder.counters("repl_checkpoints_total"), expected);
}

#[test]
fn bytes_and_phases_are_those_of_the_reports() {
    let dir = tempfile::tempdir().unwrap();
    let shards: Vec<u64> = (1..=100).collect();
    let mut follower = recovered_from::<SlotStore>(dir.path(), &shards);
    let recorder = Recorded::default();
    let mut bytes = [0, 0];
    recorder.run(|| {
        for seqno in 1..=4 {
            follower.state.advance(ONE, seqno);
            match follower.checkpointer.checkpoint(durable).unwrap() {
                Saved::Written(report) => bytes[usize::from(report.is_delta())] += report.bytes,
                Saved::Unchanged => panic!("a mark has moved"),
            }
        }
    });
    assert!(bytes.iter().all(|bytes| *bytes > 0), "both whole ones and deltas: {bytes:?}");
    let saved = ["whole", "delta"]
        .map(|outcome| format!("repl_checkpoint_bytes_total{{outcome={outcome:?}}}"))
        .map(|key| recorder.count(&key).unwrap());
    assert_eq!(saved, bytes);
    for phase in ["flush", "encode", "store"] {
        let key = format!("repl_checkpoint_duration_seconds{{phase={phase:?}}}");
        assert_eq!(recorder.count(&key), Some(4), "{phase}");
    }
}

#[test]
fn each_recovery_is_counted_by_where_its_marks_come_from() {
    let dir = tempfile::tempdir().unwrap();
    let counted = |origin: &str, recovery: &dyn Fn()| {
        let recorder = Recorded::default();
        recorder.run(recovery);
        let expected = [(format!("repl_recoveries_total{{origin={origin:?}}}"), 1)];
        assert_eq!(recorder.counters("repl_recoveries_total"), expected);
    };
    counted("fresh", &|| {
        let mut follower = recovered(dir.path(), &[1]);
        save(&mut follower.checkpointer);
        follower.state.advance(ONE, 5);
        save(&mut follower.checkpointer);
    });
    counted("resumed", &|| drop(recovered(dir.path(), &[1])));
    let bytes = fs::read(file(dir.path(), 2)).unwrap();
    fs::write(file(dir.path(), 2), &bytes[1..]).unwrap();
    counted("failed", &|| drop(try_recover(dir.path(), &[1], OnCorrupt::Fail).unwrap_err()));
    counted("fell_back", &|| {
        recover(file_store(dir.path()), JsonCodec, &[ONE], OnCorrupt::FallBack).unwrap();
    });
}
