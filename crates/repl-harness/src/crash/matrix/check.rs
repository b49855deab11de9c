//! Checks what must hold after a call has failed.

use std::sync::Arc;

use repl_checkpoint::{Candidate, JsonCodec, OnCorrupt, SaveError, recover};

use super::scenario::{SHARD, Scenario, mark_of, save, sealed};
use super::{AnyStore, Outcome, Subject};
use crate::crash::disk::{FileNode, SimDisk};
use crate::crash::fault::Fault;
use crate::crash::layout::is_temp;

/// A call that fails, and the expected outcome.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    pub(super) fault: Fault,
    pub(super) expected: Outcome,
}

/// One case of the matrix under test.
pub(super) struct Check<'a> {
    pub(super) subject: &'a Subject<'a>,
    scenario: Scenario,
    /// The number of disks that were recovered from.
    pub(super) images: u64,
}

impl<'a> Check<'a> {
    pub(super) fn new(subject: &'a Subject<'a>, scenario: Scenario) -> Self {
        Check { subject, scenario, images: 0 }
    }

    /// Runs one case.
    ///
    /// # Errors
    /// What was observed, if that is not what was expected.
    pub(super) fn case(&mut self, Case { fault, expected }: Case) -> Result<(), String> {
        let (disk, store) = self.scenario.prepared(self.subject)?;
        disk.fail(Some(fault));
        let done = self.scenario.run(self.subject, &disk, store, Some(fault.kind))?;
        if !disk.has_failed() {
            return Err("the call was not made".to_owned());
        }
        if done.outcome != expected {
            return Err(format!("{:?}, not {expected:?}", done.outcome));
        }
        let old = self.scenario.acknowledged();
        let new = old + 1;
        let possible = match expected {
            Outcome::NotSaved(_) => vec![old],
            Outcome::InDoubt(_) => vec![old, new],
            _ if self.scenario.is_save() => vec![new],
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
                self.next_process(&disk, new + 1, old)
            }
            (Some(store), _) => {
                let confirmed = possible[0];
                self.saves(store, &disk, new + 1, confirmed)
            }
            (None, _) => self.next_process(&disk, new, old),
        }
    }

    /// Another process opens the store on the same disk and saves.
    fn next_process(
        &mut self,
        disk: &SimDisk,
        generation: u64,
        confirmed: u64,
    ) -> Result<(), String> {
        let store = (self.subject.open)(disk).map_err(|err| format!("the next open: {err}"))?;
        self.saves(store, disk, generation, confirmed)
    }

    /// Checks that the next save succeeds and keeps the confirmed generation.
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
        let found: Vec<Candidate> = found.collect();
        let newest = found.first().and_then(|candidate| candidate.bytes.as_deref().ok());
        if newest != Some(&sealed(generation, confirmed, false)) {
            return Err("the next save is not found as it was written".to_owned());
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

    /// Checks that a process finds one of these generations, whether it begins with the cache or
    /// after a power cut.
    pub(super) fn everywhere(&mut self, disk: &SimDisk, possible: &[u64]) -> Result<(), String> {
        for (how, image) in images(disk)? {
            self.found(&image, possible, OnCorrupt::Fail)
                .map_err(|what| format!("after {how}: {what}"))?;
        }
        Ok(())
    }

    pub(super) fn found(
        &mut self,
        disk: &SimDisk,
        possible: &[u64],
        on_corrupt: OnCorrupt,
    ) -> Result<(), String> {
        self.images += 1;
        let store = (self.subject.open)(disk).map_err(|err| err.to_string())?;
        let temp = |path: &std::path::PathBuf| is_temp(path.as_os_str());
        if disk.files().keys().any(temp) {
            return Err("a temporary file exists after an open".to_owned());
        }
        let follower = recover(store, JsonCodec, &[SHARD], on_corrupt);
        let follower = follower.map_err(|err| err.to_string())?;
        let mark = follower.state.applied_seqno(SHARD);
        if possible.iter().any(|generation| mark == Some(mark_of(*generation))) {
            return Ok(());
        }
        Err(format!("the mark {mark:?} is found, and only generations {possible:?} are possible"))
    }
}

/// What the death of the process and a power cut may leave.
pub(super) fn images(disk: &SimDisk) -> Result<Vec<(&'static str, SimDisk)>, String> {
    let some = |file: &FileNode, is_unread: bool| {
        let contents =
            if is_unread { vec![file.cached().clone()] } else { file.some_after_power_cut() };
        Arc::new(contents.into_iter().map(|content| (content, 1)).collect())
    };
    let cuts = disk.state().after_power_cut(&some);
    let cuts = cuts.map_err(|_| "too many changes of a directory".to_owned())?;
    let cuts = cuts.into_iter().map(|(image, _)| ("a power cut", SimDisk::of(image)));
    Ok([("the process died", disk.after_process_death())].into_iter().chain(cuts).collect())
}
