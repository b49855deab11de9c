//! The operations of a store during which a call fails.

use std::io;
use std::path::Path;

use repl_checkpoint::{
    Checkpoint, CorruptReason, DeltaHeader, Generation, Header, JsonCodec, LoadError, OnCorrupt,
    OpenStoreError, RecoverErrorKind, Save, SaveError, ShardCheckpoint, Source, recover,
};
use repl_core::{AppliedSet, Incarnation, ShardId, SnapshotEntry};

use super::{AnyStore, Outcome, Subject};
use crate::crash::disk::{Call, SimDisk};
use crate::crash::fault::FaultKind;
use crate::crash::kind::StoreKind;
use crate::crash::layout::{DIR, STORE_ID};

pub(super) const SHARD: ShardId = ShardId(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scenario {
    /// An open that creates its directory.
    Create,
    /// An open that finds checkpoints and a temporary file.
    Open,
    RecoverNothing,
    Recover,
    FallBack,
    /// The first save of a new store.
    SaveFirst,
    /// The first save of a process that found checkpoints.
    SaveFirstHere,
    /// A later save of a process: a `FileStore` removes older files, a `SlotStore` writes in place.
    SaveLater,
    /// A later save that no longer fits its slot.
    SaveLonger,
    SaveLongerFirstHere,
    /// A later save that is a delta.
    SaveDelta,
    /// The open within a reopen after a save in doubt.
    Reopen,
    /// The load within a reopen that finds this generation as the newest.
    Reload {
        newest: Generation,
        /// Whether it is that of the save in doubt.
        doubtful: bool,
    },
}

/// The result of a scenario.
pub(super) struct Done {
    pub(super) outcome: Outcome,
    /// The store, after a save.
    pub(super) store: Option<AnyStore>,
}

impl Scenario {
    pub(super) fn of(kind: StoreKind) -> &'static [Scenario] {
        const ALL: &[Scenario] = &[
            Scenario::Create,
            Scenario::Open,
            Scenario::RecoverNothing,
            Scenario::Recover,
            Scenario::FallBack,
            Scenario::SaveFirst,
            Scenario::SaveFirstHere,
            Scenario::SaveLater,
            Scenario::SaveLonger,
            Scenario::SaveLongerFirstHere,
            Scenario::SaveDelta,
        ];
        match kind {
            // Nothing can outgrow a file that is written anew, nor build on one.
            StoreKind::Files => &ALL[..8],
            StoreKind::Slots => ALL,
        }
    }

    pub(super) fn is_save(self) -> bool {
        use Scenario::{SaveFirst, SaveFirstHere, SaveLater, SaveLonger, SaveLongerFirstHere};
        matches!(self, SaveFirst | SaveFirstHere | SaveLater | SaveLonger | SaveLongerFirstHere)
            || self == Scenario::SaveDelta
    }

    /// The newest generation in the store.
    pub(super) fn acknowledged(self) -> Generation {
        match self {
            Scenario::Create | Scenario::RecoverNothing | Scenario::SaveFirst => 0,
            Scenario::Reload { newest, .. } => newest,
            _ => 3,
        }
    }

    /// The disk at the start, and the store unless the scenario opens it.
    pub(super) fn prepared(
        self,
        subject: &Subject<'_>,
    ) -> Result<(SimDisk, Option<AnyStore>), String> {
        let disk = SimDisk::new();
        let open = || (subject.open)(&disk).map_err(|err| err.to_string());
        if self == Scenario::Create {
            return Ok((disk, None));
        }
        let mut store = open()?;
        for generation in 1..=self.acknowledged() {
            let confirmed = generation - 1;
            save(&mut store, generation, confirmed, false).map_err(|err| err.to_string())?;
        }
        if matches!(self, Scenario::SaveLater | Scenario::SaveLonger | Scenario::SaveDelta) {
            return Ok((disk, Some(store)));
        }
        drop(store);
        let temp = match subject.kind {
            StoreKind::Files => "00000000000000000009.checkpoint.temp-1-0",
            StoreKind::Slots => "marks.slots.temp-1-0",
        };
        if self == Scenario::Open {
            let put = disk.put(&Path::new(DIR).join(temp), b"half");
            return put.map(|()| (disk, None)).map_err(|err| err.to_string());
        }
        let store = open()?;
        Ok((disk, Some(store)))
    }

    /// The calls that it makes if none fails.
    pub(super) fn calls(self, subject: &Subject<'_>) -> Result<Vec<Call>, String> {
        let (disk, store) = self.prepared(subject)?;
        disk.fail(None);
        self.run(subject, &disk, store, None)?;
        Ok(disk.calls())
    }

    /// Runs the scenario on a disk with this fault.
    pub(super) fn run(
        self,
        subject: &Subject<'_>,
        disk: &SimDisk,
        store: Option<AnyStore>,
        fault: Option<FaultKind>,
    ) -> Result<Done, String> {
        let outcome = match store {
            None => match (subject.open)(disk) {
                Ok(_) => succeeded(disk),
                Err(OpenStoreError::Io { act, source, .. }) => {
                    check_cause(fault, &source)?;
                    Outcome::NotOpened(act)
                }
                Err(other) => return Err(other.to_string()),
            },
            Some(store) if !self.is_save() => self.recovered(disk, store, fault)?,
            Some(mut store) => {
                let generation = self.acknowledged() + 1;
                let first_here =
                    matches!(self, Scenario::SaveFirstHere | Scenario::SaveLongerFirstHere);
                let confirmed = self.acknowledged() - u64::from(first_here);
                let long = matches!(self, Scenario::SaveLonger | Scenario::SaveLongerFirstHere);
                let saved = if self == Scenario::SaveDelta {
                    save_delta(&mut store, generation, confirmed)?
                } else {
                    save(&mut store, generation, confirmed, long)
                };
                let outcome = match saved {
                    Ok(()) => succeeded(disk),
                    Err(SaveError::NotSaved { act, source, .. }) => {
                        check_cause(fault, &source)?;
                        Outcome::NotSaved(act)
                    }
                    Err(SaveError::InDoubt { act, source, .. }) => {
                        check_cause(fault, &source)?;
                        Outcome::InDoubt(act)
                    }
                    Err(other) => return Err(other.to_string()),
                };
                return Ok(Done { outcome, store: Some(store) });
            }
        };
        Ok(Done { outcome, store: None })
    }

    fn recovered(
        self,
        disk: &SimDisk,
        store: AnyStore,
        fault: Option<FaultKind>,
    ) -> Result<Outcome, String> {
        let on_corrupt =
            if self == Scenario::FallBack { OnCorrupt::FallBack } else { OnCorrupt::Fail };
        let follower = match recover(store, JsonCodec, &[SHARD], on_corrupt) {
            Ok(follower) => follower,
            Err(error) => {
                return match error.kind() {
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
                };
            }
        };
        let (outcome, expected) = match &follower.report.source {
            Source::FellBack { damaged, .. } => {
                damaged.iter().try_for_each(|damaged| unread(fault, &damaged.reason))?;
                (Outcome::FellBack, self.acknowledged() - 1)
            }
            _ => (succeeded(disk), self.acknowledged()),
        };
        let mark = follower.state.applied_seqno(SHARD);
        if mark != Some(mark_of(expected)) {
            return Err(format!("{:?}, with the mark {mark:?}", follower.report.source));
        }
        Ok(outcome)
    }
}

