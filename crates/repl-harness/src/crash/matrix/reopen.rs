//! A store is opened again after a save in doubt, while a call fails.

use std::fmt;
use std::path::Path;

use repl_checkpoint::{
    CheckpointError, Checkpointer, Generation, JsonCodec, LoadError, OnCorrupt, OpenStoreError,
    RecoverErrorKind, Recovered, ReopenError, SaveError, Saved, recover,
};
use repl_core::ShardId;

use super::check::{Case, Check, images};
use super::scenario::{SHARD, Scenario, check_cause, mark_of, succeeded, unread};
use super::{Outcome, Subject, table};
use crate::crash::disk::{Call, SimDisk};
use crate::crash::fault::{Fault, FaultKind};
use crate::crash::layout::DIR;

/// A shard that no checkpoint holds.
const ABSENT: ShardId = ShardId(77);

/// The ways in which a call fails that leave different disks.
const WAYS: [FaultKind; 4] = [
    FaultKind::Errno(5),
    FaultKind::DoneBut(5),
    FaultKind::SyncLost { errno: 5, cache_survives: true },
    FaultKind::SyncLost { errno: 5, cache_survives: false },
];

/// The ways in which a call of a reopen fails here. All errors are tried in an open and a recovery.
pub(super) const REOPEN_FAILS: [FaultKind; 3] =
    [FaultKind::Errno(5), FaultKind::Errno(13), FaultKind::DoneBut(5)];

/// The save that is in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubtful {
    /// The first save of a new store.
    First,
    /// The first save of a process that found checkpoints.
    FirstHere,
    Later,
}

/// A save in doubt, and the call that failed.
pub(super) struct Doubt {
    save: Doubtful,
    verb: &'static str,
    fault: Fault,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Doubt { save, verb, fault } = self;
        write!(f, "reopen after {save:?}, where {verb} {}", fault.kind)
    }
}

impl Doubtful {
    /// The last acknowledged generation.
    fn acknowledged(self) -> Generation {
        if self == Doubtful::First { 0 } else { 3 }
    }

    /// A disk, and the checkpointer whose next save will be in doubt.
    fn prepared(self, subject: &Subject<'_>) -> Result<(SimDisk, Checkpointer), String> {
        let disk = SimDisk::new();
        let mut checkpointer = recovered(subject, &disk)?;
        for generation in 1..=self.acknowledged() {
            let saved = save(&mut checkpointer, generation);
            saved.map_err(|err| err.to_string())?;
        }
        if self == Doubtful::FirstHere {
            drop(checkpointer);
            checkpointer = recovered(subject, &disk)?;
        }
        Ok((disk, checkpointer))
    }

    /// The scenario whose rows say which calls leave its save in doubt.
    fn scenario(self) -> Scenario {
        match self {
            Doubtful::First => Scenario::SaveFirst,
            Doubtful::FirstHere => Scenario::SaveFirstHere,
            Doubtful::Later => Scenario::SaveLater,
        }
    }
}

impl Doubt {
    pub(super) fn all(subject: &Subject<'_>) -> Result<Vec<Doubt>, String> {
        let mut all = Vec::new();
        for doubtful in [Doubtful::First, Doubtful::FirstHere, Doubtful::Later] {
            let (disk, mut checkpointer) = doubtful.prepared(subject)?;
            disk.fail(None);
            let saved = save(&mut checkpointer, doubtful.acknowledged() + 1);
            saved.map_err(|err| err.to_string())?;
            let calls = disk.calls();
            for (number, call) in calls.iter().enumerate() {
                let before = &calls[..number];
                let cases = table::cases(subject.kind, doubtful.scenario(), before, call);
                for (_, kind, permanent, outcome) in cases {
                    // A directory has no pages to drop.
                    let is_same = call.verb == "sync_dir" && kind == WAYS[3];
                    let in_doubt = matches!(outcome, Outcome::InDoubt(_)) && !permanent;
                    if in_doubt && WAYS.contains(&kind) && !is_same {
                        let fault = Fault { call: number, kind, permanent };
                        all.push(Doubt { save: doubtful, verb: call.verb, fault });
                    }
                }
            }
        }
        Ok(all)
    }

    /// The disk and the checkpointer after the save in doubt.
    fn prepared(&self, subject: &Subject<'_>) -> Result<(SimDisk, Checkpointer), String> {
        let (disk, mut checkpointer) = self.save.prepared(subject)?;
        disk.fail(Some(self.fault));
        match save(&mut checkpointer, self.generation()) {
            Err(CheckpointError::Save(SaveError::InDoubt { .. })) => Ok((disk, checkpointer)),
            other => Err(format!("not in doubt: {other:?}")),
        }
    }

    /// Whether a save was acknowledged before.
    pub(super) fn has_older(&self) -> bool {
        self.save != Doubtful::First
    }

    fn generation(&self) -> Generation {
        self.save.acknowledged() + 1
    }

    /// The calls of a reopen if none fails, those of the open and those of the load.
    pub(super) fn calls(&self, subject: &Subject<'_>) -> Result<Vec<(Scenario, Call)>, String> {
        let (disk, mut checkpointer) = self.prepared(subject)?;
        disk.fail(None);
        let mut opened = 0;
        let reopened = checkpointer.reopen(|| {
            let store = (subject.open)(&disk);
            opened = disk.calls().len();
            store
        });
        reopened.map_err(|err| err.to_string())?;
        let calls = disk.calls();
        drop(checkpointer);
        let found = recovered(subject, &disk)?.state().applied_seqno(SHARD);
        let doubtful = found == Some(mark_of(self.generation()));
        let newest = self.save.acknowledged() + u64::from(doubtful);
        let scenario = |number| {
            if number < opened { Scenario::Reopen } else { Scenario::Reload { newest, doubtful } }
        };
        Ok(calls.into_iter().enumerate().map(|(number, call)| (scenario(number), call)).collect())
    }
}

