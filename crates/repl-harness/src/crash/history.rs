//! The checkpoints that a recovery may find, given every save and result so far.

use std::sync::Arc;

use super::disk::hash128;
use super::invariant::{Invariant, Violation};

/// A checkpoint as it was passed to a store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Written {
    /// 0 if no checkpoint was ever saved.
    pub generation: u64,
    /// The mark of each shard.
    pub marks: Arc<[u64]>,
    /// A hash of the bytes, and of those that a delta builds on; 0 if no checkpoint was ever saved.
    pub bytes: u128,
}

/// What every process so far attempted, acknowledged and returned: decides which checkpoints a
/// recovery may find.
#[derive(Debug, Clone)]
pub struct History {
    /// The checkpoints that a recovery may find from here on.
    possible: Arc<Vec<Written>>,
    /// Whether any save was acknowledged.
    acknowledged: bool,
    /// The highest marks returned as checkpointed, and as floors.
    checkpointed: Arc<[u64]>,
    floors: Arc<[u64]>,
    /// Every checkpoint that was passed to a store. Tells which promise is broken.
    attempted: Arc<Vec<Written>>,
}

impl History {
    /// Creates the history of a store that was never opened, for checkpoints of this many shards.
    pub fn new(shards: usize) -> Self {
        let none: Arc<[u64]> = vec![0; shards].into();
        let nothing = Written { generation: 0, marks: Arc::clone(&none), bytes: 0 };
        History {
            possible: Arc::new(vec![nothing]),
            acknowledged: false,
            checkpointed: Arc::clone(&none),
            floors: none,
            attempted: Arc::default(),
        }
    }

    /// A save begins: from here on a recovery may find this checkpoint.
    pub fn attempt(&mut self, value: &Written) {
        Arc::make_mut(&mut self.possible).push(value.clone());
        Arc::make_mut(&mut self.attempted).push(value.clone());
    }

    /// The save returned `Ok`: no older checkpoint may be found.
    pub fn acknowledge(&mut self, value: &Written) {
        self.possible = Arc::new(vec![value.clone()]);
        self.acknowledged = true;
    }

    pub(crate) fn has_acknowledged(&self) -> bool {
        self.acknowledged
    }

    /// The save was reported as not saved: it may not be found.
    pub fn not_saved(&mut self, value: &Written) {
        Arc::make_mut(&mut self.possible).retain(|possible| possible != value);
    }

    /// This checkpoint was found after a power cut, so it is durable.
    pub fn settle(&mut self, value: &Written) {
        self.possible = Arc::new(vec![value.clone()]);
    }

    /// These checkpointed marks and floors were returned, one for each shard.
    pub fn claim(&mut self, checkpointed: &[Option<u64>], floors: &[Option<u64>]) {
        raise(&mut self.checkpointed, checkpointed);
        raise(&mut self.floors, floors);
    }

    /// The newest possible checkpoint among those that were loaded, by generation and bytes.
    pub(crate) fn newest_of(&self, loaded: &[(u64, u128)]) -> Option<&Written> {
        let is_loaded = |value: &&Written| {
            value.generation == 0 || loaded.contains(&(value.generation, value.bytes))
        };
        self.possible.iter().filter(is_loaded).max_by_key(|value| value.generation)
    }

    /// Returns every checkpoint that was passed to a store, in order.
    pub fn attempted(&self) -> &[Written] {
        &self.attempted
    }

    /// Checks a recovery after crashes against everything that was returned before.
    ///
    /// # Errors
    /// The promise that it breaks.
    pub fn check(&self, found: &Written) -> Result<(), Violation> {
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
            return Err(Violation::new(invariant, what));
        }
        if !covers(&found.marks, &self.checkpointed) {
            return Err(Violation::new(Invariant::FloorsHold, text()));
        }
        self.check_floors(found)
    }

    /// Checks a recovery after damage to a file: only the floors hold.
    pub(crate) fn check_floors(&self, found: &Written) -> Result<(), Violation> {
        if covers(&found.marks, &self.floors) {
            return Ok(());
        }
        let what = format!("generation {} is found, and a floor is above it", found.generation);
        Err(Violation::new(Invariant::FloorsHold, what))
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
