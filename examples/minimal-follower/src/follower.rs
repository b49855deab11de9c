//! The process that follows: a thread per shard applies, and this one takes checkpoints.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use repl_checkpoint::Saved;
use repl_core::{SeqNo, ShardId};

use crate::engine::Engine;

/// The shards. Each has a log of its own.
pub(crate) const SHARDS: [ShardId; 3] = [ShardId(1), ShardId(2), ShardId(3)];

/// The pause between two checkpoints. A longer one is less work, and more to replay after a crash.
const PAUSE: Duration = Duration::from_millis(5);

/// Follows all logs up to segment `until`; a real follower has no end.
///
/// `checkpoint` is [`Engine::checkpoint`], unless a test breaks it.
pub(crate) fn run(
    dir: &Path,
    until: SeqNo,
    mut checkpoint: impl FnMut(&mut Engine) -> io::Result<Saved>,
) -> io::Result<()> {
    let mut engine = Engine::open(dir, &SHARDS)?;
    let tables = engine.tables.iter().map(Arc::clone);
    let mut appliers: Vec<_> =
        tables.map(|table| thread::spawn(move || table.follow(until))).collect();
    loop {
        let at_end = appliers.is_empty();
        // Nothing to save: the last two saves hold the marks, so the floors have reached them too.
        if checkpoint(&mut engine)? == Saved::Unchanged && at_end {
            return Ok(());
        }
        for applier in appliers.extract_if(.., |applier| applier.is_finished()) {
            applier.join().map_err(|_| io::Error::other("a thread that applies panicked"))??;
        }
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::leader::Leader;
    use crate::verify;

    #[test]
    fn a_flush_that_failed_saves_nothing_and_finds_the_rows_again() {
        let dir = tempfile::tempdir().unwrap();
        let leader = Leader::create(dir.path(), 7, 3).unwrap();
        let mut engine = Engine::open(dir.path(), &SHARDS).unwrap();
        engine.tables.iter().for_each(|table| table.follow(3).unwrap());
        let in_the_way = dir.path().join("table-2.temp");
        fs::create_dir(&in_the_way).unwrap();
        engine.checkpoint().unwrap_err();
        assert_eq!(engine.checkpointer.floors().checkpointed(SHARDS[0]), Some(0));
        fs::remove_dir(in_the_way).unwrap();
        engine.checkpoint().unwrap();
        assert_eq!(verify::check(dir.path(), &leader, true).unwrap().faults, [""; 0]);
    }
}
