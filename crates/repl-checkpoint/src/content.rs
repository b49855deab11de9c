//! The content of a checkpoint: the shards of the state, and the orphaned ones beside them.

use std::sync::Arc;

use repl_core::{Incarnation, ShardId, Snapshot, SnapshotBuilder, SnapshotEntry};

use crate::chain;
use crate::checkpoint::{InvalidCheckpoint, LookUp, NO_LIMIT, Rows, Rules, ShardCheckpoint, Track};
use crate::codec::Codec;
use crate::envelope::{Header, UnsealError};
use crate::ids::StoreId;

/// The content of one save. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    pub(crate) marks: Arc<Snapshot>,
    /// Shards that the state does not track, ascending: every save carries them on from the
    /// recovered checkpoint.
    pub(crate) orphaned: Arc<Vec<ShardCheckpoint>>,
}

/// The place of an orphaned shard. O(log orphans).
pub(crate) fn orphan(orphaned: &[ShardCheckpoint], shard: ShardId) -> Option<usize> {
    orphaned.binary_search_by_key(&shard, |s| s.shard).ok()
}

impl Content {
    /// Whether it holds a shard, in any incarnation.
    pub(crate) fn names(&self, shard: ShardId) -> bool {
        self.marks.mark(shard).is_some() || orphan(&self.orphaned, shard).is_some()
    }

    pub(crate) fn rows(&self) -> Rows<'_> {
        Rows::between(&self.marks, &self.orphaned)
    }

    /// The row of a shard. O(log shards).
    pub(crate) fn row(&self, shard: ShardId) -> Option<ShardCheckpoint> {
        match self.marks.entry(shard) {
            Some(entry) => Some(ShardCheckpoint::from(entry)),
            None => orphan(&self.orphaned, shard).map(|i| self.orphaned[i].clone()),
        }
    }

    /// The number of rows.
    pub(crate) fn len(&self) -> usize {
        self.marks.len() + self.orphaned.len()
    }

    /// Whether a checkpoint of this says the same as one of `other`. Ranges that touch each other
    /// or the mark say the same as joined ones.
    pub(crate) fn says_the_same(&self, other: &Content) -> bool {
        let (mut ours, mut theirs) = (self.rows(), other.rows());
        let numbers = |rows: &Rows<'_>| (rows.next_incarnation(), rows.len());
        numbers(&ours) == numbers(&theirs)
            && std::iter::from_fn(|| match (ours.next(), theirs.next()) {
                (None, None) => None,
                (Some(a), Some(b)) => Some(is_same_row(a, b)),
                _ => Some(false),
            })
            .all(|same| same)
    }
}

fn is_same_row(a: &ShardCheckpoint, b: &ShardCheckpoint) -> bool {
    a == b || SnapshotEntry::from(a) == SnapshotEntry::from(b)
}

/// A checkpoint that was read.
#[derive(Debug, Default)]
pub(crate) struct Unsealed {
    pub(crate) header: Header,
    /// All of its shards are in the marks.
    pub(crate) content: Content,
    /// Its shards that are not tracked, as they were read.
    pub(crate) orphaned: Vec<ShardCheckpoint>,
    /// The number of bytes of the whole checkpoint, without deltas.
    pub(crate) length: usize,
}

impl Unsealed {
    /// Checks and decodes sealed bytes and the deltas that build on them, row by row.
    pub(crate) fn read(
        codec: &dyn Codec,
        store: StoreId,
        bytes: &[u8],
        deltas: &[Vec<u8>],
        track: &Track,
    ) -> Result<Self, UnsealError> {
        let mut decoded = Decoded::new(track);
        let (header, next) =
            chain::decode(codec, store, bytes, deltas, &mut |row| decoded.push(row))?;
        let (content, orphaned) = decoded.content(next).map_err(UnsealError::Invalid)?;
        Ok(Unsealed { header, content, orphaned, length: bytes.len() })
    }
}

/// The rows that were decoded so far, up to the first that is not valid.
struct Decoded<'a> {
    tracked: LookUp<'a>,
    rules: Rules,
    marks: SnapshotBuilder,
    orphaned: Vec<ShardCheckpoint>,
}

impl<'a> Decoded<'a> {
    fn new(track: &'a Track) -> Self {
        Decoded {
            tracked: track.look_up(),
            rules: Rules::default(),
            marks: SnapshotBuilder::new(),
            orphaned: Vec::new(),
        }
    }

    #[inline]
    fn push(&mut self, row: ShardCheckpoint) {
        if self.rules.broken().is_err() {
            return;
        }
        self.rules.check(&row, NO_LIMIT);
        if let Err(InvalidCheckpoint::ShardOrder { .. }) = self.rules.broken() {
            return;
        }
        self.marks.push(SnapshotEntry::from(&row));
        if !self.tracked.includes(row.shard) {
            self.orphaned.push(row);
        }
    }

    fn content(
        mut self,
        next: Incarnation,
    ) -> Result<(Content, Vec<ShardCheckpoint>), InvalidCheckpoint> {
        let marks = self.marks.build();
        // Known only now, and in a row checked before its ranges and epochs.
        if marks.next_incarnation() > next {
            let mut entries = marks.entries();
            if let Some(entry) = entries.find(|entry| entry.incarnation >= next) {
                let (shard, incarnation) = (entry.shard, entry.incarnation);
                return Err(InvalidCheckpoint::Incarnation { shard, incarnation, next });
            }
        }
        self.rules.broken()?;
        self.orphaned.shrink_to_fit();
        let marks = Arc::new(marks.with_next_incarnation(next));
        Ok((Content { marks, orphaned: Arc::default() }, self.orphaned))
    }
}
