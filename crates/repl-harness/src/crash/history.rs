//! What a recovery may find, given what was tried and said before.

use std::sync::Arc;

use super::disk::hash128;
use super::invariant::{Broken, Invariant};

/// A checkpoint as it was handed to the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Value {
    /// 0 for none: what is found where nothing was ever saved.
    pub(crate) generation: u64,
    pub(crate) marks: Arc<[u64]>,
    /// The hash of the file's bytes.
    pub(crate) bytes: u128,
}

/// What was tried, acknowledged and given out, in all lives so far.
#[derive(Debug, Clone)]
pub(crate) struct History {
    /// What a recovery may find from here on.
    possible: Arc<Vec<Value>>,
    /// The highest marks given out as checkpointed, and as floors.
    checkpointed: Arc<[u64]>,
    floors: Arc<[u64]>,
    /// All that was ever handed to a store; tells one broken promise from another.
    attempted: Arc<Vec<Value>>,
}

impl History {
    pub(crate) fn new(shards: usize) -> Self {
        let none: Arc<[u64]> = vec![0; shards].into();
        let nothing = Value { generation: 0, marks: Arc::clone(&none), bytes: 0 };
        History {
            possible: Arc::new(vec![nothing]),
            checkpointed: Arc::clone(&none),
            floors: none,
            attempted: Arc::default(),
        }
    }

    pub(crate) fn attempt(&mut self, value: &Value) {
        Arc::make_mut(&mut self.possible).push(value.clone());
        Arc::make_mut(&mut self.attempted).push(value.clone());
    }

    /// The save returned `Ok`: nothing older is enough any more.
    pub(crate) fn acknowledge(&mut self, value: &Value) {
        self.possible = Arc::new(vec![value.clone()]);
    }

    /// The save said that it left the older one untouched.
    pub(crate) fn not_saved(&mut self, value: &Value) {
        Arc::make_mut(&mut self.possible).retain(|possible| possible != value);
    }

    /// A power cut left just this.
    pub(crate) fn settle(&mut self, value: &Value) {
        self.acknowledge(value);
    }

    /// These were given out.
    pub(crate) fn claim(&mut self, checkpointed: &[Option<u64>], floors: &[Option<u64>]) {
        raise(&mut self.checkpointed, checkpointed);
        raise(&mut self.floors, floors);
    }

    pub(crate) fn attempted(&self) -> &[Value] {
        &self.attempted
    }

    /// Holds a recovery after crashes alone to all that was said before.
    pub(crate) fn check(&self, found: &Value) -> Result<(), Broken> {
        let said = || {
            format!("generation {} is found, with marks {:?}..", found.generation, {
                found.marks.first()
            })
        };
        if !self.possible.contains(found) {
            let newest = self.possible.iter().map(|p| p.generation).min().unwrap_or(0);
            let invariant = if found.generation != 0 && !self.attempted.contains(found) {
                Invariant::NothingUnwritten
            } else if found.generation < newest {
                Invariant::AcknowledgedSurvives
            } else {
                Invariant::NotSavedLeavesOld
            };
            let possible: Vec<u64> = self.possible.iter().map(|p| p.generation).collect();
            let what = format!("{}; possible generations: {possible:?}", said());
            return Err(Broken::new(invariant, what));
        }
        if !covers(&found.marks, &self.checkpointed) {
            return Err(Broken::new(Invariant::FloorsHold, said()));
        }
        self.check_floors(found)
    }

    /// The same after damage to a file.
    pub(crate) fn check_floors(&self, found: &Value) -> Result<(), Broken> {
        if covers(&found.marks, &self.floors) {
            return Ok(());
        }
        let what = format!("generation {} is found, and a floor is above it", found.generation);
        Err(Broken::new(Invariant::FloorsHold, what))
    }

    /// Equal where nothing that is checked from here on can differ.
    pub(crate) fn key(&self) -> u128 {
        hash128(&(&*self.possible, &self.checkpointed, &self.floors))
    }
}

fn covers(found: &[u64], said: &[u64]) -> bool {
    found.len() == said.len() && found.iter().zip(said).all(|(found, said)| found >= said)
}

fn raise(highest: &mut Arc<[u64]>, given: &[Option<u64>]) {
    let raised = highest.iter().zip(given).map(|(high, given)| given.unwrap_or(0).max(*high));
    let raised: Arc<[u64]> = raised.collect();
    *highest = raised;
}
