//! The newest checkpoint is damaged, and the follower falls back and replays. No segment is
//! missing, as the leader deletes no further than the retention floor.
//!
//! A leader keeps a log of segments and deletes what the follower's floor allows. An engine applies
//! them, and a crash keeps what was flushed. In the end the engine must hold the whole log.

mod damage;
mod random;
mod world;

use repl_checkpoint::{FileStore, Floors, SlotStore};

use self::damage::{Damage, FILES, SLOTS};
use self::world::{Gap, World};
use crate::support::AnyStore;

/// Saves and deletes, then damages the newest checkpoint, recovers and replays, three times.
fn damaged_again_and_again<S: AnyStore>(damage: Damage<S>, floor: world::Floor) -> Result<(), Gap> {
    let mut world = World::<S>::new(floor);
    for round in 0..3 {
        for _ in 0..4 {
            world.append(7);
            world.apply(5)?;
            world.checkpoint();
            world.delete();
        }
        assert!(world.deleted() > 0, "nothing was deleted: nothing is shown");
        world.crash(Some(damage))?;
        // In the second round there is one save between two damages.
        if round != 1 {
            world.append(3);
            world.apply(2)?;
        }
        world.checkpoint();
        world.delete();
        world.crash(Some(damage))?;
    }
    world.apply_all()?;
    world.is_whole();
    Ok(())
}

#[test]
fn whatever_damages_the_newest_file_the_follower_falls_back_and_misses_no_segment() {
    for damage in FILES {
        let replayed = damaged_again_and_again(*damage, Floors::retention_floor);
        replayed.unwrap_or_else(|gap| panic!("{}: {gap:?}", damage.name));
    }
}

#[test]
fn whatever_damages_the_newest_slot_the_follower_falls_back_and_misses_no_segment() {
    for damage in SLOTS {
        let replayed = damaged_again_and_again(*damage, Floors::retention_floor);
        replayed.unwrap_or_else(|gap| panic!("{}: {gap:?}", damage.name));
    }
}

/// The newest checkpointed mark is not a safe floor.
#[test]
fn a_leader_that_deletes_up_to_the_checkpointed_mark_is_caught() {
    for damage in FILES {
        let missed = damaged_again_and_again::<FileStore>(*damage, Floors::checkpointed);
        assert!(missed.is_err(), "{}", damage.name);
    }
    for damage in SLOTS.iter().filter(|damage| damage.falls_back) {
        let missed = damaged_again_and_again::<SlotStore>(*damage, Floors::checkpointed);
        assert!(missed.is_err(), "{}", damage.name);
    }
}
