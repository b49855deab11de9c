//! The second step: what is written, and what moves once it is.

use std::sync::Arc;

use repl_core::Snapshot;

use super::{CheckpointError, Checkpointer, Written};
use crate::changes::{Below, Changes};
use crate::content::Content;
use crate::envelope::Header;
use crate::ids::Generation;
use crate::store::{Save, SaveError};

/// A save that is ready for the store.
pub(super) struct Prepared {
    written: Written,
    /// What it changes since the last save.
    changes: Changes,
    /// A whole checkpoint, or a delta on `base`.
    bytes: Vec<u8>,
    base: Option<Generation>,
}

impl Checkpointer {
    /// What `marks` change since the last save, or since what was recovered.
    pub(super) fn changes(&self, marks: &Snapshot) -> Changes {
        Changes::between(&self.base.content.marks, marks, self.most_changes())
    }

    /// Whether the last two saves since the store was opened hold exactly the marks with these
    /// changes since the last one.
    pub(super) fn is_saved(&self, changes: &Changes) -> bool {
        // An orphan that is tracked by now, and was not saved as such, is a change.
        let newest = self.held.newest();
        let same_orphans =
            newest.is_some_and(|newest| Arc::ptr_eq(&newest.orphaned, &self.orphaned));
        same_orphans && self.held.is_repeated() && changes.is_empty
    }

    /// What to write of `marks`; `None` if the last two saves hold exactly that.
    pub(super) fn prepared(
        &mut self,
        marks: Snapshot,
        mut changes: Changes,
    ) -> Result<Option<Prepared>, CheckpointError> {
        if let Some(Below { shard, saved, lowered }) = changes.below {
            return Err(CheckpointError::BelowLastSave { shard, saved, lowered });
        }
        if self.is_saved(&changes) {
            return Ok(None);
        }
        let generation = self.attempted.checked_add(1).ok_or(CheckpointError::NoGenerationLeft)?;
        let header = Header { store: self.store_id, generation, confirmed: self.confirmed };
        let content = Content { orphaned: self.orphans_beside(&marks), marks: Arc::new(marks) };
        if let Some(newest) = self.held.newest() {
            changes.add_orphans(&newest.orphaned, &content.orphaned);
        }
        let (base, bytes) = match self.delta(header, &content, &changes)? {
            Some((base, bytes)) => (Some(base), bytes),
            None => (None, self.whole(header, &content)?),
        };
        Ok(Some(Prepared { written: Written { header, content }, changes, bytes, base }))
    }

    fn whole(&self, header: Header, content: &Content) -> Result<Vec<u8>, CheckpointError> {
        // About as long as the last one: room that is not needed is memory that is not there.
        let room = self.whole_length + self.whole_length / 16;
        Ok(content.rows().seal_with_room(&*self.codec, header, room)?)
    }

    /// Gives the bytes to the store, and moves the floors. `saving` is called before the first
    /// write.
    pub(super) fn store(
        &mut self,
        save: Prepared,
        saving: impl FnOnce(),
    ) -> Result<(Generation, Option<Generation>, u64), CheckpointError> {
        let Some(store) = &mut self.store else {
            let doubt = "the store is closed".to_owned();
            return Err(CheckpointError::Poisoned { doubt });
        };
        let Prepared { written, changes, bytes, base } = save;
        let Header { generation, confirmed, .. } = written.header;
        self.attempted = generation;
        self.doubtful = Some(written.clone());
        saving();
        let saved = store.get_mut().save(Save { generation, confirmed, bytes: &bytes, base }); // 3
        if !saved.as_ref().is_err_and(SaveError::is_poisoning) {
            self.doubtful = None;
        }
        if saved.is_err() && base.is_some() {
            self.held.end_deltas(); // a store that refuses deltas gets a whole checkpoint
        }
        saved?;
        self.confirmed = generation;
        if base.is_none() {
            self.whole_length = bytes.len();
        }
        self.orphaned = Arc::clone(&written.content.orphaned);
        self.held.push(written.clone(), changes);
        self.shared.saved(written.content.clone(), self.held.previous().cloned()); // 4
        self.acknowledged = written.clone();
        self.base = written;
        Ok((generation, base, bytes.len() as u64))
    }
}
