//! Judges the calls of a run: keeps what the store may hold, and every lease that was ever held.

use repl_checkpoint::Lease;

use super::classify::{Finding, classify};
use super::explain::{self, Compare, Explained, explain};
use super::promise::Promise;
use super::state::{Record, State};
use super::step::{Call, Outcome, Seen, Step};

/// More possible states than this are not followed.
const MOST: usize = 500;

/// What a phase was found to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    Held,
    /// Too much is in doubt.
    Unclear,
    /// A violation of a promise that is not checked.
    Skipped,
}

pub(crate) struct Judge {
    /// What the store may hold; the last look leaves one, unless something is in doubt.
    states: Vec<State>,
    /// Calls that may still have an effect, each with a number.
    doubts: Vec<(usize, Call)>,
    numbers: usize,
    /// Every lease that was ever held.
    leases: Vec<Lease>,
    skip: Vec<Promise>,
}

impl Judge {
    /// Begins with a store that has no record.
    pub(crate) fn new(skip: Vec<Promise>) -> Self {
        let states = vec![State::default()];
        Judge { states, doubts: Vec::new(), numbers: 0, leases: Vec::new(), skip }
    }

    /// Judges calls that were made at once, after all calls judged before.
    pub(crate) fn judge(&mut self, calls: &[Call]) -> Result<Judged, Finding> {
        for call in calls.iter().filter(|call| call.is_doubtful()) {
            self.numbers += 1;
            self.doubts.push((self.numbers, call.clone()));
        }
        let mut ends: Vec<State> = Vec::new();
        let mut left = explain::MOST;
        for state in &self.states {
            match explain(state, calls, &self.doubts, Compare::All, &mut left) {
                Explained::By(found) => {
                    let new: Vec<State> = found.into_iter().filter(|s| !ends.contains(s)).collect();
                    ends.extend(new);
                }
                Explained::Unclear => return Ok(Judged::Unclear),
                Explained::Never => {}
            }
        }
        self.leases.extend(calls.iter().filter_map(|call| match &call.outcome {
            Outcome::Acquired(seen) => Some(seen.lease),
            _ => None,
        }));
        if ends.is_empty() {
            let finding = classify(&self.states, calls, &self.doubts);
            let is_skipped = self.skip.contains(&finding.promise);
            return if is_skipped { Ok(Judged::Skipped) } else { Err(finding) };
        }
        if ends.len() > MOST {
            return Ok(Judged::Unclear);
        }
        self.states = ends;
        self.forget_what_is_over();
        Ok(Judged::Held)
    }

    /// A save or a renewal of a holder that was replaced has no effect any more.
    fn forget_what_is_over(&mut self) {
        let states = &self.states;
        self.doubts.retain(|(number, call)| match call.step {
            Step::Save { lease, .. } => {
                let may_be_held = |r: Record| r.lease() == Some(lease) || r.holder.is_none();
                states.iter().any(|state| state.record.is_some_and(may_be_held))
            }
            Step::Renew { lease, .. } => {
                let is_holder = |r: Record| r.holder == Some(lease.holder);
                states.iter().any(|state| state.record.is_some_and(is_holder))
            }
            Step::TakeOver(_) => states.iter().any(|state| !state.late.contains(number)),
            Step::SaveMine { .. } | Step::Load { .. } => false,
        });
    }

    /// Begins anew with what a takeover and two loads have found, whatever was there before.
    pub(crate) fn resume(&mut self, taken: Seen, kept: Vec<(u64, u64)>) {
        let Seen { lease, generation } = taken;
        let record = Record { holder: Some(lease.holder), token: lease.token, generation };
        self.states = vec![State { record: Some(record), kept, late: Vec::new() }];
        self.doubts.clear();
        self.leases.push(lease);
    }

    /// The record, the likeliest one if several are possible.
    pub(crate) fn record(&self) -> Option<Record> {
        self.states.first().and_then(|state| state.record)
    }

    /// The newest generation but one that is kept.
    pub(crate) fn older(&self) -> Option<u64> {
        let state = self.states.first()?;
        state.kept.get(1).map(|(generation, _)| *generation)
    }

    /// All leases that were replaced, by now or long ago.
    pub(crate) fn replaced(&self) -> Vec<Lease> {
        let is_now = |lease: &Lease| {
            let is = |record: Record| record.lease() == Some(*lease);
            self.states.iter().any(|state| state.record.is_some_and(is))
        };
        self.leases.iter().filter(|lease| !is_now(lease)).copied().collect()
    }
}

/// Returns a panic of a store, which is a violation by itself.
pub(crate) fn panic(calls: &[Call]) -> Option<Finding> {
    let panicked = |call: &&Call| matches!(call.outcome, Outcome::Panicked(_));
    let call = calls.iter().find(panicked)?;
    let what = call.to_string();
    Some(Finding { promise: Promise::NoPanic, writers: vec![call.writer], what })
}

#[cfg(test)]
mod tests;
