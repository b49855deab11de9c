//! The floors of all shards at once are those of each shard, and those of durable marks.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use repl_checkpoint::{Floors, Health, Recovered};
use repl_core::{AppliedSet, NewShard, ReplicationState, SeqNo, SeqRange, ShardId, Snapshot};

use crate::support::scripted::{Outcome, Scripted};
use crate::support::{durable, save};

const ONE: ShardId = ShardId(1);
const TWO: ShardId = ShardId(2);

#[derive(Debug, Clone, Copy)]
enum Step {
    Advance(ShardId, SeqNo),
    Complete(ShardId, SeqNo),
    Add(ShardId, SeqNo),
    Remove(ShardId),
    Reset(ShardId, SeqNo),
    Save,
    SaveLowered(ShardId, SeqNo),
    Fail,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let shard = || (1..5_u64).prop_map(ShardId);
    let seqno = || 0..30_u64;
    prop_oneof![
        4 => (shard(), seqno()).prop_map(|(shard, to)| Step::Advance(shard, to)),
        2 => (shard(), seqno()).prop_map(|(shard, above)| Step::Complete(shard, above)),
        2 => (shard(), seqno()).prop_map(|(shard, at)| Step::Add(shard, at)),
        1 => shard().prop_map(Step::Remove),
        1 => (shard(), seqno()).prop_map(|(shard, at)| Step::Reset(shard, at)),
        6 => Just(Step::Save),
        1 => (shard(), seqno()).prop_map(|(shard, to)| Step::SaveLowered(shard, to)),
        1 => Just(Step::Fail),
        1 => Just(Step::Reopen),
    ]
}

/// A follower, and the marks in its last two saves since the store was opened.
struct Followed {
    store: Scripted,
    follower: Recovered,
    newest: Option<Snapshot>,
    previous: Option<Snapshot>,
}

impl Followed {
    fn new() -> Self {
        let store = Scripted::default();
        let follower = store.recovered(&[1, 2]);
        Followed { store, follower, newest: None, previous: None }
    }

    fn take(&mut self, step: Step) {
        let state = &self.follower.state;
        match step {
            Step::Advance(shard, to) => drop(state.advance(shard, to)),
            Step::Complete(shard, above) => {
                let shard = state.shard(shard);
                shard.inspect(|shard| shard.complete(shard.applied() + 2 + above));
            }
            Step::Add(shard, at) => drop(state.add_shard(NewShard::new(shard).with_mark(at))),
            Step::Remove(shard) => drop(state.remove_shard(shard)),
            Step::Reset(shard, at) => drop(state.reset_shard(NewShard::new(shard).with_mark(at))),
            Step::Save => self.save(|_| ()),
            Step::SaveLowered(shard, to) => self.save(|attempt| attempt.lower(shard, to)),
            Step::Fail => {
                self.store.fail_next(&[Outcome::NotSaved]);
                let _ = self.follower.checkpointer.checkpoint(durable);
                self.store.fail_next(&[]);
            }
            Step::Reopen => {
                let store = &self.store;
                self.follower.checkpointer.reopen(|| store.open()).unwrap();
                (self.newest, self.previous) = (None, None);
            }
        }
    }

    fn save(&mut self, lower: impl FnOnce(&mut repl_checkpoint::Attempt)) {
        let Some(mut attempt) = self.follower.checkpointer.begin().unwrap() else {
            return;
        };
        lower(&mut attempt);
        let marks = attempt.marks().clone();
        let before = self.store.saves();
        // It may be below the last save.
        let _ = self.follower.checkpointer.save(attempt);
        if self.store.saves() > before {
            self.previous = self.newest.replace(marks);
        }
    }

    /// What a save holds of the present incarnation of a shard.
    fn saved(&self, saved: Option<&Snapshot>, shard: ShardId) -> Option<AppliedSet> {
        let entry = saved?.entry(shard)?;
        let now = self.follower.state.shard(shard)?.incarnation();
        (entry.incarnation == now).then_some(entry.applied_set)
    }
}

