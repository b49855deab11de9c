//! Random histories: after every save the store holds exactly what was saved.

use std::path::Path;

use proptest::prelude::*;
use repl_checkpoint::{
    Attempt, Checkpoint, JsonCodec, NoSync, OnCorrupt, Recovered, Saved, ShardCheckpoint,
    SlotStore, Track, recover,
};
use repl_core::{NewShard, ShardId, Snapshot};

use super::{SHARDS, all};
use crate::support::chained::Chained;
use crate::support::{STORE, copy_of};

#[derive(Debug, Clone)]
enum Act {
    Advance(u64),
    AdvanceAll,
    Complete(u64, u64),
    Add(u64),
    Remove(u64),
    Reset(u64),
    DropOrphan(u64),
    Save,
    /// Lowers a mark by some, and drops the ranges of another shard.
    SaveLowered(u64, u64, u64),
    Abandon,
    Reopen,
    /// Recovers, and tracks the shards from here on.
    Restart(u64),
}

fn act() -> impl Strategy<Value = Act> {
    // Few, so that much happens to the same ones.
    let id = || prop_oneof![4 => 0..6_u64, 1 => 0..SHARDS + 3];
    prop_oneof![
        8 => id().prop_map(Act::Advance),
        1 => Just(Act::AdvanceAll),
        3 => (id(), 2..9_u64).prop_map(|(id, above)| Act::Complete(id, above)),
        2 => id().prop_map(Act::Add),
        2 => id().prop_map(Act::Remove),
        2 => id().prop_map(Act::Reset),
        2 => id().prop_map(Act::DropOrphan),
        16 => Just(Act::Save),
        4 => (id(), 0..3_u64, id()).prop_map(|(id, by, above)| Act::SaveLowered(id, by, above)),
        2 => Just(Act::Abandon),
        1 => Just(Act::Reopen),
        1 => (0..8_u64).prop_map(Act::Restart),
    ]
}

/// A store under test.
trait Place {
    fn recovered(&self, track: Track) -> Recovered;
    fn reopen(&self, follower: &mut Recovered);
    /// What a process finds that starts now.
    fn newest(&self) -> Checkpoint;
}

impl Place for Chained {
    fn recovered(&self, track: Track) -> Recovered {
        Chained::recovered(self, track)
    }
    fn reopen(&self, follower: &mut Recovered) {
        follower.checkpointer.reopen(|| self.open()).unwrap();
    }
    fn newest(&self) -> Checkpoint {
        Chained::newest(self)
    }
}

struct Slots<'a>(&'a Path);

fn slots(dir: &Path) -> SlotStore<NoSync> {
    SlotStore::open_on(NoSync, dir, STORE).unwrap()
}

impl Place for Slots<'_> {
    fn recovered(&self, track: Track) -> Recovered {
        recover(slots(self.0), JsonCodec, track, OnCorrupt::Fail).unwrap()
    }
    fn reopen(&self, follower: &mut Recovered) {
        follower.checkpointer.reopen(|| SlotStore::open_on(NoSync, self.0, STORE)).unwrap();
    }
    fn newest(&self) -> Checkpoint {
        let copy = copy_of(self.0);
        let found = Slots(copy.path()).recovered(Track::all());
        Checkpoint::of(&found.state.snapshot())
    }
}

/// The marks, and the orphans that they do not hold.
fn expected(marks: &Snapshot, orphaned: &[ShardCheckpoint]) -> Checkpoint {
    let mut expected = Checkpoint::of(marks);
    let orphaned = orphaned.iter().filter(|s| marks.mark(s.shard).is_none()).cloned();
    expected.shards.extend(orphaned);
    expected.shards.sort_by_key(|s| s.shard);
    expected
}

/// The number of saves that were whole, and of deltas.
type Count = [usize; 2];

