//! A background thread reports what each save wrote.

use std::sync::mpsc;
use std::time::Duration;

use repl_checkpoint::{
    Generation, JsonCodec, OnCorrupt, Recovered, SaveReport, Saved, Schedule, SlotStore, recover,
};
use repl_core::ShardId;

use super::all;
use crate::support::{STORE, durable};

/// The length of the record of a generation in a slot file, as its header says.
fn length(file: &[u8], generation: Generation) -> u64 {
    let text = String::from_utf8_lossy(file);
    let is_it = |record: &&str| record.contains(&format!(" generation={generation:020}"));
    let record = text.split("repl-checkpoint ").find(is_it).unwrap();
    let header = if record.starts_with("delta") { 272 } else { 197 };
    let (_, length) = record.split_once(" length=").unwrap();
    header + length[..20].parse::<u64>().unwrap()
}

#[test]
fn a_background_thread_reports_whole_checkpoints_and_deltas_with_their_lengths() {
    let dir = tempfile::tempdir().unwrap();
    let store = SlotStore::open(dir.path(), STORE).unwrap();
    let mut follower = recover(store, JsonCodec, &all()[..], OnCorrupt::Fail).unwrap();
    let (send, reports) = mpsc::channel();
    follower.checkpointer.on_save(move |report: &SaveReport| send.send(*report).unwrap());
    let Recovered { state, checkpointer, .. } = follower;
    let when = Schedule::every(Duration::from_secs(3600));
    let background = checkpointer.spawn(when, durable, |error| panic!("{error}")).unwrap();
    let mut deltas = Vec::new();
    for mark in 1..=4 {
        state.advance(ShardId(7), mark);
        let saved = background.save_and_wait().wait().unwrap();
        let report = reports.recv().unwrap();
        assert_eq!(saved, Saved::Written(report));
        let file = std::fs::read(dir.path().join("marks.slots")).unwrap();
        assert_eq!(report.bytes, length(&file, report.generation));
        deltas.push(report.is_delta());
    }
    assert_eq!(deltas, [false, false, true, true]);
    background.close().wait().unwrap();
}
