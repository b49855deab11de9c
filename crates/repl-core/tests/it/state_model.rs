//! Any sequence of calls of a state has the same results as on a plain map.

use std::collections::BTreeMap;

use proptest::prelude::*;
use repl_core::{
    Advance, LogId, NewShard, ReplicationState, Shard, ShardId, Snapshot, SnapshotEntry,
};

#[derive(Debug, Clone)]
enum Call {
    Add(NewShard),
    AddMany(Vec<NewShard>),
    Reset(NewShard),
    Rewind(ShardId, u64),
    Remove(ShardId),
    Advance(ShardId, u64),
    TakeHandle(ShardId),
    AdvanceHandle(prop::sample::Index, u64),
    AdvanceHandleFrom(prop::sample::Index, u64, u64),
    TakeSnapshot,
    Merge(prop::sample::Index),
    GoOnWithClone,
}

fn call() -> impl Strategy<Value = Call> {
    let shard = || (0..5_u64).prop_map(ShardId);
    let mark = || prop_oneof![4 => 0..12_u64, 1 => Just(u64::MAX)];
    let new = || {
        (shard(), mark(), 0..3_u128).prop_map(|(shard, mark, log)| {
            NewShard::new(shard).with_mark(mark).with_log(LogId(log))
        })
    };
    let index = || any::<prop::sample::Index>();
    prop_oneof![
        3 => new().prop_map(Call::Add),
        1 => prop::collection::vec(new(), 0..4).prop_map(Call::AddMany),
        2 => new().prop_map(Call::Reset),
        1 => (shard(), mark()).prop_map(|(s, m)| Call::Rewind(s, m)),
        2 => shard().prop_map(Call::Remove),
        6 => (shard(), mark()).prop_map(|(s, m)| Call::Advance(s, m)),
        3 => shard().prop_map(Call::TakeHandle),
        6 => (index(), mark()).prop_map(|(i, m)| Call::AdvanceHandle(i, m)),
        3 => (index(), mark(), mark()).prop_map(|(i, a, b)| Call::AdvanceHandleFrom(i, a, b)),
        2 => Just(Call::TakeSnapshot),
        1 => index().prop_map(Call::Merge),
        1 => Just(Call::GoOnWithClone),
    ]
}

/// One incarnation of a shard, in the model.
#[derive(Debug, Clone, Copy)]
struct Incarnation {
    log: LogId,
    mark: u64,
    removed: bool,
}

/// The state as a plain map: every incarnation so far, and the present one of each shard.
#[derive(Default)]
struct Model {
    incarnations: Vec<Incarnation>,
    now: BTreeMap<ShardId, usize>,
}

fn raise(incarnation: &mut Incarnation, to: u64) -> Advance {
    if incarnation.removed {
        return Advance::Removed;
    }
    let from = incarnation.mark;
    if to <= from {
        return Advance::Stale { at: from };
    }
    incarnation.mark = to;
    Advance::Advanced { from }
}

impl Model {
    fn begin(&mut self, new: &NewShard) {
        let incarnation = Incarnation { log: new.log, mark: new.mark, removed: false };
        self.incarnations.push(incarnation);
        self.now.insert(new.shard, self.incarnations.len() - 1);
    }

    fn end(&mut self, shard: ShardId) -> bool {
        let ended = self.now.remove(&shard);
        if let Some(incarnation) = ended {
            self.incarnations[incarnation].removed = true;
        }
        ended.is_some()
    }

    fn advance(&mut self, shard: ShardId, to: u64) -> Advance {
        match self.now.get(&shard) {
            Some(incarnation) => raise(&mut self.incarnations[*incarnation], to),
            None => Advance::UnknownShard,
        }
    }

    /// The log of a shard, unnamed for one that is not tracked.
    fn log(&self, shard: ShardId) -> LogId {
        let now = self.now.get(&shard);
        now.map_or(LogId::UNNAMED, |incarnation| self.incarnations[*incarnation].log)
    }

    /// Whether the shard follows another named log than `log`.
    fn follows_another(&self, shard: ShardId, log: LogId) -> bool {
        let ours = self.log(shard);
        ours != log && ours != LogId::UNNAMED && log != LogId::UNNAMED
    }

    fn marks(&self) -> Vec<(ShardId, LogId, u64)> {
        let of = |(shard, incarnation): (&ShardId, &usize)| {
            let incarnation = self.incarnations[*incarnation];
            (*shard, incarnation.log, incarnation.mark)
        };
        self.now.iter().map(of).collect()
    }
}

struct Both {
    state: ReplicationState,
    model: Model,
    /// Handles of present and ended incarnations, each with its incarnation in the model.
    handles: Vec<(Shard, usize)>,
    snapshots: Vec<Snapshot>,
}

impl Both {
    fn new() -> Self {
        Both {
            state: ReplicationState::new(&[]),
            model: Model::default(),
            handles: Vec::new(),
            snapshots: Vec::new(),
        }
    }

