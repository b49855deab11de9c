//! A follower, its attempts, and a store whose saves end in every way.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::*;
use repl_checkpoint::{
    Attempt, Checkpoint, Generation, JsonCodec, OnCorrupt, Recovered, Saved, ShardCheckpoint,
    recover,
};
use repl_core::{Incarnation, ReplicationState, ShardId};

use crate::orphaned::detailed;
use crate::support::scripted::{Outcome, Scripted};
use crate::support::{STORE, sealed};

/// The ids of the shards that come and go.
pub(super) const SHARDS: Range<u64> = 0..6;

pub(super) struct World {
    store: Scripted,
    /// `None` within a crash.
    follower: Option<Recovered>,
    /// The newest last.
    attempts: Vec<Attempt>,
    /// The highest generation given to the store by this process, or recovered.
    attempted: Generation,
}

fn follower(store: &Scripted, tracked: &[ShardId]) -> Recovered {
    recover(store.open().unwrap(), JsonCodec, tracked, OnCorrupt::FallBack).unwrap()
}

fn is_whole(bytes: &[u8]) -> bool {
    Checkpoint::unseal(&JsonCodec, STORE, bytes).is_ok()
}

impl World {
    /// Begins with an empty store, or with one of shards 1 and 5, which is an orphan.
    pub(super) fn new(is_new: bool) -> Self {
        let store = Scripted::default();
        if !is_new {
            store.edit(|kept| kept.push((1, sealed(1, &detailed()))));
        }
        let follower = Some(follower(&store, &[ShardId(1), ShardId(2)]));
        World { store, follower, attempts: Vec::new(), attempted: u64::from(!is_new) }
    }

    fn follower(&mut self) -> &mut Recovered {
        self.follower.as_mut().unwrap()
    }

    pub(super) fn state(&self) -> &ReplicationState {
        &self.follower.as_ref().unwrap().state
    }

    /// The whole checkpoints in the store, the newest first.
    fn whole(&self) -> Vec<Checkpoint> {
        let mut whole = Vec::new();
        let open = |bytes: &[u8]| Checkpoint::unseal(&JsonCodec, STORE, bytes).ok();
        self.store.edit(|kept| whole.extend(kept.iter().rev().filter_map(|(_, b)| open(b))));
        whole.into_iter().map(|(_, checkpoint)| checkpoint).collect()
    }

    /// Nothing begins if there is nothing to save, nor after a save in doubt.
    pub(super) fn begin(&mut self) {
        let begun = self.follower().checkpointer.begin();
        self.attempts.extend(begun.ok().flatten());
    }

    pub(super) fn change(&mut self, change: impl FnOnce(&mut Attempt)) {
        self.attempts.last_mut().map(change);
    }

    /// Takes an attempt; 0 is the newest.
    pub(super) fn taken(&mut self, which: usize) -> Option<Attempt> {
        let count = self.attempts.len();
        (count > 0).then(|| self.attempts.remove(count - 1 - which % count))
    }

    pub(super) fn save(
        &mut self,
        which: usize,
        outcome: Option<Outcome>,
    ) -> Result<(), TestCaseError> {
        let Some(attempt) = self.taken(which) else {
            return Ok(());
        };
        let is_empty = self.whole().is_empty();
        // Torn, the first of all would leave nothing to recover from.
        let outcome = outcome.filter(|o| !(is_empty && matches!(o, Outcome::InDoubtAndTorn)));
        self.store.take_events();
        self.store.fail_next(outcome.as_slice());
        let checkpointer = &mut self.follower.as_mut().unwrap().checkpointer;
        let saved = catch_unwind(AssertUnwindSafe(|| checkpointer.save(attempt)));
        self.store.fail_next(&[]);
        for event in self.store.take_events() {
            let generation = event.split(' ').nth(1).unwrap().parse().unwrap();
            prop_assert!(generation > self.attempted, "{} twice", generation);
            self.attempted = generation;
        }
        if let Ok(Ok(Saved::Written(_))) = saved {
            let (header, _) = self.store.newest();
            self.store.edit(|kept| kept.retain(|(n, _)| *n >= header.confirmed));
        }
        Ok(())
    }

    pub(super) fn drop_orphan(&mut self, shard: ShardId) {
        self.follower().checkpointer.drop_orphan(shard);
    }

    pub(super) fn reopen(&mut self, opens: bool) -> Result<(), TestCaseError> {
        let store = self.store.clone();
        let open = || if opens { Ok(store.open().unwrap()) } else { Err("no disk") };
        let reopened = self.follower().checkpointer.reopen(open);
        prop_assert_eq!(reopened.is_ok(), opens, "{:?}", reopened);
        Ok(())
    }

    /// The newest checkpoint is damaged only if there is one to fall back to.
    pub(super) fn crash(&mut self, tracked: &[ShardId], damaged: bool) {
        self.attempts.clear();
        self.follower = None;
        if damaged && self.whole().len() > 1 {
            self.store.edit(|kept| {
                let newest = kept.iter_mut().rev().find(|(_, bytes)| is_whole(bytes));
                newest.unwrap().1.truncate(30);
            });
        }
        self.store.edit(|kept| self.attempted = kept.last().map_or(0, |(n, _)| *n));
        self.follower = Some(follower(&self.store, tracked));
    }

    /// Compares all floors with the two newest whole checkpoints.
    pub(super) fn agrees(&self) -> Result<(), TestCaseError> {
        let Recovered { state, checkpointer, .. } = self.follower.as_ref().unwrap();
        let floors = checkpointer.floors();
        let (checkpointed, retention) = (floors.checkpointed_marks(), floors.retention_floors());
        let whole = self.whole();
        let newest = &whole[..whole.len().min(2)];
        for shard in SHARDS.map(ShardId) {
            let now = state.shard(shard).map(|shard| shard.incarnation());
            let (mark, floor) = (floors.checkpointed(shard), floors.retention_floor(shard));
            prop_assert_eq!((mark, floor), (checkpointed.mark(shard), retention.mark(shard)));
            prop_assert!(floor <= mark && mark <= state.applied_seqno(shard));
            if let Some(mark) = mark {
                prop_assert!(holds(newest[0].shard(shard), now, mark), "{shard} {mark}: {whole:?}");
            }
            if let Some(floor) = floor {
                let all_hold = newest.iter().all(|c| holds(c.shard(shard), now, floor));
                prop_assert!(newest.len() == 2 && all_hold, "{shard} {floor}: {newest:?}");
            }
            if floors.is_unreferenced(shard) {
                let none_holds = newest.iter().all(|c| c.shard(shard).is_none());
                prop_assert!(newest.len() == 2 && none_holds, "{shard}: {newest:?}");
            }
        }
        Ok(())
    }
}

/// Whether a checkpoint holds the present incarnation of a shard at `mark` or above.
fn holds(saved: Option<&ShardCheckpoint>, now: Option<Incarnation>, mark: u64) -> bool {
    saved.is_some_and(|saved| Some(saved.incarnation) == now && saved.mark >= mark)
}
