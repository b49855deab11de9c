//! Changes in random order, saved as deltas where the store takes them, are read back as they were.

use std::collections::BTreeMap;

use proptest::prelude::*;
use repl_checkpoint::{
    Checkpoint, CheckpointStore, Codec, DeltaHeader, Generation, Save, ShardCheckpoint, SlotStore,
};
use repl_core::{Incarnation, SeqRange, ShardId};

use crate::protocol::open_slots;
use crate::support::faulty::Faulty;
use crate::support::{STORE, codecs, header, shard};

#[derive(Debug, Clone, Copy)]
enum Step {
    Add(u64),
    Remove(u64),
    Reset(u64),
    Advance(u64, u64),
    Range(u64),
    Save,
    /// A save of a whole checkpoint.
    Whole,
    /// The process ends, and another begins.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..12_u64).prop_map(Step::Add),
        2 => (0..12_u64).prop_map(Step::Remove),
        1 => (0..12_u64).prop_map(Step::Reset),
        4 => (0..12_u64, 1..9_u64).prop_map(|(id, by)| Step::Advance(id, by)),
        2 => (0..12_u64).prop_map(Step::Range),
        8 => Just(Step::Save),
        1 => Just(Step::Whole),
        1 => Just(Step::Restart),
    ]
}

struct World {
    codec: &'static dyn Codec,
    disk: Faulty,
    store: SlotStore<Faulty>,
    now: Checkpoint,
    saved: BTreeMap<Generation, Checkpoint>,
    deltas: usize,
}

impl World {
    fn new(codec: &'static dyn Codec) -> Self {
        let disk = Faulty::new();
        let store = open_slots(&disk).unwrap();
        let (now, saved) = (Checkpoint::default(), BTreeMap::new());
        World { codec, disk, store, now, saved, deltas: 0 }
    }

    fn find(&mut self, id: u64) -> Result<usize, usize> {
        self.now.shards.binary_search_by_key(&ShardId(id), |row| row.shard)
    }

    fn next_incarnation(&mut self) -> Incarnation {
        let next = self.now.next_incarnation;
        self.now.next_incarnation = Incarnation(next.0 + 1);
        next
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Add(id) => {
                if let Err(at) = self.find(id) {
                    let incarnation = self.next_incarnation();
                    self.now.shards.insert(at, ShardCheckpoint { incarnation, ..shard(id, id) });
                }
            }
            Step::Remove(id) => {
                if let Ok(at) = self.find(id) {
                    self.now.shards.remove(at);
                }
            }
            Step::Reset(id) => {
                if let Ok(at) = self.find(id) {
                    let incarnation = self.next_incarnation();
                    self.now.shards[at] = ShardCheckpoint { incarnation, ..shard(id, 0) };
                }
            }
            Step::Advance(id, by) => {
                if let Ok(at) = self.find(id) {
                    let row = &mut self.now.shards[at];
                    row.mark = row.completed.last().map_or(row.mark, SeqRange::last) + by;
                    row.completed = Box::default();
                }
            }
            Step::Range(id) => {
                if let Ok(at) = self.find(id) {
                    let row = &mut self.now.shards[at];
                    let last = row.completed.last().map_or(row.mark, SeqRange::last);
                    let mut completed = row.completed.to_vec();
                    completed.push(SeqRange::new(last + 2, last + 3));
                    row.completed = completed.into();
                }
            }
            Step::Save => self.save(true),
            Step::Whole => self.save(false),
            Step::Restart => {
                self.store = open_slots(&Faulty::new()).unwrap(); // frees the lock
                self.store = open_slots(&self.disk).unwrap();
                self.is_found();
            }
        }
    }

    fn save(&mut self, as_delta: bool) {
        let generation = self.saved.keys().last().map_or(1, |newest| newest + 1);
        let header = header(generation);
        let base = self.store.delta_base().filter(|_| as_delta);
        let delta = base.map(|base| {
            let old = &self.saved[&base.generation];
            let changed = self.now.shards.iter().filter(|row| old.shard(row.shard) != Some(row));
            let removed = old.shards.iter().map(|row| row.shard);
            let removed: Vec<_> = removed.filter(|id| self.now.shard(*id).is_none()).collect();
            let changed = Checkpoint { shards: changed.cloned().collect(), ..self.now.clone() };
            let delta = DeltaHeader { header, base: base.generation, link: base.link };
            (base, changed.rows().seal_delta(self.codec, delta, &removed).unwrap())
        });
        let delta = delta.filter(|(base, bytes)| bytes.len() <= base.room);
        let (base, bytes) = match delta {
            Some((base, bytes)) => (Some(base.generation), bytes),
            None => (None, self.now.seal(self.codec, header).unwrap()),
        };
        self.deltas += usize::from(base.is_some());
        let confirmed = generation - 1;
        self.store.save(Save { generation, confirmed, bytes: &bytes, base }).unwrap();
        self.saved.insert(generation, self.now.clone());
        self.is_found();
    }

    /// Every candidate is what was saved as its generation, the newest first.
    fn is_found(&mut self) {
        let candidates: Vec<_> = self.store.load().unwrap().collect();
        let newest = self.saved.keys().last().copied();
        assert_eq!(candidates.first().and_then(|found| found.generation), newest);
        for candidate in candidates {
            let (header, found) = candidate.unseal(self.codec, STORE).unwrap();
            assert_eq!(Some(&found), self.saved.get(&header.generation));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn whatever_changes_is_read_back(steps in prop::collection::vec(step(), 1..120)) {
        for codec in codecs() {
            let mut world = World::new(codec);
            for step in &steps {
                world.step(*step);
            }
        }
    }
}

#[test]
fn most_saves_in_the_middle_of_a_process_are_deltas() {
    let mut world = World::new(codecs()[0]);
    for id in 0..12 {
        world.step(Step::Add(id));
    }
    for id in 0..60 {
        world.step(Step::Advance(id % 12, 1));
        world.step(Step::Save);
    }
    assert!(world.deltas > 40, "{}", world.deltas);
}