/// The outcome of a success: the same call was made again, or not.
pub(super) fn succeeded(disk: &SimDisk) -> Outcome {
    let calls = disk.calls();
    let again = |pair: &[Call]| {
        let (failed, next) = (&pair[0], &pair[1]);
        // The second file that is created has a different name.
        let alike = failed.path == next.path || failed.verb == "create_new";
        failed.fault.is_some() && failed.verb == next.verb && alike
    };
    if calls.windows(2).any(again) { Outcome::TriedAgain } else { Outcome::Ignored }
}

/// Checks that an error keeps its cause.
pub(super) fn check_cause(fault: Option<FaultKind>, source: &io::Error) -> Result<(), String> {
    let same = match fault {
        Some(
            FaultKind::Errno(errno) | FaultKind::DoneBut(errno) | FaultKind::SyncLost { errno, .. },
        ) => source.raw_os_error() == Some(errno),
        Some(FaultKind::Short(_)) => source.kind() == io::ErrorKind::WriteZero,
        None => false,
    };
    if same { Ok(()) } else { Err(format!("the error has another cause: {source}")) }
}

pub(super) fn unread(fault: Option<FaultKind>, reason: &CorruptReason) -> Result<(), String> {
    match reason {
        CorruptReason::Read(source) => check_cause(fault, source),
        other => Err(other.to_string()),
    }
}

pub(super) fn save(
    store: &mut AnyStore,
    generation: Generation,
    confirmed: Generation,
    long: bool,
) -> Result<(), SaveError> {
    let bytes = sealed(generation, confirmed, long);
    store.save(Save { generation, confirmed, bytes: &bytes, base: None })
}

/// Saves a delta with the one shard; an error if the store takes none.
fn save_delta(
    store: &mut AnyStore,
    generation: Generation,
    confirmed: Generation,
) -> Result<Result<(), SaveError>, String> {
    let base = store.delta_base().ok_or("the store takes no delta")?;
    let header = Header { store: STORE_ID, generation, confirmed };
    let delta = DeltaHeader { header, base: base.generation, link: base.link };
    let changed = checkpoint(generation, false);
    let bytes = changed.rows().seal_delta(&JsonCodec, delta, &[]).unwrap_or_default();
    let base = Some(base.generation);
    Ok(store.save(Save { generation, confirmed, bytes: &bytes, base }))
}

/// The bytes of a generation, with other shards as padding if `padded`.
pub(super) fn sealed(generation: Generation, confirmed: Generation, padded: bool) -> Vec<u8> {
    let header = Header { store: STORE_ID, generation, confirmed };
    checkpoint(generation, padded).seal(&JsonCodec, header).unwrap_or_default()
}

fn checkpoint(generation: Generation, padded: bool) -> Checkpoint {
    let shard = |id| {
        let mark = if ShardId(id) == SHARD { mark_of(generation) } else { 7 };
        ShardCheckpoint::from(SnapshotEntry::new(ShardId(id), AppliedSet::up_to(mark)))
    };
    let shards = (1..if padded { 200 } else { 2 }).map(shard).collect();
    Checkpoint { next_incarnation: Incarnation(1), shards }
}

pub(super) fn mark_of(generation: Generation) -> u64 {
    generation * 10
}
