//! The second step: what is written, and what moves once it is.

use std::sync::Arc;

use repl_core::Snapshot;

use super::{CheckpointError, Checkpointer, Written};
use crate::content::Content;
use crate::envelope::Header;
use crate::ids::Generation;
use crate::store::{Save, SaveError};

impl Checkpointer {
    /// What to write of `marks`, and its bytes; `None` if the last two saves hold exactly that.
    pub(super) fn written(
        &self,
        marks: Snapshot,
    ) -> Result<Option<(Written, Vec<u8>)>, CheckpointError> {
        self.check_not_below(&marks)?;
        if self.holds(&marks) {
            return Ok(None);
        }
        let generation = self.attempted.checked_add(1).ok_or(CheckpointError::NoGenerationLeft)?;
        let header = Header { store: self.store_id, generation, confirmed: self.confirmed };
        let content = Content { orphaned: self.orphans_beside(&marks), marks: Arc::new(marks) };
        // About as long as the last one: room that is not needed is memory that is not there.
        let room = self.length + self.length / 16;
        let bytes = content.rows().seal_with_room(&*self.codec, header, room)?;
        Ok(Some((Written { header, content }, bytes)))
    }

    /// Gives the bytes to the store, and moves the floors. `saving` is called before the first
    /// write.
    pub(super) fn store(
        &mut self,
        written: Written,
        bytes: &[u8],
        saving: impl FnOnce(),
    ) -> Result<(Generation, u64), CheckpointError> {
        let Some(store) = &mut self.store else {
            let doubt = "the store is closed".to_owned();
            return Err(CheckpointError::Poisoned { doubt });
        };
        let Header { generation, confirmed, .. } = written.header;
        self.attempted = generation;
        self.doubtful = Some(written.clone());
        saving();
        let saved = store.get_mut().save(Save { generation, confirmed, bytes, base: None }); // 3
        if !saved.as_ref().is_err_and(SaveError::is_poisoning) {
            self.doubtful = None;
        }
        saved?;
        self.confirmed = generation;
        self.length = bytes.len();
        self.orphaned = Arc::clone(&written.content.orphaned);
        let [newest, previous] = &mut self.held;
        *previous = newest.replace(written.content.clone());
        self.shared.saved(written.content.clone(), previous.clone()); // 4
        self.acknowledged = written.clone();
        self.base = written;
        Ok((generation, bytes.len() as u64))
    }

    /// Whether the last two saves since the store was opened hold exactly these marks.
    pub(super) fn holds(&self, marks: &Snapshot) -> bool {
        // An orphan that is tracked by now, and was not saved as such, is no mark that they hold.
        let is = |content: &Option<Content>| {
            content.as_ref().is_some_and(|content| content.is(marks, &self.orphaned))
        };
        self.held.iter().all(is)
    }

    /// Checks that no mark is below the last save, within one incarnation of its shard.
    fn check_not_below(&self, marks: &Snapshot) -> Result<(), CheckpointError> {
        let base = &self.base.content.marks;
        let mut before = base.iter().peekable();
        for (shard, lowered) in marks {
            while before.next_if(|(old, _)| *old < shard).is_some() {}
            let Some((_, saved)) = before.next_if(|(old, _)| *old == shard) else {
                continue;
            };
            if lowered < saved && marks.incarnation(shard) == base.incarnation(shard) {
                return Err(CheckpointError::BelowLastSave { shard, saved, lowered });
            }
        }
        Ok(())
    }
}
