//! A leader with a log, an engine, and a follower between the two.

use std::collections::BTreeMap;

use repl_checkpoint::{Attempt, Floors, OnCorrupt, Saved};
use repl_core::{SeqNo, ShardId};

use super::damage::Damage;
use crate::support::follower::{Follower, ONE};
use crate::support::{AnyStore, opened};

/// The segment up to which a leader deletes its log.
pub(super) type Floor = fn(&Floors, ShardId) -> Option<SeqNo>;

/// A segment that the follower must replay was deleted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) wanted: SeqNo,
}

/// Applied segments. Applying one again changes nothing.
type Rows = BTreeMap<SeqNo, u64>;

pub(super) struct World<S> {
    dir: tempfile::TempDir,
    floor: Floor,
    /// Every segment that was written.
    written: Rows,
    /// The segments that the leader has not deleted.
    log: Rows,
    applied: Rows,
    /// The applied segments that survive a crash.
    flushed: Rows,
    /// `None` between a crash and the next start.
    follower: Option<Follower>,
    /// The number of saves since the last damage.
    saves: u64,
    was_damaged: bool,
    store: std::marker::PhantomData<S>,
}

/// The content of a segment.
fn content(seqno: SeqNo) -> u64 {
    seqno.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl<S: AnyStore> World<S> {
    pub(super) fn new(floor: Floor) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let follower = Some(Follower::open::<S>(dir.path()).unwrap());
        World {
            dir,
            floor,
            written: Rows::new(),
            log: Rows::new(),
            applied: Rows::new(),
            flushed: Rows::new(),
            follower,
            saves: 0,
            was_damaged: false,
            store: std::marker::PhantomData,
        }
    }

    fn follower(&mut self) -> &mut Follower {
        self.follower.as_mut().unwrap()
    }

    /// The leader appends segments.
    pub(super) fn append(&mut self, segments: u64) {
        let last = self.written.len() as u64;
        for seqno in last + 1..=last + segments {
            self.written.insert(seqno, content(seqno));
            self.log.insert(seqno, content(seqno));
        }
    }

    /// The follower applies the next segments, one at a time.
    pub(super) fn apply(&mut self, segments: u64) -> Result<(), Gap> {
        for _ in 0..segments {
            let wanted = self.follower().mark() + 1;
            if !self.written.contains_key(&wanted) {
                return Ok(()); // caught up
            }
            let segment = *self.log.get(&wanted).ok_or(Gap { wanted })?;
            self.applied.insert(wanted, segment);
            self.follower().0.state.advance(ONE, wanted);
        }
        Ok(())
    }

    pub(super) fn apply_all(&mut self) -> Result<(), Gap> {
        self.apply(self.written.len() as u64)
    }

    pub(super) fn checkpoint(&mut self) {
        let (applied, flushed) = (&self.applied, &mut self.flushed);
        let flush = |_: &mut Attempt| {
            flushed.clone_from(applied);
            Ok(())
        };
        let saved = self.follower.as_mut().unwrap().0.checkpointer.checkpoint(flush).unwrap();
        self.saves += u64::from(matches!(saved, Saved::Written(_)));
    }

    /// The leader deletes segments up to the floor.
    pub(super) fn delete(&mut self) {
        let floors = self.follower().0.checkpointer.floors();
        if let Some(floor) = (self.floor)(&floors, ONE) {
            self.log.retain(|seqno, _| *seqno > floor);
        }
    }

    pub(super) fn deleted(&self) -> usize {
        self.written.len() - self.log.len()
    }

    /// The follower crashes and loses what it had not flushed. Its newest checkpoint is damaged if
    /// anything was saved since the last damage. A new follower starts and replays.
    pub(super) fn crash(&mut self, damage: Option<Damage<S>>) -> Result<(), Gap> {
        self.follower = None;
        self.applied.clone_from(&self.flushed);
        match damage.filter(|_| self.saves > 0) {
            Some(damage) => {
                (damage.apply)(self.dir.path());
                // An earlier damaged file may be found too, until two saves have removed it.
                if self.was_damaged && self.saves < 2 {
                    self.recover(OnCorrupt::FallBack);
                } else {
                    self.recover_from(damage);
                }
                (self.saves, self.was_damaged) = (0, true);
            }
            None if self.was_damaged => drop(self.recover(OnCorrupt::FallBack)),
            None => assert!(self.recover(OnCorrupt::Fail).starts_with("resumed")),
        }
        self.apply_all()
    }

    /// Recovers in each way that the damage allows; the last follower runs on.
    fn recover_from(&mut self, damage: Damage<S>) {
        let expected = if damage.is_reported { "fell back" } else { "resumed" };
        let origin = self.recover(OnCorrupt::FallBack);
        assert!(origin.starts_with(expected), "{}: {origin}", damage.name);
        self.follower = None;
        if damage.even_with_fail {
            let origin = self.recover(OnCorrupt::Fail);
            assert!(origin.starts_with(expected), "{}: {origin}", damage.name);
        } else {
            let refused = Follower::open::<S>(self.dir.path()).err().unwrap();
            assert!(refused.starts_with("corrupt, "), "{}: {refused}", damage.name);
            self.recover(OnCorrupt::FallBack);
        }
    }

    fn recover(&mut self, on_corrupt: OnCorrupt) -> String {
        let found = Follower::recovered(opened::<S>(self.dir.path()), on_corrupt).unwrap();
        self.follower.insert(found).origin()
    }

    /// Exactly the written segments are applied.
    pub(super) fn is_whole(&self) {
        assert_eq!(self.applied, self.written);
    }
}
