//! The start of a shard: may the follower go on with this log from its mark?

use std::fs;
use std::io;
use std::path::Path;

use repl_core::{
    Epochs, LogBounds, NewShard, Progress, ReplicationState, SeqNo, Shard, ShardId, Verdict,
    reconcile,
};

use crate::engine::Paths;

/// The name of the file with the epochs of a log.
pub(crate) const EPOCHS: &str = "epochs";

/// Prints the verdict on the log of a shard, and fails unless the follower may go on. The shard has
/// the epochs of the log from then on.
///
/// `is_missing` says that no mark of the shard was ever saved.
pub(crate) fn begin(
    state: &ReplicationState,
    id: ShardId,
    is_missing: bool,
    paths: &Paths,
) -> io::Result<Shard> {
    let not_tracked = || io::Error::other(format!("shard {id} is not tracked"));
    let shard = state.shard(id).ok_or_else(not_tracked)?;
    let mark = shard.applied();
    let ours = match (is_missing, paths.table.exists()) {
        (true, false) => Progress::Nothing,
        (true, true) => Progress::DataWithoutMarks,
        (false, _) => state.progress(id).ok_or_else(not_tracked)?,
    };
    let log = bounds(&paths.log, mark)?;
    let verdict = reconcile(&ours, &log);
    eprintln!("follower: shard {id}: {verdict}");
    if !matches!(verdict, Verdict::Fresh | Verdict::Resume { .. }) {
        return Err(io::Error::other(format!("shard {id} cannot follow its log: {verdict}")));
    }
    if state.epochs(id).as_ref() == Some(&log.epochs) {
        return Ok(shard);
    }
    // What is applied is common to both.
    let new = NewShard::new(id).with_mark(mark).with_epochs(log.epochs);
    state.reset_shard(new).ok_or_else(not_tracked)
}

/// The segments and the epochs that a log has. One without a segment is as the floors left it: all
/// up to the mark is deleted.
fn bounds(log: &Path, mark: SeqNo) -> io::Result<LogBounds> {
    let segments = segments(log)?;
    let (first, last) = (segments.iter().min(), segments.iter().max());
    Ok(LogBounds {
        last_deleted: first.map_or(mark, |first| first.saturating_sub(1)),
        last: last.copied().unwrap_or(mark),
        epochs: epochs(log)?,
        ..LogBounds::default()
    })
}

/// The segments of a log, in any order.
pub(crate) fn segments(log: &Path) -> io::Result<Vec<SeqNo>> {
    let names = fs::read_dir(log)?.map(|entry| Ok(entry?.file_name()));
    let names = names.collect::<io::Result<Vec<_>>>()?;
    Ok(names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect())
}

fn epochs(log: &Path) -> io::Result<Epochs> {
    let text = fs::read_to_string(log.join(EPOCHS))?;
    Ok(serde_json::from_str(&text)?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use repl_checkpoint::Saved;
    use tempfile::TempDir;

    use crate::engine::Engine;
    use crate::follower::{self, SHARDS};
    use crate::leader::{Leader, log_of};
    use crate::verify;

    /// A follower that has applied and saved segment 20 of 20.
    fn followed() -> (TempDir, Leader) {
        let dir = tempfile::tempdir().unwrap();
        let leader = Leader::create(dir.path(), 7, 20).unwrap();
        let mut engine = Engine::open(dir.path(), &SHARDS).unwrap();
        engine.tables.iter().for_each(|table| table.follow(20).unwrap());
        assert!(engine.checkpoint().unwrap() != Saved::Unchanged);
        (dir, leader)
    }

    fn refused(dir: &TempDir) -> String {
        Engine::open(dir.path(), &SHARDS).err().unwrap().to_string()
    }

    #[test]
    fn a_log_that_has_deleted_segments_above_the_mark_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        Leader::create(dir.path(), 7, 3).unwrap();
        fs::remove_file(log_of(dir.path(), SHARDS[1]).join("1")).unwrap();
        let behind = "segments up to 0 are applied, but the log has deleted those up to 1: take";
        assert!(refused(&dir).contains(behind));

        let (dir, mut leader) = followed();
        leader.write_next().unwrap();
        leader.write_next().unwrap();
        for seqno in 1..=21 {
            fs::remove_file(log_of(dir.path(), SHARDS[2]).join(seqno.to_string())).unwrap();
        }
        let behind =
            "shard 3 cannot follow its log: segments up to 20 are applied, but the log has";
        assert!(refused(&dir).contains(behind));
    }

    #[test]
    fn a_file_with_the_number_0_stands_for_no_segment() {
        let (dir, mut leader) = followed();
        fs::write(log_of(dir.path(), SHARDS[0]).join("0"), "").unwrap();
        leader.write_next().unwrap();
        follower::run(dir.path(), 21, Engine::checkpoint).unwrap();
        assert_eq!(verify::check(dir.path(), &leader, true).unwrap().faults, [""; 0]);
    }

    #[test]
    fn a_tail_that_another_leader_replaces_has_diverged() {
        let (dir, mut leader) = followed();
        leader.take_over(15).unwrap();
        let diverged = "shard 1 cannot follow its log: applied segments above 14 differ";
        assert!(refused(&dir).contains(diverged), "{}", refused(&dir));
    }

    #[test]
    fn a_leader_that_goes_on_from_the_mark_is_followed_in_its_epoch() {
        let (dir, mut leader) = followed();
        leader.take_over(21).unwrap();
        leader.write_next().unwrap();
        follower::run(dir.path(), 21, Engine::checkpoint).unwrap();
        assert_eq!(verify::check(dir.path(), &leader, true).unwrap().faults, [""; 0]);
        let engine = Engine::open(dir.path(), &SHARDS).unwrap();
        let epochs = engine.checkpointer.state().epochs(SHARDS[0]).unwrap();
        assert_eq!(epochs.epoch_of(20), Some(1));
        assert_eq!(epochs.epoch_of(21), Some(2));
    }

    #[test]
    fn rows_without_a_mark_are_not_followed() {
        let (dir, _) = followed();
        fs::remove_dir_all(dir.path().join("marks")).unwrap();
        assert!(refused(&dir).contains("there is data, but no mark says how far it was applied"));
    }
}
