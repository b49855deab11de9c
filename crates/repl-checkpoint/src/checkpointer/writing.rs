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
pub(crate) struct Prepared {
    written: Written,
    /// What it changes since the last save.
    changes: Changes,
    /// A whole checkpoint, or a delta on `base`.
    bytes: Vec<u8>,
    base: Option<Generation>,
}

impl Prepared {
    pub(crate) fn generation(&self) -> Generation {
        self.written.header.generation
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// An attempt whose save is ready for the store.
pub(crate) struct Ready {
    pub(crate) pending: Pending,
    pub(crate) save: Prepared,
    pub(crate) times: Times,
}

/// How long a save takes.
pub(crate) struct Times {
    saving: Instant,
    flush_time: Duration,
}

impl Times {
    /// The report of a save that ends now.
    pub(crate) fn report(&self, save: &Acknowledged) -> SaveReport {
        let Acknowledged { generation, base, bytes } = *save;
        let save_time = self.saving.elapsed();
        SaveReport { generation, base, bytes, flush_time: self.flush_time, save_time }
    }
}

/// What an acknowledged save wrote.
pub(crate) struct Acknowledged {
    generation: Generation,
    base: Option<Generation>,
    bytes: u64,
}

impl Checkpointer {
    /// Saves an attempt, and reports what became of it.
    pub(super) fn save_attempt(&mut self, attempt: Attempt) -> Result<Saved, CheckpointError> {
        let mut observed = observe::Save::begin(self.store_id);
        let _span = observed.enter();
        let result = match self.ready(attempt, &mut observed) {
            Ok(Some(ready)) => self.save_ready(ready),
            Ok(None) => Ok(Saved::Unchanged),
            Err(error) => Err(error),
        };
        self.reported(observed, &result);
        result
    }

    /// Encodes an attempt; `None` if the last two saves hold exactly its marks.
    pub(crate) fn ready(
        &mut self,
        attempt: Attempt,
        observed: &mut observe::Save,
    ) -> Result<Option<Ready>, CheckpointError> {
        let Attempt { marks, changes, pending, flush } = attempt;
        let saving = Instant::now();
        let flush_time = saving.duration_since(pending.began());
        flush.succeeded(flush_time);
        pending.check(&self.shared).map_err(|why| match why {
            Unsaveable::OtherCheckpointer => CheckpointError::OtherCheckpointer,
            Unsaveable::Superseded => CheckpointError::Superseded,
            Unsaveable::Poisoned(doubt) => CheckpointError::Poisoned { doubt },
        })?;
        let times = Times { saving, flush_time };
        let changes = changes.unwrap_or_else(|| self.changes(&marks));
        let prepared = self.prepared(marks, changes);
        observed.encoded();
        match prepared {
            Ok(Some(save)) => Ok(Some(Ready { pending, save, times })),
            Ok(None) => {
                pending.succeeded();
                Ok(None)
            }
            Err(error) => {
                pending.failed(with_causes(&error), false);
                Err(error)
            }
        }
    }

    /// Reports what became of a save.
    pub(crate) fn reported(
        &mut self,
        observed: observe::Save,
        result: &Result<Saved, CheckpointError>,
    ) {
        match result {
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
    }

    fn save_ready(&mut self, ready: Ready) -> Result<Saved, CheckpointError> {
        let Ready { mut pending, save, times } = ready;
        match self.store(save, || pending.saving()) {
            Ok(acknowledged) => {
                pending.succeeded();
                Ok(Saved::Written(times.report(&acknowledged)))
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
    fn prepared(
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
    fn store(
        &mut self,
        save: Prepared,
        saving: impl FnOnce(),
    ) -> Result<Acknowledged, CheckpointError> {
        let Some(store) = &mut self.store else {
            let doubt = "the store is closed".to_owned();
            return Err(CheckpointError::Poisoned { doubt });
        };
        self.attempted = save.generation();
        self.doubtful = Some(save.written.clone());
        saving();
        let Header { generation, confirmed, .. } = save.written.header;
        let (bytes, base) = (&save.bytes[..], save.base);
        let saved = store.get_mut().save(Save { generation, confirmed, bytes, base }); // 3
        if !saved.as_ref().is_err_and(SaveError::is_poisoning) {
            self.doubtful = None;
        }
        if saved.is_err() && base.is_some() {
            self.held.end_deltas(); // a store that refuses deltas gets a whole checkpoint
        }
        saved?;
        Ok(self.acknowledge(save))
    }

    /// A remote store gets a save now: its generation is used.
    pub(crate) fn sending(&mut self, save: &Prepared) {
        self.attempted = save.generation();
    }

    /// A store holds a save: moves the floors.
    pub(crate) fn acknowledge(&mut self, save: Prepared) -> Acknowledged {
        let Prepared { written, changes, bytes, base } = save;
        let Header { generation, .. } = written.header;
        self.confirmed = generation;
        if base.is_none() {
            self.whole_length = bytes.len();
        }
        self.orphaned = Arc::clone(&written.content.orphaned);
        self.held.push(written.clone(), changes);
        self.shared.saved(written.content.clone(), self.held.previous().cloned()); // 4
        self.acknowledged = written.clone();
        self.base = written;
        Acknowledged { generation, base, bytes: bytes.len() as u64 }
    }
}
