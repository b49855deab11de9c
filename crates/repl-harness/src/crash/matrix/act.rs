//! What a store is doing when a call fails.

use std::io;
use std::path::Path;

use repl_checkpoint::{
    Checkpoint, CorruptReason, Generation, Header, JsonCodec, LoadError, OnCorrupt, OpenStoreError,
    RecoverError, Save, SaveError, ShardCheckpoint, Source, recover, seal,
};
use repl_core::{Incarnation, LogId, ShardId, SnapshotEntry};

use super::{AnyStore, Outcome, Subject};
use crate::crash::disk::{Call, SimDisk};
use crate::crash::fault::How;
use crate::crash::protocol::Store;
use crate::crash::protocol::{DIR, STORE};

pub(super) const SHARD: ShardId = ShardId(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// An open that creates its directory.
    Create,
    /// An open that finds checkpoints, and a temporary file.
    Open,
    RecoverNothing,
    Recover,
    FallBack,
    /// The first save of all.
    SaveFirst,
    /// The first save of a process that finds others.
    SaveFirstHere,
    /// A later one of a process: a `FileStore` has older ones to remove, a `SlotStore` writes in
    /// place.
    SaveLater,
    /// What is saved has outgrown its slot.
    SaveLonger,
    SaveLongerFirstHere,
}

/// What is left of it.
pub(super) struct Done {
    /// What was made of the fault, if the act got that far as to be one of those.
    pub(super) outcome: Outcome,
    /// The store, after a save.
    pub(super) store: Option<AnyStore>,
}

