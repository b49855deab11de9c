//! Any sequence of calls gives what a plain map gives.

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

/// One life of a shard, in the model.
#[derive(Debug, Clone, Copy)]
struct Life {
    log: LogId,
    mark: u64,
    removed: bool,
}

/// The state in the most naive form: every life that ever was, and which of them is the shard's.
#[derive(Default)]
struct Model {
    lives: Vec<Life>,
    now: BTreeMap<ShardId, usize>,
}

fn raise(life: &mut Life, to: u64) -> Advance {
    if life.removed {
        return Advance::Removed;
    }
    let from = life.mark;
    if to <= from {
        return Advance::Stale { at: from };
    }
    life.mark = to;
    Advance::Advanced { from }
}

impl Model {
    fn begin(&mut self, new: NewShard) {
        let life = Life { log: new.log, mark: new.mark, removed: false };
        self.lives.push(life);
        self.now.insert(new.shard, self.lives.len() - 1);
    }

    fn end(&mut self, shard: ShardId) -> bool {
        let ended = self.now.remove(&shard);
        if let Some(life) = ended {
            self.lives[life].removed = true;
        }
        ended.is_some()
    }

    fn advance(&mut self, shard: ShardId, to: u64) -> Advance {
        match self.now.get(&shard) {
            Some(life) => raise(&mut self.lives[*life], to),
            None => Advance::UnknownShard,
        }
    }

    fn marks(&self) -> Vec<(ShardId, LogId, u64)> {
        let of = |(shard, life): (&ShardId, &usize)| {
            let life = self.lives[*life];
            (*shard, life.log, life.mark)
        };
        self.now.iter().map(of).collect()
    }
}

struct Both {
    state: ReplicationState,
    model: Model,
    /// Handles with the life that each speaks of, old ones too.
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
                let added = self.state.add_shard(new);
                let known = self.model.now.contains_key(&new.shard);
                prop_assert_eq!(added.is_err(), known);
                if let Ok(handle) = added {
                    self.model.begin(new);
                    prop_assert_eq!(handle.applied(), new.mark);
                    self.handles.push((handle, self.model.lives.len() - 1));
                }
            }
            Call::AddMany(many) => self.add_many(&many)?,
            Call::Reset(new) => {
                let reset = self.state.reset_shard(new);
                prop_assert_eq!(reset.is_some(), self.model.end(new.shard));
                if let Some(handle) = reset {
                    self.model.begin(new);
                    self.handles.push((handle, self.model.lives.len() - 1));
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
                let life = self.model.now.get(&shard);
                prop_assert_eq!(handle.is_some(), life.is_some());
                self.handles.extend(handle.zip(life.copied()));
            }
            Call::AdvanceHandle(which, to) if !self.handles.is_empty() => {
                let (handle, life) = which.get(&self.handles);
                let expected = raise(&mut self.model.lives[*life], to);
                prop_assert_eq!(handle.advance(to), expected);
            }
            Call::AdvanceHandleFrom(which, expected, to) if !self.handles.is_empty() => {
                let (handle, life) = which.get(&self.handles);
                let life = &mut self.model.lives[*life];
                let gap = !life.removed && life.mark < expected.min(to);
                let outcome = if gap { Advance::Gap { at: life.mark } } else { raise(life, to) };
                prop_assert_eq!(handle.advance_from(expected, to), outcome);
            }
            Call::TakeSnapshot => self.snapshots.push(self.state.snapshot()),
            Call::Merge(which) if !self.snapshots.is_empty() => {
                let snapshot = which.get(&self.snapshots);
                let merged = self.state.merge(snapshot);
                let (mut moved, mut unknown) = (0, Vec::new());
                for (shard, mark) in snapshot {
                    match self.model.advance(shard, mark) {
                        Advance::Advanced { .. } => moved += 1,
                        Advance::UnknownShard => unknown.push(shard),
                        _ => {}
                    }
                }
                prop_assert_eq!((merged.moved, merged.unknown), (moved, unknown));
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
                self.model.begin(*new);
            }
        }
        Ok(())
    }

    /// Handles of the old state live on there and must not touch the copy: their lives part from
    /// those of the model's shards.
    fn go_on_with_clone(&mut self) {
        self.state = self.state.clone();
        for life in self.model.now.values_mut() {
            self.model.lives.push(self.model.lives[*life]);
            *life = self.model.lives.len() - 1;
        }
    }

    fn agree(&self) -> Result<(), TestCaseError> {
        let snapshot = self.state.snapshot();
        let whole = |e: SnapshotEntry| (e.shard, e.log, e.mark);
        prop_assert_eq!(snapshot.entries().map(whole).collect::<Vec<_>>(), self.model.marks());
        for shard in (0..6).map(ShardId) {
            let mark = self.model.now.get(&shard).map(|life| self.model.lives[*life].mark);
            prop_assert_eq!(self.state.applied_seqno(shard), mark);
        }
        for (handle, life) in &self.handles {
            let life = self.model.lives[*life];
            prop_assert_eq!((handle.applied(), handle.is_removed()), (life.mark, life.removed));
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
