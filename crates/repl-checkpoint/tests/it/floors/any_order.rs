//! Whatever is done in whatever order, the floors are no higher than what the store holds.

use proptest::collection::vec;
use proptest::prelude::*;
use repl_core::{NewShard, SeqNo, ShardId};

use super::world::{SHARDS, World};
use crate::support::scripted::Outcome;

#[derive(Debug, Clone)]
enum Step {
    Advance(ShardId, SeqNo),
    Complete(ShardId, SeqNo),
    Add(ShardId, SeqNo),
    Remove(ShardId),
    Reset(ShardId, SeqNo),
    Rewind(ShardId, SeqNo),
    Begin,
    /// Lowers the newest attempt.
    Lower(ShardId, SeqNo),
    DropAbove(ShardId),
    /// Saves the newest attempt, or an older one, which is refused.
    Save(usize, Option<Outcome>),
    DropAttempt(usize),
    DropOrphan(ShardId),
    Reopen {
        opens: bool,
    },
    /// The next process tracks these shards; the newest checkpoint may be damaged.
    Crash {
        tracked: Vec<ShardId>,
        damaged: bool,
    },
}

fn outcome() -> impl Strategy<Value = Option<Outcome>> {
    prop_oneof![
        6 => Just(None),
        1 => Just(Some(Outcome::NotSaved)),
        1 => Just(Some(Outcome::InDoubt)),
        1 => Just(Some(Outcome::InDoubtButThere)),
        1 => Just(Some(Outcome::InDoubtAndTorn)),
        1 => Just(Some(Outcome::Panic)),
        1 => Just(Some(Outcome::PanicButThere)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let shard = || SHARDS.prop_map(ShardId);
    let at = || (SHARDS.prop_map(ShardId), 0..40_u64);
    let which = || prop_oneof![3 => Just(0_usize), 1 => 0..4_usize];
    let crash = (vec(shard(), 0..5), any::<bool>());
    prop_oneof![
        8 => at().prop_map(|(shard, to)| Step::Advance(shard, to)),
        4 => at().prop_map(|(shard, first)| Step::Complete(shard, first)),
        4 => at().prop_map(|(shard, mark)| Step::Add(shard, mark)),
        4 => shard().prop_map(Step::Remove),
        2 => at().prop_map(|(shard, mark)| Step::Reset(shard, mark)),
        2 => at().prop_map(|(shard, to)| Step::Rewind(shard, to)),
        12 => Just(Step::Begin),
        3 => at().prop_map(|(shard, to)| Step::Lower(shard, to)),
        1 => shard().prop_map(Step::DropAbove),
        16 => (which(), outcome()).prop_map(|(which, outcome)| Step::Save(which, outcome)),
        2 => which().prop_map(Step::DropAttempt),
        2 => shard().prop_map(Step::DropOrphan),
        4 => prop::bool::weighted(0.8).prop_map(|opens| Step::Reopen { opens }),
        1 => crash.prop_map(|(tracked, damaged)| Step::Crash { tracked, damaged }),
    ]
}

fn take(world: &mut World, step: &Step) -> Result<(), TestCaseError> {
    let state = world.state();
    match *step {
        Step::Advance(shard, to) => drop(state.advance(shard, to)),
        Step::Complete(shard, first) => {
            state.shard(shard).inspect(|shard| shard.complete(first..=first + 2));
        }
        Step::Add(shard, mark) => drop(state.add_shard(NewShard::new(shard).with_mark(mark))),
        Step::Remove(shard) => drop(state.remove_shard(shard)),
        Step::Reset(shard, mark) => drop(state.reset_shard(NewShard::new(shard).with_mark(mark))),
        Step::Rewind(shard, to) => drop(state.rewind_shard(shard, to)),
        Step::Begin => world.begin(),
        Step::Lower(shard, to) => world.change(|attempt| attempt.lower(shard, to)),
        Step::DropAbove(shard) => world.change(|attempt| attempt.drop_above(shard)),
        Step::Save(which, outcome) => world.save(which, outcome)?,
        Step::DropAttempt(which) => drop(world.taken(which)),
        Step::DropOrphan(shard) => world.drop_orphan(shard),
        Step::Reopen { opens } => world.reopen(opens)?,
        Step::Crash { ref tracked, damaged } => world.crash(tracked, damaged),
    }
    Ok(())
}

proptest! {
    #[test]
    fn the_two_newest_whole_checkpoints_hold_what_the_floors_say(
        is_new in any::<bool>(),
        steps in vec(step(), 1..80),
    ) {
        let mut world = World::new(is_new);
        for step in &steps {
            take(&mut world, step)?;
            world.agrees()?;
        }
    }
}
