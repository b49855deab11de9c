//! Incarnations are saved, recovered and never used again.

use repl_core::{Incarnation, NewShard, ShardId};

use crate::support::{recovered, save, saved_in};

const ONE: ShardId = ShardId(1);
const TWO: ShardId = ShardId(2);

#[test]
fn the_log_and_the_incarnation_of_a_shard_are_recovered() {
    let dir = tempfile::tempdir().unwrap();
    let log = repl_core::LogId(u128::MAX - 1);
    let mut first = recovered(dir.path(), &[1]);
    first.state.add_shard(NewShard::new(TWO).with_mark(7).with_log(log)).unwrap();
    let incarnation = first.state.shard(TWO).unwrap().incarnation();
    save(&mut first.checkpointer);
    drop(first);
    let second = recovered(dir.path(), &[1, 2]);
    let two = second.state.shard(TWO).unwrap();
    assert_eq!((two.applied(), two.log(), two.incarnation()), (7, log, incarnation));
}

#[test]
fn no_incarnation_is_used_again_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut used = Vec::new();
    for start in 0..4 {
        let mut follower = recovered(dir.path(), &[1]);
        if start == 0 {
            used.push(follower.state.shard(ONE).unwrap().incarnation());
        }
        // One shard that is saved, and one that no checkpoint holds.
        used.push(follower.state.reset_shard(NewShard::new(ONE)).unwrap().incarnation());
        save(&mut follower.checkpointer);
        follower.state.add_shard(NewShard::new(TWO)).unwrap();
        used.push(follower.state.remove_shard(TWO).unwrap().incarnation());
        let generation = save(&mut follower.checkpointer);
        let (_, checkpoint) = saved_in(dir.path(), generation);
        assert!(used.iter().all(|incarnation| *incarnation < checkpoint.next_incarnation));
    }
    assert!(used.is_sorted_by(|a, b| a < b), "{used:?}");
    assert_eq!(used[0], Incarnation(0));
}
