//! A follower with either store, which returns each outcome as one line.

use std::io;
use std::path::Path;
use std::sync::Arc;

use repl_checkpoint::{
    CheckpointError, JsonCodec, LoadError, OnCorrupt, OpenStoreError, RecoverErrorKind, Recovered,
    SaveError, SaveReport, Saved, Source, recover,
};
use repl_core::{NewShard, SeqNo, ShardId};

use super::{AnyStore, chain, durable};

pub(crate) const ONE: ShardId = ShardId(1);

/// More shards than fit a slot that was laid out for one.
const MORE: std::ops::Range<u64> = 100..400;

/// A follower of one shard.
pub(crate) struct Follower(pub(crate) Recovered);

impl Follower {
    /// Opens a directory, and recovers with `OnCorrupt::Fail`.
    pub(crate) fn open<S: AnyStore>(dir: &Path) -> Result<Self, String> {
        Self::recovered(S::open_at(dir).map_err(|e| refusal(&e))?, OnCorrupt::Fail)
    }

    pub(crate) fn recovered(store: impl AnyStore, on_corrupt: OnCorrupt) -> Result<Self, String> {
        recover(store, JsonCodec, &[ONE], on_corrupt).map(Follower).map_err(|error| {
            match error.kind() {
                RecoverErrorKind::Corrupt { older: Some((generation, _)), .. } => {
                    format!("corrupt, {generation} is whole")
                }
                RecoverErrorKind::Corrupt { older: None, .. } => {
                    "corrupt, none is whole".to_owned()
                }
                RecoverErrorKind::Load(LoadError::Slots { reason, .. }) => {
                    format!("refused: {reason:?}")
                }
                RecoverErrorKind::Load(LoadError::Vanished { .. }) => "vanished".to_owned(),
                other => panic!("{other}"),
            }
        })
    }

    /// The checkpoint that its marks come from.
    pub(crate) fn origin(&self) -> String {
        origin(&self.0.report.source)
    }

    pub(crate) fn mark(&self) -> SeqNo {
        self.0.state.applied_seqno(ONE).unwrap()
    }

    /// Advances and saves.
    pub(crate) fn save(&mut self, mark: SeqNo) -> String {
        self.0.state.advance(ONE, mark);
        match self.0.checkpointer.checkpoint(durable) {
            Ok(Saved::Written(SaveReport { generation, .. })) => format!("saved {generation}"),
            Ok(Saved::Unchanged) => "unchanged".to_owned(),
            Err(error) => failure(&error),
        }
    }

    /// Advances and saves; returns the whole message of a failure, without the unique part of a
    /// temporary name.
    pub(crate) fn fails(&mut self, mark: SeqNo) -> String {
        self.0.state.advance(ONE, mark);
        without_number(&chain(&self.0.checkpointer.checkpoint(durable).unwrap_err()))
    }

    /// Opens the store again, as an operator does after mending a fault. Checks that the same
    /// state and handles go on, no mark falls, and what is found promises nothing.
    pub(crate) fn reopen<S: AnyStore>(&mut self, dir: &Path) -> String {
        self.reopen_with(|| S::open_at(dir))
    }

    pub(crate) fn reopen_with<S: AnyStore>(
        &mut self,
        open: impl FnOnce() -> Result<S, OpenStoreError>,
    ) -> String {
        let (mark, handle) = (self.mark(), self.0.state.shard(ONE).unwrap());
        let (state, floors) = (Arc::clone(&self.0.state), self.0.checkpointer.floors());
        if let Err(error) = self.0.checkpointer.reopen(open) {
            assert_eq!((handle.applied(), self.mark()), (mark, mark));
            return without_number(&chain(&error));
        }
        assert!(Arc::ptr_eq(&state, self.0.checkpointer.state()));
        assert_eq!((handle.applied(), self.mark()), (mark, mark));
        handle.advance(mark + 1);
        assert_eq!(self.mark(), mark + 1);
        assert_eq!((floors.checkpointed(ONE), floors.retention_floor(ONE)), (None, None));
        "reopened".to_owned()
    }

