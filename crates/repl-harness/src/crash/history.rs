//! The checkpoints that a recovery may find, given every save and result so far.

use std::sync::Arc;

use super::disk::hash128;
use super::invariant::{Broken, Invariant};

/// A checkpoint as it was passed to the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Value {
    /// 0 for the empty history: no checkpoint was ever saved.
    pub(crate) generation: u64,
    pub(crate) marks: Arc<[u64]>,
    /// The hash of the file's bytes.
    pub(crate) bytes: u128,
}

/// What every process so far attempted, acknowledged and returned.
#[derive(Debug, Clone)]
pub(crate) struct History {
    /// The checkpoints that a recovery may find from here on.
    possible: Arc<Vec<Value>>,
    /// Whether any save was acknowledged.
    acknowledged: bool,
    /// The highest marks returned as checkpointed, and as floors.
    checkpointed: Arc<[u64]>,
    floors: Arc<[u64]>,
    /// Every checkpoint that was passed to a store. Tells which promise is broken.
    attempted: Arc<Vec<Value>>,
}

impl History {
    pub(crate) fn new(shards: usize) -> Self {
        let none: Arc<[u64]> = vec![0; shards].into();
        let nothing = Value { generation: 0, marks: Arc::clone(&none), bytes: 0 };
        History {
            possible: Arc::new(vec![nothing]),
            acknowledged: false,
            checkpointed: Arc::clone(&none),
            floors: none,
            attempted: Arc::default(),
        }
    }

    pub(crate) fn attempt(&mut self, value: &Value) {
        Arc::make_mut(&mut self.possible).push(value.clone());
        Arc::make_mut(&mut self.attempted).push(value.clone());
    }

    /// The save returned `Ok`: no older checkpoint may be found.
    pub(crate) fn acknowledge(&mut self, value: &Value) {
        self.possible = Arc::new(vec![value.clone()]);
        self.acknowledged = true;
    }

    pub(crate) fn has_acknowledged(&self) -> bool {
        self.acknowledged
    }

    /// The save was reported as not saved: it may not be found.
    pub(crate) fn not_saved(&mut self, value: &Value) {
        Arc::make_mut(&mut self.possible).retain(|possible| possible != value);
    }

    /// This checkpoint was found after a power cut, so it is durable.
    pub(crate) fn settle(&mut self, value: &Value) {
        self.possible = Arc::new(vec![value.clone()]);
    }

    /// These marks were returned.
    pub(crate) fn claim(&mut self, checkpointed: &[Option<u64>], floors: &[Option<u64>]) {
        raise(&mut self.checkpointed, checkpointed);
        raise(&mut self.floors, floors);
    }

    /// The newest possible checkpoint among those that were loaded, by generation and bytes.
    pub(crate) fn newest_of(&self, loaded: &[(u64, u128)]) -> Option<&Value> {
        let is_loaded = |value: &&Value| {
            value.generation == 0 || loaded.contains(&(value.generation, value.bytes))
        };
        self.possible.iter().filter(is_loaded).max_by_key(|value| value.generation)
    }

    pub(crate) fn attempted(&self) -> &[Value] {
        &self.attempted
    }

    /// Checks a recovery after crashes against everything that was returned before.
    pub(crate) fn check(&self, found: &Value) -> Result<(), Broken> {
        let text = || {
            let first = found.marks.first();
            format!("generation {} is found, with marks {first:?}..", found.generation)
        };
        if !self.possible.contains(found) {
            let newest = self.possible.iter().map(|p| p.generation).min().unwrap_or(0);
            let invariant = if found.generation != 0 && !self.attempted.contains(found) {
                Invariant::RecoveredWasWritten
            } else if found.generation < newest {
                Invariant::AcknowledgedSurvives
            } else {
                Invariant::NotSavedIsAbsent
            };
            let possible: Vec<u64> = self.possible.iter().map(|p| p.generation).collect();
            let what = format!("{}; possible generations: {possible:?}", text());
            return Err(Broken::new(invariant, what));
        }
        if !covers(&found.marks, &self.checkpointed) {
            return Err(Broken::new(Invariant::FloorsHold, text()));
        }
        self.check_floors(found)
    }

    /// Checks a recovery after damage to a file: only the floors hold.
    pub(crate) fn check_floors(&self, found: &Value) -> Result<(), Broken> {
        if covers(&found.marks, &self.floors) {
            return Ok(());
        }
        let what = format!("generation {} is found, and a floor is above it", found.generation);
        Err(Broken::new(Invariant::FloorsHold, what))
    }

    /// A key that two histories share only if every later check treats them alike.
    pub(crate) fn key(&self) -> u128 {
        hash128(&(&*self.possible, self.acknowledged, &self.checkpointed, &self.floors))
    }
}

fn covers(found: &[u64], returned: &[u64]) -> bool {
    found.len() == returned.len() && found.iter().zip(returned).all(|(found, old)| found >= old)
}

fn raise(highest: &mut Arc<[u64]>, given: &[Option<u64>]) {
    let raised = highest.iter().zip(given).map(|(high, given)| given.unwrap_or(0).max(*high));
    let raised: Arc<[u64]> = raised.collect();
    *highest = raised;
}
