//! Appends, saves, deletions and crashes in random order.

use proptest::prelude::*;
use repl_checkpoint::{FileStore, Floors, SlotStore};

use super::damage::{Damage, FILES, SLOTS};
use super::world::{Floor, Gap, World};
use crate::support::AnyStore;

#[derive(Debug, Clone, Copy)]
enum Step {
    Append(u64),
    Apply(u64),
    Checkpoint,
    Delete,
    /// A crash, and the damage to the newest checkpoint.
    Crash(Option<usize>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..20_u64).prop_map(Step::Append),
        (1..20_u64).prop_map(Step::Apply),
        Just(Step::Checkpoint),
        Just(Step::Delete),
        prop::option::of(0..FILES.len().max(SLOTS.len())).prop_map(Step::Crash),
    ]
}

/// Begins with two acknowledged checkpoints, so that one is left to fall back to.
fn follows<S: AnyStore>(damages: &[Damage<S>], floor: Floor, steps: &[Step]) -> Result<(), Gap> {
    let mut world = World::<S>::new(floor);
    let first = [Step::Append(1), Step::Apply(1), Step::Checkpoint, Step::Checkpoint];
    for step in first.iter().chain(steps) {
        match *step {
            Step::Append(segments) => world.append(segments),
            Step::Apply(segments) => world.apply(segments)?,
            Step::Checkpoint => world.checkpoint(),
            Step::Delete => world.delete(),
            Step::Crash(damage) => world.crash(damage.map(|n| damages[n % damages.len()]))?,
        }
    }
    world.apply_all()?;
    world.is_whole();
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn files_damaged_at_any_time_cost_no_segment(steps in prop::collection::vec(step(), 1..60)) {
        prop_assert_eq!(follows::<FileStore>(FILES, Floors::retention_floor, &steps), Ok(()));
    }

    #[test]
    fn slots_damaged_at_any_time_cost_no_segment(steps in prop::collection::vec(step(), 1..60)) {
        prop_assert_eq!(follows::<SlotStore>(SLOTS, Floors::retention_floor, &steps), Ok(()));
    }
}
