//! What the writers do in each phase of a round.

use fastrand::Rng;
use repl_checkpoint::{Lease, Witness};

use super::judge::Judge;
use super::step::{Order, Step};

/// The race in the middle of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// All save over one generation, under one lease.
    Saves,
    /// All renew one lease to the same token.
    SameRenewals,
    /// All renew one lease, to different tokens.
    Renewals,
    /// Each takes over, and saves under what it got.
    TakeOvers,
    /// Saves, renewals and takeovers at once.
    Mixed,
    /// Saves and renewals, many of which are dropped before they have ended.
    Dropped,
}

const KINDS: [Kind; 6] =
    [Kind::Saves, Kind::Mixed, Kind::SameRenewals, Kind::TakeOvers, Kind::Dropped, Kind::Renewals];

pub(super) struct Plan {
    rng: Rng,
    writers: usize,
    /// The last content; each save has one of its own.
    content: u64,
}

impl Plan {
    pub(super) fn new(seed: u64, writers: usize) -> Self {
        Plan { rng: crate::seed::stream(seed, 0), writers, content: 0 }
    }

    /// Everybody takes over, half of them on the condition of what is there.
    pub(super) fn takeovers(&mut self, judge: &Judge) -> Vec<Vec<Order>> {
        let witness = judge
            .record()
            .map(|record| Witness { token: record.token, generation: record.generation });
        let one = |rng: &mut Rng| vec![Step::TakeOver(witness.filter(|_| rng.bool())).into()];
        (0..self.writers).map(|_| one(&mut self.rng)).collect()
    }

    /// The race of this round, under the lease that is there now, as if it had many copies.
    pub(super) fn race(&mut self, round: u64, judge: &Judge) -> Vec<Vec<Order>> {
        let kinds = KINDS.len() as u64;
        let kind = usize::try_from(round % kinds).map_or(Kind::Mixed, |kind| KINDS[kind]);
        let record = judge.record().unwrap_or(super::state::Record {
            holder: None,
            token: 0,
            generation: 0,
        });
        // A lease whose answer was lost belongs to nobody: all calls under another one are refused.
        let lease = record.lease().unwrap_or(Lease { holder: 0, token: record.token });
        let generation = record.generation;
        (0..self.writers)
            .map(|writer| {
                let ahead = match kind {
                    Kind::SameRenewals => 1,
                    Kind::Renewals => 1 + writer as u64,
                    _ => 1 + self.rng.u64(..4),
                };
                let renewal = Step::Renew { lease, token: lease.token.saturating_add(ahead) };
                let save = self.save(lease, generation);
                let polls = self.rng.bool().then(|| self.rng.u32(..5));
                match kind {
                    Kind::Saves => vec![save.into()],
                    Kind::SameRenewals | Kind::Renewals => vec![renewal.into()],
                    Kind::TakeOvers => self.takes_over(),
                    Kind::Mixed => match self.rng.u32(..4) {
                        0 => self.takes_over(),
                        1 => vec![renewal.into()],
                        _ => vec![save.into()],
                    },
                    Kind::Dropped if self.rng.bool() => vec![Order { step: save, polls }],
                    Kind::Dropped => vec![Order { step: renewal, polls }],
                }
            })
            .collect()
    }

    /// Everybody loads, then tries a lease that was replaced: it changes nothing, and the refusal
    /// shows the record.
    pub(super) fn look(&mut self, judge: &Judge) -> Vec<Vec<Order>> {
        let replaced = judge.replaced();
        let record = judge.record();
        (0..self.writers)
            .map(|writer| {
                let older = judge.older().filter(|_| writer % 2 == 1);
                let mut orders = vec![Step::Load { at_most: older.unwrap_or(u64::MAX) }.into()];
                let Some(record) = record else { return orders };
                let Some(lease) = self.rng.choice(&replaced).copied() else { return orders };
                let is_other = record.holder.is_some_and(|holder| holder != lease.holder);
                if is_other && self.rng.u32(..3) == 0 {
                    let token = record.token.saturating_add(1);
                    orders.push(Step::Renew { lease, token }.into());
                } else {
                    orders.push(self.save(lease, record.generation).into());
                }
                orders
            })
            .collect()
    }

    fn takes_over(&mut self) -> Vec<Order> {
        self.content += 1;
        vec![Step::TakeOver(None).into(), Step::SaveMine { content: self.content }.into()]
    }

    fn save(&mut self, lease: Lease, previous: u64) -> Step {
        self.content += 1;
        let generation = previous.saturating_add(1);
        Step::Save { lease, previous, generation, content: self.content }
    }
}