fn agree(followed: &Followed) -> Result<(), TestCaseError> {
    let floors = followed.follower.checkpointer.floors();
    let (checkpointed, retention) = (floors.checkpointed_marks(), floors.retention_floors());
    for shard in (0..6).map(ShardId) {
        let newest = followed.saved(followed.newest.as_ref(), shard);
        let previous = newest.clone().and(followed.saved(followed.previous.as_ref(), shard));
        prop_assert_eq!(floors.checkpointed(shard), newest.as_ref().map(AppliedSet::mark));
        prop_assert_eq!(floors.retention_floor(shard), previous.as_ref().map(AppliedSet::mark));
        prop_assert_eq!(checkpointed.applied_set(shard), newest);
        // A range above a floor is none that may be deleted.
        let floor = previous.map(|set| AppliedSet::new::<u64>(set.mark(), []));
        prop_assert_eq!(retention.applied_set(shard), floor);
    }
    let applied = followed.follower.state.snapshot();
    for (shard, floor) in &retention {
        prop_assert!(Some(floor) <= checkpointed.mark(shard));
        prop_assert!(checkpointed.mark(shard) <= applied.mark(shard));
    }
    Ok(())
}

proptest! {
    #[test]
    fn in_bulk_they_are_those_of_each_shard(steps in vec(step(), 1..60)) {
        let mut followed = Followed::new();
        for step in steps {
            followed.take(step);
            agree(&followed)?;
        }
    }
}

#[test]
fn the_checkpointed_marks_can_be_sent_to_a_leader_with_what_is_completed_above() {
    let store = Scripted::default();
    let mut follower = store.recovered(&[1, 2]);
    let floors = follower.checkpointer.floors();
    follower.state.advance(ONE, 5);
    follower.state.shard(ONE).unwrap().complete(8..=9);
    save(&mut follower.checkpointer);
    save(&mut follower.checkpointer);
    // Applied and not saved.
    follower.state.advance(ONE, 7);
    let marks = floors.checkpointed_marks();
    let expected = AppliedSet::new(5, [SeqRange::new(8, 9)]);
    assert_eq!(marks.applied_set(ONE), Some(expected));
    assert_eq!(
        marks.entry(ONE).unwrap().incarnation,
        follower.state.shard(ONE).unwrap().incarnation()
    );
    assert_eq!(floors.retention_floors().applied_set(ONE), Some(AppliedSet::new::<u64>(5, [])));
    assert_eq!(floors.retention_floors().iter().collect::<Vec<_>>(), [(ONE, 5), (TWO, 0)]);
}

#[test]
fn an_orphan_has_no_mark_in_bulk() {
    let store = Scripted::default();
    let mut first = store.recovered(&[1, 2]);
    first.state.advance(TWO, 7);
    save(&mut first.checkpointer);
    let mut second = store.recovered(&[1]);
    let floors = second.checkpointer.floors();
    save(&mut second.checkpointer);
    save(&mut second.checkpointer);
    assert_eq!(store.mark(2), Some(7), "the saves hold it");
    assert_eq!(floors.checkpointed_marks().shards().collect::<Vec<_>>(), [ONE]);
    assert_eq!(floors.retention_floors().shards().collect::<Vec<_>>(), [ONE]);
}

#[test]
fn the_floors_of_durable_marks_are_the_marks_at_once() {
    let state = Arc::new(ReplicationState::new(&[ONE, TWO]));
    let floors = Floors::of_durable(Arc::clone(&state));
    assert_eq!((floors.checkpointed(ONE), floors.retention_floor(ONE)), (Some(0), Some(0)));
    state.advance(ONE, 5);
    state.shard(ONE).unwrap().complete(8..=9);
    assert_eq!((floors.checkpointed(ONE), floors.retention_floor(ONE)), (Some(5), Some(5)));
    assert_eq!(floors.checkpointed_marks(), state.snapshot());
    assert_eq!(floors.retention_floors().applied_set(ONE), Some(AppliedSet::new::<u64>(5, [])));
    assert_eq!(floors.retention_floors().iter().collect::<Vec<_>>(), [(ONE, 5), (TWO, 0)]);
    state.reset_shard(NewShard::new(ONE).with_mark(2));
    assert_eq!((floors.checkpointed(ONE), floors.retention_floor(ONE)), (Some(2), Some(2)));
    assert_eq!(floors.health(), Health::default());
}

#[test]
fn a_shard_is_unreferenced_by_durable_marks_once_the_state_does_not_track_it() {
    let state = Arc::new(ReplicationState::new(&[ONE, TWO]));
    let floors = Floors::of_durable(Arc::clone(&state));
    assert!(!floors.is_unreferenced(TWO));
    state.remove_shard(TWO);
    assert!(floors.is_unreferenced(TWO) && !floors.is_unreferenced(ONE));
    assert_eq!((floors.checkpointed(TWO), floors.retention_floor(TWO)), (None, None));
    assert_eq!(floors.checkpointed_marks().shards().collect::<Vec<_>>(), [ONE]);
    assert_eq!(floors.retention_floors().shards().collect::<Vec<_>>(), [ONE]);
}
