//! Checks what a process has left on the disk.

use std::path::Path;

use example_support::{Error, files};
use repl_checkpoint::{Checkpoint, peek};
use repl_core::ShardId;

use crate::log::{self, Segment};
use crate::replica::{self, Entry, Map};
use crate::shards::{self, ShardList};

/// Checks that the data on the disk holds all up to the saved marks, and the logs the rest. At the
/// `end` the data must be equal to the logs, and nothing is left of removed shards.
///
/// Returns the faults, and the number of segments that are deleted from the logs of live shards.
pub(crate) fn check(root: &Path, seed: u64, end: bool) -> Result<(Vec<String>, u64), Error> {
    let list = ShardList::load(root)?;
    let saved = saved(root)?;
    let (mut deleted, mut faults) = (0, Vec::new());
    for shard in saved.iter().flat_map(|saved| &saved.shards).map(|saved| saved.shard) {
        if !list.live.contains(&shard) && !list.removed.contains(&shard) {
            faults.push(format!("shard {shard} has a mark, but is not in the list of shards"));
        }
    }
    for shard in (1..=list.ever).map(ShardId) {
        let marks = saved.iter().map(|saved| saved.shard(shard).map_or(0, |saved| saved.mark));
        let (lowest, mark) = (marks.clone().min().unwrap_or(0), marks.max().unwrap_or(0));
        let data: Map = files::load(&replica::file(root, shard))?.unwrap_or_default();
        let key = |seqno| Segment::of(seed, shard, seqno).key;
        let holds = |seqno| data.get(&key(seqno)).is_some_and(|entry| entry.seqno >= seqno);
        if let Some(lost) = (1..=mark).find(|seqno| !holds(*seqno)) {
            let fault = format!("segment {lost} of shard {shard} is lost: a saved mark is {mark}");
            faults.push(fault);
        }
        if list.live.contains(&shard) {
            let (kept_from, kept_to) = log::kept(&log::folder(root, shard))?;
            deleted += kept_from - 1;
            if kept_from > lowest + 1 || mark > kept_to {
                faults.push(format!(
                    "shard {shard} cannot go on: its saved marks are {lowest} and {mark}, and its \
                     log holds segments {kept_from} to {kept_to}"
                ));
            }
            if end && (mark < kept_to || data != expected(seed, shard, kept_to)) {
                faults.push(format!("the data of shard {shard} differ from its log"));
            }
        } else if end && shards::folder(root, shard).exists() {
            faults.push(format!("shard {shard} is removed, but its data or its log is there"));
        }
    }
    Ok((faults, deleted))
}

/// All checkpoints that a recovery could use: if the newest is damaged, it is an older one.
fn saved(root: &Path) -> Result<Vec<Checkpoint>, Error> {
    let paths = files::checkpoints_in(&root.join("marks"))?.into_iter();
    paths.map(|path| Ok(peek(path)?.checkpoint.ok_or("saved by another codec")?)).collect()
}

/// The data after the first segments of a log.
fn expected(seed: u64, shard: ShardId, last: u64) -> Map {
    let segments = (1..=last).map(|seqno| (seqno, Segment::of(seed, shard, seqno)));
    segments.map(|(seqno, Segment { key, value })| (key, Entry { seqno, value })).collect()
}
