//! What a store holds, and what each call makes of it: the trait's promises as a function.

use repl_checkpoint::{Generation, Lease};

use super::step::{Call, Outcome, Seen, Step};

/// A record. Its holder is not known where a takeover is in doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) holder: Option<u128>,
    pub(crate) token: u64,
    pub(crate) generation: Generation,
}

impl Record {
    fn is(&self, seen: &Seen) -> bool {
        self.holder.is_none_or(|holder| holder == seen.lease.holder)
            && (self.token, self.generation) == (seen.lease.token, seen.generation)
    }

    fn is_held_by(&self, lease: Lease) -> bool {
        self.holder == Some(lease.holder) && self.token == lease.token
    }

    /// The lease, where the holder is known.
    pub(crate) fn lease(&self) -> Option<Lease> {
        self.holder.map(|holder| Lease { holder, token: self.token })
    }
}

/// What a store may hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct State {
    pub(crate) record: Option<Record>,
    /// The newest generations and their contents, the newest first; at most two.
    pub(crate) kept: Vec<(Generation, u64)>,
    /// Takeovers in doubt that have taken effect, by their numbers, sorted.
    pub(crate) late: Vec<usize>,
}

impl State {
    /// What the state is after a call, or `None` if its condition is false. `made` is what the call
    /// says to have made; without it, the holder of a takeover is not known.
    pub(crate) fn after(&self, step: &Step, made: Option<&Seen>) -> Option<State> {
        let mut state = self.clone();
        match *step {
            Step::TakeOver(at_least) => {
                let token = match (self.record, at_least) {
                    (None, None) => made.map_or(1, |made| made.lease.token),
                    (None, Some(_)) => return None,
                    (Some(found), least) => {
                        let least = least.unwrap_or_default();
                        if found.token < least.token || found.generation < least.generation {
                            return None;
                        }
                        found.token.checked_add(1)?
                    }
                };
                let holder = made.map(|made| made.lease.holder);
                if holder.is_some() && holder == self.record.and_then(|record| record.holder) {
                    return None; // it must be a new one
                }
                let generation = self.record.map_or(0, |record| record.generation);
                state.record = Some(Record { holder, token, generation });
            }
            Step::Renew { lease, token } => {
                let record = state.record.as_mut()?;
                if record.holder != Some(lease.holder) || record.token >= token {
                    return None;
                }
                record.token = token;
            }
            Step::Save { lease, previous, generation, content } => {
                let record = state.record.as_mut()?;
                if !record.is_held_by(lease) || record.generation != previous {
                    return None;
                }
                record.generation = generation;
                state.kept.insert(0, (generation, content));
                state.kept.truncate(2);
            }
            Step::SaveMine { .. } | Step::Load { .. } => return None,
        }
        made.is_none_or(|made| state.shows(Some(made))).then_some(state)
    }

    /// Whether a look at this state would show this record.
    pub(crate) fn shows(&self, seen: Option<&Seen>) -> bool {
        match (self.record, seen) {
            (None, None) => true,
            (Some(record), Some(seen)) => record.is(seen),
            _ => false,
        }
    }

    /// What a load returns.
    pub(crate) fn load(&self, at_most: Generation) -> Option<(Generation, u64)> {
        self.kept.iter().find(|(generation, _)| *generation <= at_most).copied()
    }

    /// Whether a call that has changed nothing gets this outcome, in this state.
    pub(crate) fn answers(&self, call: &Call) -> bool {
        match (&call.step, &call.outcome) {
            (Step::Load { at_most }, Outcome::Loaded(found)) => {
                let kept =
                    self.load(*at_most).map(|(generation, content)| (generation, Some(content)));
                *found == kept
            }
            (step, Outcome::Refused(_)) => self.after(step, None).is_none(),
            _ => true,
        }
    }
}