    fn apply(&mut self, call: Call) -> Result<(), TestCaseError> {
        match call {
            Call::Add(new) => {
                let added = self.state.add_shard(new.clone());
                let known = self.model.now.contains_key(&new.shard);
                prop_assert_eq!(added.is_err(), known);
                if let Ok(handle) = added {
                    self.model.begin(&new);
                    prop_assert_eq!(handle.applied(), new.mark);
                    self.handles.push((handle, self.model.incarnations.len() - 1));
                }
            }
            Call::AddMany(many) => self.add_many(&many)?,
            Call::Reset(new) => {
                let reset = self.state.reset_shard(new.clone());
                prop_assert_eq!(reset.is_some(), self.model.end(new.shard));
                if let Some(handle) = reset {
                    self.model.begin(&new);
                    self.handles.push((handle, self.model.incarnations.len() - 1));
                }
            }
            Call::Rewind(shard, to) => {
                let log = self.model.log(shard);
                let rewound = self.state.rewind_shard(shard, to);
                prop_assert_eq!(rewound.is_some(), self.model.end(shard));
                if let Some(handle) = rewound {
                    self.model.begin(&NewShard::new(shard).with_mark(to).with_log(log));
                    self.handles.push((handle, self.model.incarnations.len() - 1));
                }
            }
            Call::Remove(shard) => {
                let removed = self.state.remove_shard(shard);
                prop_assert_eq!(removed.is_some(), self.model.end(shard));
            }
            Call::Advance(shard, to) => {
                let outcome = self.state.advance(shard, to);
                prop_assert_eq!(outcome, self.model.advance(shard, to));
            }
            Call::TakeHandle(shard) => {
                let handle = self.state.shard(shard);
                let incarnation = self.model.now.get(&shard);
                prop_assert_eq!(handle.is_some(), incarnation.is_some());
                self.handles.extend(handle.zip(incarnation.copied()));
            }
            Call::AdvanceHandle(which, to) if !self.handles.is_empty() => {
                let (handle, incarnation) = which.get(&self.handles);
                let expected = raise(&mut self.model.incarnations[*incarnation], to);
                prop_assert_eq!(handle.advance(to), expected);
            }
            Call::AdvanceHandleFrom(which, expected, to) if !self.handles.is_empty() => {
                let (handle, incarnation) = which.get(&self.handles);
                let incarnation = &mut self.model.incarnations[*incarnation];
                let gap = !incarnation.removed && incarnation.mark < expected.min(to);
                let outcome = if gap {
                    Advance::Gap { at: incarnation.mark }
                } else {
                    raise(incarnation, to)
                };
                prop_assert_eq!(handle.advance_from(expected, to), outcome);
            }
            Call::TakeSnapshot => self.snapshots.push(self.state.snapshot()),
            Call::Merge(which) if !self.snapshots.is_empty() => {
                let snapshot = which.get(&self.snapshots);
                let merged = self.state.merge(snapshot);
                let (mut moved, mut unknown) = (0, Vec::new());
                let mut other_log = Vec::new();
                for entry in snapshot.entries() {
                    if self.model.follows_another(entry.shard, entry.log) {
                        other_log.push(entry.shard);
                        continue;
                    }
                    match self.model.advance(entry.shard, entry.mark()) {
                        Advance::Advanced { .. } => moved += 1,
                        Advance::UnknownShard => unknown.push(entry.shard),
                        _ => {}
                    }
                }
                prop_assert_eq!((merged.advanced, merged.unknown), (moved, unknown));
                prop_assert_eq!(merged.other_log, other_log);
            }
            Call::AdvanceHandle(..) | Call::AdvanceHandleFrom(..) | Call::Merge(_) => {}
            Call::GoOnWithClone => self.go_on_with_clone(),
        }
        Ok(())
    }

    fn add_many(&mut self, many: &[NewShard]) -> Result<(), TestCaseError> {
        let mut ids: Vec<_> = many.iter().map(|new| new.shard).collect();
        ids.sort_unstable();
        ids.dedup();
        let doubled = ids.len() < many.len();
        let known = ids.iter().any(|id| self.model.now.contains_key(id));
        let added = self.state.add_shards(many);
        prop_assert_eq!(added.is_err(), doubled || known);
        if added.is_ok() {
            for new in many {
                self.model.begin(new);
            }
        }
        Ok(())
    }

    /// Handles of the old state must not change the clone: they keep their incarnations in the model,
    /// and the shards get copies.
    fn go_on_with_clone(&mut self) {
        self.state = self.state.clone();
        for incarnation in self.model.now.values_mut() {
            self.model.incarnations.push(self.model.incarnations[*incarnation]);
            *incarnation = self.model.incarnations.len() - 1;
        }
    }

    fn agree(&self) -> Result<(), TestCaseError> {
        let snapshot = self.state.snapshot();
        let whole = |e: SnapshotEntry| (e.shard, e.log, e.mark());
        prop_assert_eq!(snapshot.entries().map(whole).collect::<Vec<_>>(), self.model.marks());
        for shard in (0..6).map(ShardId) {
            let mark = self
                .model
                .now
                .get(&shard)
                .map(|incarnation| self.model.incarnations[*incarnation].mark);
            prop_assert_eq!(self.state.applied_seqno(shard), mark);
        }
        for (handle, incarnation) in &self.handles {
            let incarnation = self.model.incarnations[*incarnation];
            prop_assert_eq!(
                (handle.applied(), handle.is_removed()),
                (incarnation.mark, incarnation.removed)
            );
        }
        let next = snapshot.next_incarnation();
        prop_assert!(snapshot.entries().all(|e| e.incarnation < next));
        prop_assert!(self.snapshots.iter().all(|old| old.next_incarnation() <= next));
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_state_agrees_with_a_plain_map(calls in prop::collection::vec(call(), 1..60)) {
        let mut both = Both::new();
        for call in calls {
            both.apply(call)?;
            both.agree()?;
        }
    }
}
