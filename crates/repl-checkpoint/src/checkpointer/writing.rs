//! The second step: what is written, and what moves once it is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use repl_core::Snapshot;

use super::{CheckpointError, Checkpointer, SaveReport, Saved, Written};
use crate::attempt::Attempt;
use crate::causes::with_causes;
use crate::changes::{Below, Changes};
use crate::content::Content;
use crate::envelope::Header;
use crate::ids::Generation;
use crate::observe::{self, Outcome};
use crate::shared::{Pending, Unsaveable};
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
    /// Saves an attempt, and reports what became of it.
    pub(super) fn save_attempt(&mut self, attempt: Attempt) -> Result<Saved, CheckpointError> {
        let Attempt { marks, changes, pending, flush } = attempt;
        let flush_time = pending.began().elapsed();
        flush.succeeded(flush_time);
        let mut observed = observe::Save::begin(self.store_id);
        let result = self.save_marks(marks, changes, pending, flush_time, &mut observed);
        match &result {
            Ok(Saved::Written(report)) => {
                let outcome = if report.is_delta() { Outcome::Delta } else { Outcome::Whole };
                observed.written(report.generation, report.bytes, outcome);
                if let Some(on_save) = &mut self.on_save {
                    on_save.get_mut()(report);
                }
            }
            Ok(Saved::Unchanged) => observed.unchanged(),
            Err(error) => observed.failed(error.outcome(), error),
        }
        result
    }

    fn save_marks(
        &mut self,
        marks: Snapshot,
        changes: Option<Changes>,
        mut pending: Pending,
        flush_time: Duration,
        observed: &mut observe::Save,
    ) -> Result<Saved, CheckpointError> {
        pending.check(&self.shared).map_err(|why| match why {
            Unsaveable::OtherCheckpointer => CheckpointError::OtherCheckpointer,
            Unsaveable::Superseded => CheckpointError::Superseded,
            Unsaveable::Poisoned(doubt) => CheckpointError::Poisoned { doubt },
        })?;
        let saving = Instant::now();
        let changes = changes.unwrap_or_else(|| self.changes(&marks));
        let prepared = self.prepared(marks, changes);
        observed.encoded();
        let store = |save| self.store(save, || pending.saving());
        match prepared.and_then(|save| save.map(store).transpose()) {
            Ok(Some((generation, base, bytes))) => {
                pending.succeeded();
                let save_time = saving.elapsed();
                let report = SaveReport { generation, base, bytes, flush_time, save_time };
                Ok(Saved::Written(report))
            }
            Ok(None) => {
                pending.succeeded();
                Ok(Saved::Unchanged)
            }
            Err(error) => {
                pending.failed(with_causes(&error), error.is_poisoning());
                Err(error)
            }
        }
    }

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
