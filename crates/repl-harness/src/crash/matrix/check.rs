//! What must hold after a call has failed.

use std::sync::Arc;

use repl_checkpoint::{JsonCodec, OnCorrupt, SaveError, recover};

use super::act::{Act, SHARD, mark_of, save, sealed};
use super::{AnyStore, Outcome, Subject};
use crate::crash::disk::{FileNode, SimDisk};
use crate::crash::fault::Fault;

/// One case of the matrix under test.
pub(super) struct Check<'a> {
    subject: &'a Subject<'a>,
    act: Act,
    /// How many disks were recovered from.
    pub(super) images: u64,
}

impl<'a> Check<'a> {
    pub(super) fn new(subject: &'a Subject<'a>, act: Act) -> Self {
        Check { subject, act, images: 0 }
    }

    /// # Errors
    /// What was seen in place of what was expected.
    pub(super) fn case(&mut self, fault: Fault, expected: Outcome) -> Result<(), String> {
        let (disk, store) = self.act.prepared(self.subject)?;
        disk.fail(Some(fault));
        let done = self.act.run(self.subject, &disk, store, Some(fault.how))?;
        if !disk.has_failed() {
            return Err("the call was not made".to_owned());
        }
        if done.outcome != expected {
            return Err(format!("{:?}, not {expected:?}", done.outcome));
        }
        let old = self.act.acknowledged();
        let new = old + 1;
        let possible = match expected {
            Outcome::NotSaved(_) => vec![old],
            Outcome::InDoubt(_) => vec![old, new],
            _ if self.act.is_save() => vec![new],
            _ => vec![old],
        };
        self.everywhere(&disk, &possible)?;
        disk.fail(None);
        match (done.store, expected) {
            (Some(mut store), Outcome::InDoubt(_)) => {
                let refused = save(&mut store, new + 1, old, false);
                if !matches!(refused, Err(SaveError::Poisoned { .. })) {
                    return Err(format!("after a save in doubt: {refused:?}"));
                }
                if let Some(call) = disk.calls().first() {
                    return Err(format!("after a save in doubt it calls {}", call.verb));
                }
                drop(store);
                self.goes_on(&disk, new + 1, old)
            }
            (Some(store), _) => {
                let confirmed = possible[0];
                self.saves(store, &disk, new + 1, confirmed)
            }
            (None, _) => self.goes_on(&disk, new, old),
        }
    }

    /// Another process opens the store on the same disk, and saves.
    fn goes_on(&mut self, disk: &SimDisk, generation: u64, confirmed: u64) -> Result<(), String> {
        let store = (self.subject.open)(disk).map_err(|err| format!("the next open: {err}"))?;
        self.saves(store, disk, generation, confirmed)
    }

    /// The next save works, and leaves the confirmed generation beside it.
    fn saves(
        &mut self,
        mut store: AnyStore,
        disk: &SimDisk,
        generation: u64,
        confirmed: u64,
    ) -> Result<(), String> {
        let saved = save(&mut store, generation, confirmed, false);
        saved.map_err(|err| format!("the next save: {err}"))?;
        let found = store.load().map_err(|err| format!("the next load: {err}"))?;
        let newest = found.first().and_then(|candidate| candidate.bytes.as_deref().ok());
        if newest != Some(&sealed(generation, confirmed, false)) {
            return Err("the next save is not found as it was saved".to_owned());
        }
        let confirmed_is_kept = found
            .iter()
            .any(|candidate| candidate.generation == Some(confirmed) && candidate.bytes.is_ok());
        if confirmed > 0 && !confirmed_is_kept {
            return Err(format!("generation {confirmed} is not kept"));
        }
        drop(store);
        self.everywhere(disk, &[generation])
    }

    /// A process that begins with the cache finds one of these generations, and so does one that
    /// begins after a power cut.
    fn everywhere(&mut self, disk: &SimDisk, possible: &[u64]) -> Result<(), String> {
        self.found(&disk.after_process_death(), possible)
            .map_err(|what| format!("after the process died: {what}"))?;
        let some = |file: &FileNode, _: bool| {
            let contents = file.some_after_power_cut().into_iter().map(|content| (content, 1));
            Arc::new(contents.collect())
        };
        let images = disk.state().after_power_cut(&some);
        for (image, _) in images.map_err(|_| "too many changes of a directory".to_owned())? {
            self.found(&SimDisk::of(image), possible)
                .map_err(|what| format!("after a power cut: {what}"))?;
        }
        Ok(())
    }

    fn found(&mut self, disk: &SimDisk, possible: &[u64]) -> Result<(), String> {
        self.images += 1;
        let store = (self.subject.open)(disk).map_err(|err| err.to_string())?;
        let temp = |path: &std::path::PathBuf| path.to_string_lossy().contains(".temp-");
        if disk.files().keys().any(temp) {
            return Err("a temporary file outlives an open".to_owned());
        }
        let follower = recover(store, JsonCodec, &[SHARD], OnCorrupt::Fail);
        let follower = follower.map_err(|err| err.to_string())?;
        let mark = follower.state.applied_seqno(SHARD);
        if possible.iter().any(|generation| mark == Some(mark_of(*generation))) {
            return Ok(());
        }
        Err(format!("the mark {mark:?} is found, and of generations only {possible:?} may be"))
    }
}