fn saved(
    place: &dyn Place,
    follower: &mut Recovered,
    count: &mut Count,
    lower: impl FnOnce(&mut Attempt),
) -> Result<(), TestCaseError> {
    let Some(mut attempt) = follower.checkpointer.begin().unwrap() else {
        let now = expected(&follower.state.snapshot(), follower.checkpointer.orphaned_shards());
        prop_assert_eq!(place.newest(), now);
        return Ok(());
    };
    lower(&mut attempt);
    let now = expected(attempt.marks(), follower.checkpointer.orphaned_shards());
    match follower.checkpointer.save(attempt) {
        Ok(saved) => {
            if let Saved::Written(report) = saved {
                count[usize::from(report.base.is_some())] += 1;
            }
            prop_assert_eq!(place.newest(), now);
        }
        Err(repl_checkpoint::CheckpointError::BelowLastSave { .. }) => {}
        Err(error) => prop_assert!(false, "{error}"),
    }
    Ok(())
}

fn history(place: &dyn Place, acts: &[Act]) -> Result<Count, TestCaseError> {
    let mut count = [0, 0];
    let mut follower = place.recovered(Track::from(&all()[..]));
    for act in acts {
        let state = follower.state.clone();
        match *act {
            Act::Advance(id) => {
                let mark = state.applied_seqno(ShardId(id)).unwrap_or(0);
                state.advance(ShardId(id), mark + 1);
            }
            Act::AdvanceAll => {
                for id in state.shards() {
                    state.advance(id, state.applied_seqno(id).unwrap() + 1);
                }
            }
            Act::Complete(id, above) => {
                if let Some(shard) = state.shard(ShardId(id)) {
                    shard.complete(shard.applied() + above);
                }
            }
            Act::Add(id) => drop(state.add_shard(NewShard::new(ShardId(id)).with_mark(2))),
            Act::Remove(id) => drop(state.remove_shard(ShardId(id))),
            Act::Reset(id) => drop(state.reset_shard(NewShard::new(ShardId(id)))),
            Act::DropOrphan(id) => {
                follower.checkpointer.drop_orphan(ShardId(id));
            }
            Act::Save => saved(place, &mut follower, &mut count, |_| {})?,
            Act::SaveLowered(id, by, above) => {
                saved(place, &mut follower, &mut count, |attempt| {
                    let mark = attempt.marks().mark(ShardId(id)).unwrap_or(0);
                    attempt.lower(ShardId(id), mark.saturating_sub(by));
                    attempt.drop_above(ShardId(above));
                })?;
            }
            Act::Abandon => drop(follower.checkpointer.begin().unwrap()),
            Act::Reopen => place.reopen(&mut follower),
            Act::Restart(from) => {
                drop((follower, state));
                follower = place.recovered(Track::from(&all()[usize::try_from(from).unwrap()..]));
            }
        }
    }
    Ok(count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_chain_of_deltas_holds_what_was_saved(acts in prop::collection::vec(act(), 1..120)) {
        history(&Chained::default(), &acts)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_recovery_from_slots_finds_what_was_saved(acts in prop::collection::vec(act(), 1..120)) {
        let dir = tempfile::tempdir().unwrap();
        history(&Slots(dir.path()), &acts)?;
    }
}

#[test]
fn the_histories_have_deltas_and_whole_checkpoints() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut counts = [[0, 0]; 2];
    for _ in 0..8 {
        let acts = prop::collection::vec(act(), 120).new_tree(&mut runner).unwrap().current();
        let dir = tempfile::tempdir().unwrap();
        let places: [&dyn Place; 2] = [&Chained::default(), &Slots(dir.path())];
        for (place, count) in places.into_iter().zip(&mut counts) {
            let [whole, deltas] = history(place, &acts).unwrap();
            *count = [count[0] + whole, count[1] + deltas];
        }
    }
    for [whole, deltas] in counts {
        assert!(deltas > whole && whole > 20, "{counts:?}");
    }
}
