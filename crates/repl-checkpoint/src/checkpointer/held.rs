//! What the store holds of the saves of this process.

use repl_core::ShardId;

use super::Written;
use crate::changes::{Changes, union};
use crate::content::Content;
use crate::ids::Generation;

/// The last two saves since the store was opened.
#[derive(Debug, Default)]
pub(super) struct Held {
    newest: Option<Written>,
    previous: Option<Written>,
    /// The shards that differ between the two, ascending; `None` if they are too many.
    between: Option<Vec<ShardId>>,
    /// Whether the two hold the same.
    is_repeated: bool,
}

impl Held {
    pub(super) fn newest(&self) -> Option<&Content> {
        self.newest.as_ref().map(|newest| &newest.content)
    }

    pub(super) fn previous(&self) -> Option<&Content> {
        self.previous.as_ref().map(|previous| &previous.content)
    }

    /// Whether both hold the same.
    pub(super) fn is_repeated(&self) -> bool {
        self.is_repeated
    }

    /// Adds a save that the store has acknowledged, and what it changed since the newest one.
    pub(super) fn push(&mut self, written: Written, changes: Changes) {
        self.previous = self.newest.replace(written);
        let is_second = self.previous.is_some();
        self.between = changes.shards.filter(|_| is_second);
        self.is_repeated = is_second && changes.is_empty;
    }

    /// The save before the newest, if it is of `generation`, and the shards that differ from it
    /// after `changes` since the newest; `None` if it is not or they are too many.
    pub(super) fn since_previous(
        &self,
        generation: Generation,
        changes: &Changes,
    ) -> Option<(&Content, Vec<ShardId>)> {
        let is_it = |written: &&Written| written.header.generation == generation;
        let previous = self.previous.as_ref().filter(is_it)?;
        let shards = union(changes.shards.as_ref()?, self.between.as_ref()?);
        Some((&previous.content, shards))
    }

    /// No delta is saved from now on until a whole checkpoint is.
    pub(super) fn end_deltas(&mut self) {
        self.between = None;
    }
}