impl Act {
    pub(super) fn of(kind: Store) -> &'static [Act] {
        const ALL: &[Act] = &[
            Act::Create,
            Act::Open,
            Act::RecoverNothing,
            Act::Recover,
            Act::FallBack,
            Act::SaveFirst,
            Act::SaveFirstHere,
            Act::SaveLater,
            Act::SaveLonger,
            Act::SaveLongerFirstHere,
        ];
        match kind {
            // Its files are as long as what is saved.
            Store::Files => &ALL[..8],
            Store::Slots => ALL,
        }
    }

    pub(super) fn is_save(self) -> bool {
        use Act::{SaveFirst, SaveFirstHere, SaveLater, SaveLonger, SaveLongerFirstHere};
        matches!(self, SaveFirst | SaveFirstHere | SaveLater | SaveLonger | SaveLongerFirstHere)
    }

    /// The newest generation that was acknowledged before it.
    pub(super) fn acknowledged(self) -> Generation {
        match self {
            Act::Create | Act::RecoverNothing | Act::SaveFirst => 0,
            _ => 3,
        }
    }

    /// A disk as the act finds it, and the store unless the act is to open it.
    pub(super) fn prepared(
        self,
        subject: &Subject<'_>,
    ) -> Result<(SimDisk, Option<AnyStore>), String> {
        let disk = SimDisk::new();
        let open = || (subject.open)(&disk).map_err(|err| err.to_string());
        if self == Act::Create {
            return Ok((disk, None));
        }
        let mut store = open()?;
        for generation in 1..=self.acknowledged() {
            let confirmed = generation - 1;
            save(&mut store, generation, confirmed, false).map_err(|err| err.to_string())?;
        }
        if matches!(self, Act::SaveLater | Act::SaveLonger) {
            return Ok((disk, Some(store)));
        }
        drop(store);
        let temp = match subject.kind {
            Store::Files => "00000000000000000009.checkpoint.temp-1-0",
            Store::Slots => "marks.slots.temp-1-0",
        };
        if self == Act::Open {
            let put = disk.put(&Path::new(DIR).join(temp), b"half");
            return put.map(|()| (disk, None)).map_err(|err| err.to_string());
        }
        let store = open()?;
        Ok((disk, Some(store)))
    }

    /// The calls that it makes where none fails.
    pub(super) fn calls(self, subject: &Subject<'_>) -> Result<Vec<Call>, String> {
        let (disk, store) = self.prepared(subject)?;
        disk.fail(None);
        self.run(subject, &disk, store, None)?;
        Ok(disk.calls())
    }

    /// Does it; `how` is the fault that it meets.
    pub(super) fn run(
        self,
        subject: &Subject<'_>,
        disk: &SimDisk,
        store: Option<AnyStore>,
        how: Option<How>,
    ) -> Result<Done, String> {
        let outcome = match store {
            None => match (subject.open)(disk) {
                Ok(_) => well(disk),
                Err(OpenStoreError::Io { act, source, .. }) => {
                    says(how, &source)?;
                    Outcome::NotOpened(act)
                }
                Err(other) => return Err(other.to_string()),
            },
            Some(store) if !self.is_save() => self.recovered(disk, store, how)?,
            Some(mut store) => {
                let generation = self.acknowledged() + 1;
                let first_here = matches!(self, Act::SaveFirstHere | Act::SaveLongerFirstHere);
                let confirmed = self.acknowledged() - u64::from(first_here);
                let long = matches!(self, Act::SaveLonger | Act::SaveLongerFirstHere);
                let outcome = match save(&mut store, generation, confirmed, long) {
                    Ok(()) => well(disk),
                    Err(SaveError::NotSaved { act, source, .. }) => {
                        says(how, &source)?;
                        Outcome::NotSaved(act)
                    }
                    Err(SaveError::InDoubt { act, source, .. }) => {
                        says(how, &source)?;
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
        how: Option<How>,
    ) -> Result<Outcome, String> {
        let on_corrupt = if self == Act::FallBack { OnCorrupt::FallBack } else { OnCorrupt::Fail };
        let follower = match recover(store, JsonCodec, &[SHARD], on_corrupt) {
            Ok(follower) => follower,
            Err(RecoverError::Load(LoadError::Io { act, source, .. })) => {
                return says(how, &source).map(|()| Outcome::NotLoaded(act));
            }
            Err(RecoverError::Corrupt { newest, .. }) => {
                return unread(how, &newest.reason).map(|()| Outcome::Damaged);
            }
            Err(RecoverError::Refused { refused, .. }) => {
                return unread(how, &refused.reason).map(|()| Outcome::Refused);
            }
            Err(other) => return Err(other.to_string()),
        };
        let (outcome, expected) = match &follower.found.origin {
            Source::FellBack { damaged, .. } => {
                damaged.iter().try_for_each(|damaged| unread(how, &damaged.reason))?;
                (Outcome::FellBack, self.acknowledged() - 1)
            }
            _ => (well(disk), self.acknowledged()),
        };
        let mark = follower.state.applied_seqno(SHARD);
        if mark != Some(mark_of(expected)) {
            return Err(format!("{:?}, with the mark {mark:?}", follower.found.origin));
        }
        Ok(outcome)
    }
}

/// All went well: by another call of the same kind, or without it.
fn well(disk: &SimDisk) -> Outcome {
    let calls = disk.calls();
    let again = |pair: &[Call]| {
        let (failed, next) = (&pair[0], &pair[1]);
        // The second file that is created has another name.
        let alike = failed.path == next.path || failed.verb == "create_new";
        failed.fault.is_some() && failed.verb == next.verb && alike
    };
    if calls.windows(2).any(again) { Outcome::TriedAgain } else { Outcome::Ignored }
}

/// An error keeps its cause.
fn says(how: Option<How>, source: &io::Error) -> Result<(), String> {
    let same = match how {
        Some(How::Errno(errno) | How::DoneBut(errno) | How::SyncLost { errno, .. }) => {
            source.raw_os_error() == Some(errno)
        }
        Some(How::Short(_)) => source.kind() == io::ErrorKind::WriteZero,
        None => false,
    };
    if same { Ok(()) } else { Err(format!("the error's cause is another one: {source}")) }
}

fn unread(how: Option<How>, reason: &CorruptReason) -> Result<(), String> {
    match reason {
        CorruptReason::Read(source) => says(how, source),
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
    store.save(Save { generation, confirmed, bytes: &bytes })
}

/// What is saved as a generation, padded with other shards where it is to be long.
pub(super) fn sealed(generation: Generation, confirmed: Generation, padded: bool) -> Vec<u8> {
    let shard = |id| {
        let mark = if ShardId(id) == SHARD { mark_of(generation) } else { 7 };
        let (log, incarnation) = (LogId::UNNAMED, Incarnation(0));
        ShardCheckpoint::from(SnapshotEntry { shard: ShardId(id), log, incarnation, mark })
    };
    let shards = (1..if padded { 200 } else { 2 }).map(shard).collect();
    let checkpoint = Checkpoint { next_incarnation: Incarnation(1), shards };
    let header = Header { store: STORE, generation, confirmed };
    seal(&JsonCodec, header, &checkpoint).unwrap_or_default()
}

pub(super) fn mark_of(generation: Generation) -> u64 {
    generation * 10
}