    /// The checkpointed mark and the retention floor.
    pub(crate) fn floors(&self) -> (Option<SeqNo>, Option<SeqNo>) {
        let floors = self.0.checkpointer.floors();
        (floors.checkpointed(ONE), floors.retention_floor(ONE))
    }

    /// Tracks more shards, so that the next save needs more room.
    pub(crate) fn grow(&self) {
        let more: Vec<NewShard> = MORE.map(|id| NewShard::new(ShardId(id))).collect();
        self.0.state.add_shards(&more).unwrap();
    }

    pub(crate) fn shrink(&self) {
        MORE.for_each(|id| drop(self.0.state.remove_shard(ShardId(id))));
    }
}

/// The checkpoint that marks come from.
pub(crate) fn origin(source: &Source) -> String {
    match source {
        Source::Fresh => "fresh".to_owned(),
        Source::Resumed { generation } => format!("resumed at {generation}"),
        Source::FellBack { generation, damaged } => {
            format!("fell back to {generation} from {}", damaged.len())
        }
    }
}

/// The outcome of a failed save, with the call, the file and the reason.
fn failure(error: &CheckpointError) -> String {
    let error = match error {
        CheckpointError::Save(error) => error,
        CheckpointError::Poisoned { .. } => return "poisoned".to_owned(),
        other => panic!("{other}"),
    };
    let (known, act, path, source) = match error {
        SaveError::NotSaved { act, path, source } => ("not saved", act, path, source),
        SaveError::InDoubt { act, path, source } => ("in doubt", act, path, source),
        SaveError::Replaced { what, path } => {
            assert!(chain(error).contains(&format!("{what} {}", path.display())), "{error}");
            return format!("replaced: {what}");
        }
        other => panic!("{other}"),
    };
    named(&chain(error), path, source);
    format!("{known}: {act} {}: {}", place(path), reason(source))
}

/// The outcome of a failed open.
fn refusal(error: &OpenStoreError) -> String {
    match error {
        OpenStoreError::Io { act, path, source } => {
            named(&chain(error), path, source);
            format!("refused: {act} {}: {}", place(path), reason(source))
        }
        OpenStoreError::Locked { path: dir } => {
            assert!(error.to_string().contains(&dir.display().to_string()), "{error}");
            format!("locked: {}", dir.display())
        }
        OpenStoreError::OtherKind { file, expected, .. } => format!("{expected}'s: {file}"),
        other => panic!("{other}"),
    }
}

/// The message has the file and the reason too.
fn named(message: &str, path: &Path, source: &io::Error) {
    assert!(message.contains(&path.display().to_string()), "{message}");
    assert!(message.contains(&source.to_string()), "{message}");
}

/// The name of a file, without the unique part of a temporary name.
fn place(path: &Path) -> String {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    name.split_once(".temp-").map_or(name.clone(), |(of, _)| format!("{of}.temp"))
}

/// A message with `NAME.temp` in place of `NAME.temp-PROCESS-NUMBER`.
fn without_number(message: &str) -> String {
    let Some((before, after)) = message.split_once(".temp-") else { return message.to_owned() };
    let rest = after.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-');
    format!("{before}.temp{rest}")
}

fn reason(source: &io::Error) -> String {
    let name = match source.raw_os_error() {
        Some(1) => "EPERM",
        Some(4) => "EINTR",
        Some(5) => "EIO",
        Some(13) => "EACCES",
        Some(16) => "EBUSY",
        Some(24) => "EMFILE",
        Some(27) => "EFBIG",
        Some(28) => "ENOSPC",
        Some(30) => "EROFS",
        Some(122) => "EDQUOT",
        _ => return format!("{:?}", source.kind()),
    };
    name.to_owned()
}
