//! Membership of so many shards that the parts of the table divide and join, against a map.

use std::collections::BTreeMap;

use fastrand::Rng;
use repl_core::{Advance, NewShard, ReplicationState, SeqNo, ShardId};

const SHARDS: u64 = 60_000;

/// The state tracks what the map holds, as a look-up and a snapshot report it.
fn assert_same(state: &ReplicationState, map: &BTreeMap<ShardId, SeqNo>, ids: &[ShardId]) {
    let snapshot = state.snapshot();
    assert_eq!(
        snapshot.iter().collect::<Vec<_>>(),
        map.iter().map(|(s, m)| (*s, *m)).collect::<Vec<_>>()
    );
    assert_eq!(state.len(), map.len());
    for id in ids {
        assert_eq!(state.applied_seqno(*id), map.get(id).copied(), "{id}");
    }
}

#[test]
fn shards_that_come_and_go_are_those_of_a_map() {
    let mut rng = Rng::with_seed(7);
    let ids: Vec<ShardId> = (0..SHARDS).map(|i| ShardId(i * 3 + rng.u64(..3))).collect();
    let (state, mut map) = (ReplicationState::new(&[]), BTreeMap::new());
    for round in 0..6 {
        let mut mixed = ids.clone();
        rng.shuffle(&mut mixed);
        let absent = |id: &&ShardId| !map.contains_key(*id);
        let new: Vec<NewShard> = mixed
            .iter()
            .filter(absent)
            .take(25_000)
            .map(|id| NewShard::new(*id).with_mark(1))
            .collect();
        let (many, single) = new.split_at(new.len() / 8 * 7);
        state.add_shards(many).unwrap();
        for new in single {
            state.add_shard(*new).unwrap();
        }
        map.extend(new.iter().map(|new| (new.shard, 1)));
        assert_same(&state, &map, &ids);

        for id in mixed.iter().filter(|id| map.contains_key(id)).take(2_000).collect::<Vec<_>>() {
            assert!(matches!(
                state.advance(*id, 2 + round),
                Advance::Advanced { .. } | Advance::Stale { .. }
            ));
            map.entry(*id).and_modify(|mark| *mark = (*mark).max(2 + round));
        }
        for id in mixed
            .iter()
            .filter(|id| map.contains_key(id))
            .skip(1_000)
            .take(2_000)
            .collect::<Vec<_>>()
        {
            state.reset_shard(NewShard::new(*id).with_mark(9)).unwrap();
            map.insert(*id, 9);
        }
        assert_same(&state, &map, &ids);

        // In the last round all go.
        let leave = if round == 5 { map.len() } else { 15_000 };
        rng.shuffle(&mut mixed);
        let gone: Vec<ShardId> =
            mixed.into_iter().filter(|id| map.contains_key(id)).take(leave).collect();
        let (many, single) = gone.split_at(gone.len() / 8 * 7);
        assert_eq!(state.remove_shards(many).len(), many.len());
        for id in single {
            state.remove_shard(*id).unwrap();
        }
        for id in &gone {
            map.remove(id);
        }
        assert_same(&state, &map, &ids);
    }
    assert!(state.is_empty());
}
