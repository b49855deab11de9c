//! Membership of so many shards that the parts of the table divide and join, against a map.

use std::collections::BTreeMap;

use fastrand::Rng;
use repl_core::{Advance, LogId, NewShard, ReplicationState, SeqNo, ShardId, Snapshot};

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
            state.add_shard(new.clone()).unwrap();
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

/// A mark, a log, and the number of an incarnation.
type Entry = (SeqNo, LogId, u64);
type Model = BTreeMap<ShardId, Entry>;

fn entries(snapshot: &Snapshot) -> Model {
    let entry = |e: repl_core::SnapshotEntry| (e.shard, (e.mark(), e.log, e.incarnation.0));
    snapshot.entries().map(entry).collect()
}

/// Adds, resets and removes shards in `state` and in `model`, some at a time and one by one. Most
/// have one log.
fn change(rng: &mut Rng, state: &ReplicationState, model: &mut Model, ids: u64) {
    let log = |rng: &mut Rng| LogId::from(rng.u64(..8) / 7);
    let mut incarnation = state.snapshot().next_incarnation().0;
    for some in [1, 1, 1, 40, 1, 700] {
        let mut shards: Vec<ShardId> = (0..some).map(|_| ShardId(rng.u64(..ids))).collect();
        shards.sort_unstable();
        shards.dedup();
        let (present, absent): (Vec<_>, Vec<_>) =
            shards.into_iter().partition(|shard| model.contains_key(shard));
        let log = log(rng);
        let new = |shard: &ShardId| NewShard::new(*shard).with_mark(some).with_log(log);
        if !absent.is_empty() {
            state.add_shards(&absent.iter().map(new).collect::<Vec<_>>()).unwrap();
            model.extend(absent.iter().map(|shard| (*shard, (some, log, incarnation))));
            incarnation += 1;
        }
        let (reset, gone) = present.split_at(present.len() / 2);
        for shard in reset {
            state.reset_shard(new(shard)).unwrap();
            model.insert(*shard, (some, log, incarnation));
            incarnation += 1;
        }
        let removed: Vec<_> = state.remove_shards(gone).iter().map(repl_core::Shard::id).collect();
        assert_eq!(removed, gone);
        model.retain(|shard, _| gone.binary_search(shard).is_err());
    }
    assert_eq!(state.snapshot().next_incarnation().0, incarnation);
}

#[test]
fn logs_and_incarnations_of_many_shards_are_those_of_a_map_and_earlier_snapshots_stay_as_they_are()
{
    let mut rng = Rng::with_seed(11);
    let ids = 6_000;
    let all: Vec<ShardId> = (0..ids).step_by(2).map(ShardId).collect();
    let state = ReplicationState::new(&all);
    let mut model: Model = all.iter().map(|id| (*id, (0, LogId::UNNAMED, 0))).collect();
    let mut earlier = vec![(state.snapshot(), model.clone())];
    for round in 0..40 {
        change(&mut rng, &state, &mut model, ids);
        if round % 4 > 0 {
            // Most changes are made while a snapshot shares all runs, some while none does.
            earlier.push((state.snapshot(), model.clone()));
        } else {
            earlier.clear();
        }
        let restored = ReplicationState::restore(&state.snapshot());
        assert_eq!(entries(&restored.snapshot()), model);
        for (snapshot, model) in &earlier {
            assert_eq!(entries(snapshot), *model);
        }
    }
}

#[test]
fn comparing_many_shards_says_what_two_maps_say() {
    let mut rng = Rng::with_seed(13);
    let ids = 3_000;
    let state = ReplicationState::new(&(0..ids).step_by(3).map(ShardId).collect::<Vec<_>>());
    let mut model = entries(&state.snapshot());
    for _ in 0..30 {
        let (before, model_before) = (state.snapshot(), model.clone());
        change(&mut rng, &state, &mut model, ids);
        let now = state.snapshot();

        let lag = |(id, (mark, ..)): (&ShardId, &Entry)| {
            (*id, mark.saturating_sub(model_before.get(id).map_or(0, |entry| entry.0)))
        };
        let all = model.iter().map(lag).collect::<Vec<_>>();
        assert_eq!(before.lag(&now).collect::<Vec<_>>(), all);

        let advanced = |(id, (mark, _, incarnation)): (&ShardId, &Entry)| {
            let same = model_before.get(id).filter(|before| before.2 == *incarnation);
            mark.saturating_sub(same.map_or(0, |before| before.0))
        };
        assert_eq!(now.advanced_since(&before), model.iter().map(advanced).sum::<u64>());

        let is_behind = |(id, (mark, log, _)): (&ShardId, &Entry)| {
            model.get(id).is_some_and(|now| now.0 >= *mark && now.1.may_be(*log))
        };
        assert_eq!(now.dominates(&before), model_before.iter().all(is_behind));
        let kept: Snapshot =
            before.entries().filter(|e| is_behind((&e.shard, &model_before[&e.shard]))).collect();
        assert!(now.dominates(&kept));

        let both = entries(&now.max(&before));
        assert_eq!(
            both.len(),
            model.len() + model_before.keys().filter(|id| !model.contains_key(id)).count()
        );
        for (id, entry) in both {
            let of = [model.get(&id), model_before.get(&id)].into_iter().flatten();
            let largest = of.max_by_key(|(mark, log, incarnation)| (*mark, *incarnation, *log));
            assert_eq!(Some(&entry), largest, "{id}");
        }
    }
}
