//! A save of what has changed alone.

use repl_core::ShardId;

use super::Checkpointer;
use crate::changes::Changes;
use crate::checkpoint::Checkpoint;
use crate::content::Content;
use crate::envelope::{DeltaHeader, Header, SealError};
use crate::ids::Generation;
use crate::unshared::Unshared;

/// A store begins each delta at a multiple of so many bytes.
const SECTOR: usize = 512;

/// A row takes so many bytes at least, or the marks have few rows.
const FEW_BYTES: usize = 128;

impl Checkpointer {
    /// A delta of `content` and the generation that it builds on; `None` if all is to be saved.
    ///
    /// It builds on the save before the newest, which a torn write of it cannot damage.
    pub(super) fn delta(
        &mut self,
        header: Header,
        content: &Content,
        changes: &Changes,
    ) -> Result<Option<(Generation, Vec<u8>)>, SealError> {
        let store = self.store.as_mut().map(Unshared::get_mut);
        let Some(base) = store.and_then(|store| store.delta_base()) else {
            return Ok(None);
        };
        let Some((previous, shards)) = self.held.since_previous(base.generation, changes) else {
            return Ok(None);
        };
        let room = base.room.min(self.longest_delta());
        if shards.len() > self.most_rows(room) {
            return Ok(None);
        }
        let (rows, removed) = changed(content, previous, &shards);
        let header = DeltaHeader { header, base: base.generation, link: base.link };
        let bytes = rows.rows().seal_delta(&*self.codec, header, &removed)?;
        let padded = bytes.len().next_multiple_of(SECTOR);
        let fits = bytes.len() <= base.room && padded <= self.longest_delta();
        Ok(fits.then_some((base.generation, bytes)))
    }

    /// The largest number of changed shards that may be worth a delta.
    pub(super) fn most_changes(&self) -> usize {
        self.most_rows(self.longest_delta())
    }

    /// Half as long as a whole checkpoint: what is read at a start is at most about that longer, and
    /// a whole one is written soon.
    fn longest_delta(&self) -> usize {
        self.whole_length / 2
    }

    /// About how many rows have room in `bytes`. One row may be much longer than the others, so some
    /// more than the mean says.
    fn most_rows(&self, bytes: usize) -> usize {
        let rows = self.base.content.len().saturating_mul(bytes);
        rows.checked_div(self.whole_length).unwrap_or(0).max(bytes / FEW_BYTES)
    }
}

/// What becomes of some shards of `previous`: their rows in `content`, and those that are removed.
fn changed(
    content: &Content,
    previous: &Content,
    shards: &[ShardId],
) -> (Checkpoint, Vec<ShardId>) {
    let next_incarnation = content.marks.next_incarnation();
    let mut rows = Checkpoint { next_incarnation, shards: Vec::with_capacity(shards.len()) };
    let mut removed = Vec::new();
    for shard in shards {
        match content.row(*shard) {
            Some(row) => rows.shards.push(row),
            None if previous.names(*shard) => removed.push(*shard),
            None => {} // it came and went
        }
    }
    (rows, removed)
}