impl Check<'_> {
    /// Runs one case of a reopen, and saves on.
    ///
    /// # Errors
    /// What was observed, if that is not what was expected.
    pub(super) fn reopen(
        &mut self,
        doubt: &Doubt,
        Case { fault, expected }: Case,
    ) -> Result<(), String> {
        let subject = self.subject;
        let (disk, mut checkpointer) = doubt.prepared(subject)?;
        disk.fail(Some(fault));
        let reopened = checkpointer.reopen(|| (subject.open)(&disk));
        if !disk.has_failed() {
            return Err("the call was not made".to_owned());
        }
        let outcome = outcome(&reopened, &disk, fault.kind)?;
        if outcome != expected {
            return Err(format!("{outcome:?}, not {expected:?}"));
        }
        let (old, new) = (doubt.save.acknowledged(), doubt.generation());
        disk.fail(None);
        if reopened.is_err() {
            self.everywhere(&disk, &[old, new])?;
            let refused = checkpointer.begin();
            if !matches!(refused, Err(CheckpointError::Poisoned { .. })) {
                return Err(format!("after a reopen that failed: {refused:?}"));
            }
            if let Some(call) = disk.calls().first() {
                return Err(format!("after a reopen that failed it calls {}", call.verb));
            }
            let again = checkpointer.reopen(|| (subject.open)(&disk));
            again.map_err(|err| format!("the next reopen: {err}"))?;
        }
        self.saves_on(&disk, &mut checkpointer, new + 1)
    }

    /// Damages the first save after a reopen: then the acknowledged one, or a later one, is found.
    /// That save must not remove it for the one in doubt, which may be gone.
    ///
    /// # Errors
    /// What was observed instead.
    pub(super) fn damage_after_reopen(&mut self, doubt: &Doubt) -> Result<(), String> {
        let subject = self.subject;
        let (disk, mut checkpointer) = doubt.prepared(subject)?;
        disk.fail(None);
        checkpointer.reopen(|| (subject.open)(&disk)).map_err(|err| err.to_string())?;
        let (old, new) = (doubt.save.acknowledged(), doubt.generation());
        save(&mut checkpointer, new + 1).map_err(|err| err.to_string())?;
        let newest = Path::new(DIR).join(format!("{:020}.checkpoint", new + 1));
        for (how, image) in images(&disk)? {
            image.put(&newest, b"damaged").map_err(|err| err.to_string())?;
            self.found(&image, &[old, new], OnCorrupt::FallBack)
                .map_err(|what| format!("after damage and {how}: {what}"))?;
        }
        Ok(())
    }

    /// Checks that the next saves succeed, and that floors wait for two of them.
    fn saves_on(
        &mut self,
        disk: &SimDisk,
        checkpointer: &mut Checkpointer,
        next: Generation,
    ) -> Result<(), String> {
        let floors = checkpointer.floors();
        let marks = |saves: u64| {
            let newest = (saves >= 1).then(|| mark_of(next + saves - 1));
            let floor = (saves >= 2).then(|| mark_of(next + saves - 2));
            (newest, floor, saves >= 2)
        };
        for saves in 0..=2 {
            let now = (
                floors.checkpointed(SHARD),
                floors.retention_floor(SHARD),
                floors.is_unreferenced(ABSENT),
            );
            if now != marks(saves) {
                return Err(format!("{saves} saves after the reopen: {now:?}"));
            }
            if saves == 2 {
                break;
            }
            match save(checkpointer, next + saves) {
                Ok(Saved::Written(report)) if report.generation == next + saves => {}
                other => return Err(format!("the next save: {other:?}")),
            }
        }
        self.everywhere(disk, &[next + 1])
    }
}

fn recovered(subject: &Subject<'_>, disk: &SimDisk) -> Result<Checkpointer, String> {
    let store = (subject.open)(disk).map_err(|err| err.to_string())?;
    let recovered = recover(store, JsonCodec, &[SHARD], OnCorrupt::FallBack);
    let Recovered { checkpointer, .. } = recovered.map_err(|err| err.to_string())?;
    Ok(checkpointer)
}

/// Saves the mark of a generation.
fn save(checkpointer: &mut Checkpointer, generation: Generation) -> Result<Saved, CheckpointError> {
    checkpointer.state().advance(SHARD, mark_of(generation));
    checkpointer.checkpoint(|_| Ok(()))
}

fn outcome(
    reopened: &Result<(), ReopenError>,
    disk: &SimDisk,
    fault: FaultKind,
) -> Result<Outcome, String> {
    let fault = Some(fault);
    match reopened {
        Ok(()) => Ok(succeeded(disk)),
        Err(ReopenError::Open(error)) => match error.downcast_ref() {
            Some(OpenStoreError::Io { act, source, .. }) => {
                check_cause(fault, source).map(|()| Outcome::NotOpened(act))
            }
            _ => Err(error.to_string()),
        },
        Err(ReopenError::Recover(kind)) => match &**kind {
            RecoverErrorKind::Load(LoadError::Io { act, source, .. }) => {
                check_cause(fault, source).map(|()| Outcome::NotLoaded(act))
            }
            RecoverErrorKind::Corrupt { newest, .. } => {
                unread(fault, &newest.reason).map(|()| Outcome::Damaged)
            }
            RecoverErrorKind::Refused { refused, .. } => {
                unread(fault, &refused.reason).map(|()| Outcome::Refused)
            }
            other => Err(other.to_string()),
        },
        Err(ReopenError::OtherCheckpoint { .. }) => Ok(Outcome::OtherFound),
        Err(other) => Err(other.to_string()),
    }
}
