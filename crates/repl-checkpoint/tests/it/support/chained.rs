//! A store in memory that takes deltas, applies each at once, and says what was written.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use repl_checkpoint::{
    Candidate, Candidates, Checkpoint, CheckpointStore, DeltaBase, Generation, Header, JsonCodec,
    LoadError, OnCorrupt, Recovered, Save, SaveError, ShardCheckpoint, StoreId, Track, recover,
};
use repl_core::ShardId;

use super::STORE;
use super::scripted::Outcome;

/// Clones share one store.
#[derive(Clone, Default)]
pub(crate) struct Chained(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    kept: Vec<Kept>,
    /// The number of saves since it was opened.
    saves: usize,
    room: Option<usize>,
    offered: Option<Generation>,
    outcome: Option<Outcome>,
}

#[derive(Clone)]
struct Kept {
    header: Header,
    checkpoint: Checkpoint,
    wrote: Wrote,
}

/// What a save wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wrote {
    Whole,
    Delta { base: Generation, changed: Vec<u64>, removed: Vec<u64> },
}

impl Wrote {
    pub(crate) fn delta(base: Generation, changed: &[u64], removed: &[u64]) -> Self {
        Wrote::Delta { base, changed: changed.to_vec(), removed: removed.to_vec() }
    }
}

impl Chained {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// The outcome of the next save.
    pub(crate) fn fail_next(&self, outcome: Outcome) {
        self.inner().outcome = Some(outcome);
    }

    /// Offers so much room from now on.
    pub(crate) fn set_room(&self, room: usize) {
        self.inner().room = Some(room);
    }

    /// Offers a generation from now on, whatever was saved.
    pub(crate) fn offer(&self, generation: Generation) {
        self.inner().offered = Some(generation);
    }

    pub(crate) fn saves(&self) -> usize {
        self.inner().kept.len()
    }

    /// What the last save wrote.
    pub(crate) fn wrote(&self) -> Wrote {
        self.inner().kept.last().unwrap().wrote.clone()
    }

    /// What a recovery finds now.
    pub(crate) fn newest(&self) -> Checkpoint {
        self.inner().kept.last().unwrap().checkpoint.clone()
    }

    pub(crate) fn recovered(&self, track: impl Into<Track>) -> Recovered {
        recover(self.open().unwrap(), JsonCodec, track, OnCorrupt::Fail).unwrap()
    }

    /// Opens it again.
    #[expect(clippy::unnecessary_wraps, reason = "has the signature that an open must have")]
    pub(crate) fn open(&self) -> Result<Self, Infallible> {
        self.inner().saves = 0;
        Ok(self.clone())
    }
}

impl Inner {
    /// The save before the last.
    fn base(&self) -> Option<&Kept> {
        self.kept.iter().rev().nth(1).filter(|_| self.saves >= 2)
    }

    fn applied(&self, save: &Save<'_>) -> Kept {
        let Some(base) = save.base else {
            let (header, checkpoint) = Checkpoint::unseal(&JsonCodec, STORE, save.bytes).unwrap();
            return Kept { header, checkpoint, wrote: Wrote::Whole };
        };
        let before = self.base().unwrap();
        assert_eq!(before.header.generation, base);
        let (generation, confirmed) = (save.generation, save.confirmed);
        let header = Header { store: STORE, generation, confirmed };
        let (checkpoint, wrote) = applied(&before.checkpoint, header, base, save.bytes);
        Kept { header, checkpoint, wrote }
    }
}

/// Applies a delta record by all the rules of its format.
fn applied(
    before: &Checkpoint,
    header: Header,
    base: Generation,
    bytes: &[u8],
) -> (Checkpoint, Wrote) {
    let line = bytes.split_inclusive(|byte| *byte == b'\n').next().unwrap();
    let rest = &bytes[line.len()..];
    let line = std::str::from_utf8(line).unwrap();
    let field = |name: &str| -> u64 {
        let (_, value) = line.split_once(name).unwrap();
        value[..20].parse().unwrap()
    };
    let Header { generation, confirmed, .. } = header;
    assert_eq!(
        [field(" generation="), field(" confirmed="), field(" base="), field(" length=")],
        [generation, confirmed, base, rest.len() as u64]
    );
    let removed = usize::try_from(field(" removed=")).unwrap();
    let (ids, payload) = rest.split_at(removed * 21);
    let ids = std::str::from_utf8(ids).unwrap().lines();
    let removed: Vec<u64> = ids.map(|id| id.parse().unwrap()).collect();
    let delta = Checkpoint::decode(&JsonCodec, payload).unwrap();
    let mut rows: BTreeMap<ShardId, ShardCheckpoint> =
        before.shards.iter().map(|s| (s.shard, s.clone())).collect();
    for shard in &removed {
        assert!(rows.remove(&ShardId(*shard)).is_some(), "{shard} was removed, and is not there");
    }
    let changed: Vec<u64> = delta.shards.iter().map(|s| s.shard.0).collect();
    for row in delta.shards {
        assert!(!removed.contains(&row.shard.0), "{row:?} was removed too");
        if let Some(old) = rows.get(&row.shard) {
            assert!((old.incarnation, old.mark) <= (row.incarnation, row.mark), "{old:?} {row:?}");
        }
        rows.insert(row.shard, row);
    }
    assert!(before.next_incarnation <= delta.next_incarnation);
    let next_incarnation = delta.next_incarnation;
    let checkpoint = Checkpoint { next_incarnation, shards: rows.into_values().collect() };
    checkpoint.validate().unwrap();
    (checkpoint, Wrote::Delta { base, changed, removed })
}

impl CheckpointStore for Chained {
    fn store_id(&self) -> StoreId {
        STORE
    }

    /// Whole checkpoints, as each delta was applied.
    fn load(&mut self) -> Result<Candidates<'_>, LoadError> {
        let kept = self.inner().kept.clone();
        Ok(Box::new(kept.into_iter().rev().map(|kept| Candidate {
            path: PathBuf::from("memory"),
            generation: Some(kept.header.generation),
            bytes: Ok(kept.checkpoint.seal(&JsonCodec, kept.header).unwrap()),
            deltas: Vec::new(),
        })))
    }

    fn save(&mut self, save: Save<'_>) -> Result<(), SaveError> {
        let mut inner = self.inner();
        let outcome = inner.outcome.take();
        if !matches!(outcome, Some(Outcome::NotSaved | Outcome::InDoubt)) {
            let kept = inner.applied(&save);
            inner.kept.push(kept);
            inner.saves += 1;
        }
        let (act, path) = ("test", PathBuf::from("memory"));
        let source = io::Error::other("as scripted");
        match outcome {
            None => Ok(()),
            Some(Outcome::NotSaved) => Err(SaveError::NotSaved { act, path, source }),
            Some(_) => Err(SaveError::InDoubt { act, path, source }),
        }
    }

    fn delta_base(&self) -> Option<DeltaBase> {
        let inner = self.inner();
        let generation = inner.offered.or(inner.base().map(|kept| kept.header.generation))?;
        Some(DeltaBase { generation, link: 7, room: inner.room.unwrap_or(1 << 20) })
    }
}
