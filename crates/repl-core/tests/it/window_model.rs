//! Any sequence of calls of a window has the same results as on a plain set of seqnos.

mod plain;

use std::collections::BTreeSet;

use proptest::prelude::*;

use self::plain::Model;
use crate::{above, restored, single};
use repl_core::{
    AppliedSet, ApplyWindow, Claim, CompleteError, Completion, NewShard, ReplicationState,
    SeqRange, Shard, ShardId, WindowError,
};

/// A seqno, relative to the mark.
#[derive(Debug, Clone, Copy)]
enum At {
    Below(u64),
    Above(u64),
    /// Relative to the last seqno within the capacity.
    Edge(i64),
    /// Relative to the last seqno in the ring.
    RingEdge(i64),
}

#[derive(Debug, Clone)]
enum Call {
    Claim(At),
    CompleteClaim(prop::sample::Index),
    DropClaim(prop::sample::Index),
    Complete(At),
    /// A seqno, and how many more above it.
    Skip(At, u64),
    SkipToEnd(At),
    Advance(At),
    CompleteRange(At, u64),
    /// A new window over the same shard, with another capacity.
    Renew(u64),
    /// The ranges above the mark restored to another state, with a window over it.
    Restore(u64),
}

fn call(capacity: impl Fn() -> BoxedStrategy<u64>) -> impl Strategy<Value = Call> {
    let at = || {
        prop_oneof![
            1 => (0..4_u64).prop_map(At::Below),
            8 => (1..9_u64).prop_map(At::Above),
            3 => (1..100_u64).prop_map(At::Above),
            2 => (-3..3_i64).prop_map(At::Edge),
            2 => (-3..3_i64).prop_map(At::RingEdge),
        ]
    };
    let more = || prop_oneof![6 => 0..6_u64, 1 => 0..200_u64];
    let index = || any::<prop::sample::Index>();
    prop_oneof![
        8 => at().prop_map(Call::Claim),
        6 => index().prop_map(Call::CompleteClaim),
        2 => index().prop_map(Call::DropClaim),
        8 => at().prop_map(Call::Complete),
        4 => (at(), more()).prop_map(|(at, more)| Call::Skip(at, more)),
        1 => at().prop_map(Call::SkipToEnd),
        2 => at().prop_map(Call::Advance),
        2 => (at(), more()).prop_map(|(at, more)| Call::CompleteRange(at, more)),
        1 => capacity().prop_map(Call::Renew),
        1 => capacity().prop_map(Call::Restore),
    ]
}

struct Both {
    shard: Shard,
    /// `None` only between two windows.
    window: Option<ApplyWindow>,
    claims: Vec<Claim>,
    model: Model,
    /// Every seqno that was used in a call.
    probes: BTreeSet<u64>,
}

impl Both {
    fn new(start: u64, capacity: u64) -> Self {
        let shard = single().1;
        shard.advance(start);
        let window = ApplyWindow::new(shard.clone(), capacity).unwrap();
        let (completed, claimed) = (BTreeSet::new(), BTreeSet::new());
        Both {
            shard,
            window: Some(window),
            claims: Vec::new(),
            model: Model { mark: start, completed, claimed, capacity },
            probes: BTreeSet::new(),
        }
    }

    fn window(&self) -> &ApplyWindow {
        self.window.as_ref().unwrap()
    }

    fn seqno(&mut self, at: At) -> u64 {
        let mark = self.model.mark;
        let from = |above: u64, by: i64| mark.saturating_add(above).saturating_add_signed(by);
        let seqno = match at {
            At::Below(by) => mark.saturating_sub(by),
            At::Above(by) => from(by, 0),
            At::Edge(by) => from(self.model.capacity, by),
            At::RingEdge(by) => from(16_384, by),
        };
        self.probes.insert(seqno);
        seqno
    }

    fn apply(&mut self, call: &Call) -> Result<(), TestCaseError> {
        match *call {
            Call::Claim(at) => self.claim(at)?,
            Call::CompleteClaim(ref which) if !self.claims.is_empty() => {
                let claim = self.claims.swap_remove(which.index(self.claims.len()));
                self.complete_claim(claim)?;
            }
            Call::DropClaim(ref which) if !self.claims.is_empty() => {
                let claim = self.claims.swap_remove(which.index(self.claims.len()));
                self.model.claimed.remove(&claim.seqno());
            }
            Call::Complete(at) => {
                let seqno = self.seqno(at);
                let expected = match self.model.full(seqno).filter(|_| !self.model.contains(seqno))
                {
                    Some(full) => Err(CompleteError::Full(full)),
                    None => Ok(self.model.complete(seqno)),
                };
                prop_assert_eq!(self.window().complete(seqno), expected);
            }
            Call::Skip(at, more) => {
                let first = self.seqno(at);
                self.skip(first, first.saturating_add(more))?;
            }
            // Elsewhere the plain set would be too large.
            Call::SkipToEnd(at) if self.model.mark > u64::MAX - 50_000 => {
                let first = self.seqno(at);
                self.skip(first, u64::MAX)?;
            }
            Call::CompleteClaim(_) | Call::DropClaim(_) | Call::SkipToEnd(_) => {}
            Call::Advance(at) => {
                let to = self.seqno(at);
                prop_assert_eq!(self.shard.advance(to), self.model.advance(to));
            }
            Call::CompleteRange(at, more) => {
                let first = self.seqno(at);
                let last = first.saturating_add(more);
                self.shard.complete(SeqRange::new(first, last));
                self.model.insert(first..=last);
            }
            Call::Renew(capacity) => self.renew(capacity)?,
            Call::Restore(capacity) => self.restore(capacity)?,
        }
        Ok(())
    }

    fn claim(&mut self, at: At) -> Result<(), TestCaseError> {
        let seqno = self.seqno(at);
        let claim = self.window().try_claim(seqno);
        prop_assert_eq!(claim.as_ref().map(drop).map_err(Clone::clone), self.model.claim(seqno));
        if let Ok(claim) = claim {
            prop_assert_eq!(claim.seqno(), seqno);
            self.model.claimed.insert(seqno);
            self.claims.push(claim);
        }
        Ok(())
    }

    fn complete_claim(&mut self, claim: Claim) -> Result<(), TestCaseError> {
        let seqno = claim.seqno();
        self.model.claimed.remove(&seqno);
        prop_assert_eq!(claim.complete(), Ok(self.model.complete(seqno)));
        Ok(())
    }

    fn skip(&mut self, first: u64, last: u64) -> Result<(), TestCaseError> {
        let skipped = self.window().skip(first..=last);
        self.probes.insert(last);
        let mark = self.model.mark;
        if let Some(full) = self.model.full(first) {
            let all = (first..=last).all(|seqno| self.model.contains(seqno));
            let already = Ok(Completion::AlreadyCompleted { mark });
            prop_assert!(skipped == Err(full.into()) || all && skipped == already, "{:?}", skipped);
            return Ok(());
        }
        let new = self.model.insert(first..=last);
        let mark = self.model.mark;
        let completed = Ok(Completion::Completed { mark });
        // A skip over seqnos that were completed one by one may count as new.
        let already = !new && skipped != completed;
        let expected = if already { Ok(Completion::AlreadyCompleted { mark }) } else { completed };
        prop_assert_eq!(skipped, expected);
        Ok(())
    }

    fn renew(&mut self, capacity: u64) -> Result<(), TestCaseError> {
        self.window = None;
        let expected = AppliedSet::new(self.model.mark, self.model.pending());
        prop_assert_eq!(self.shard.applied_set(), expected);
        if !self.claims.is_empty() {
            let refused = ApplyWindow::new(self.shard.clone(), capacity).unwrap_err();
            prop_assert_eq!(refused, WindowError::AlreadyOpen);
            let first = self.claims.swap_remove(0);
            self.complete_claim(first)?;
            self.claims.clear();
            self.model.claimed.clear();
        }
        self.window = Some(ApplyWindow::new(self.shard.clone(), capacity).unwrap());
        self.model.capacity = capacity;
        Ok(())
    }

    fn restore(&mut self, capacity: u64) -> Result<(), TestCaseError> {
        let pending = above(&self.shard);
        let state = ReplicationState::default();
        let new = NewShard::new(ShardId::SINGLE).with_mark(self.shard.applied());
        self.shard = state.add_shard(new).unwrap();
        let window = restored(self.shard.clone(), capacity, &pending).unwrap();
        prop_assert_eq!(above(&self.shard), pending);
        self.window = Some(window);
        self.claims.clear();
        self.model.claimed.clear();
        self.model.capacity = capacity;
        Ok(())
    }

    fn agree(&self) -> Result<(), TestCaseError> {
        let (window, model) = (self.window(), &self.model);
        prop_assert_eq!(self.shard.applied(), model.mark);
        prop_assert_eq!(above(window.shard()), model.pending());
        prop_assert_eq!(window.shard().applied_set().highest(), model.highest());
        prop_assert_eq!(window.capacity(), model.capacity);
        let around = (0..12).map(|by| (model.mark.saturating_sub(2)).saturating_add(by));
        let touched = self
            .probes
            .iter()
            .flat_map(|probe| [probe.saturating_sub(1), *probe, probe.saturating_add(1)]);
        for probe in around.chain(touched).chain([u64::MAX]) {
            prop_assert_eq!(window.shard().contains(probe), model.contains(probe), "{}", probe);
        }
        Ok(())
    }
}

fn start() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => Just(0),
        1 => Just(3 * 16_384 - 3),
        1 => Just((1_u64 << 63) - 4),
        1 => Just(u64::MAX - 30),
        1 => Just(u64::MAX - 16_390),
    ]
}

fn small() -> BoxedStrategy<u64> {
    prop_oneof![Just(1_u64), Just(3), Just(8), Just(70)].boxed()
}

fn large() -> BoxedStrategy<u64> {
    prop_oneof![Just(16_384_u64), Just(20_000), Just(40_000), Just(u64::MAX)].boxed()
}

fn check(start: u64, capacity: u64, calls: &[Call]) -> Result<(), TestCaseError> {
    let mut both = Both::new(start, capacity);
    for call in calls {
        both.apply(call)?;
        both.agree()?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_window_agrees_with_a_plain_set(
        start in start(),
        capacity in small(),
        calls in prop::collection::vec(call(small), 1..80),
    ) {
        check(start, capacity, &calls)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_window_that_reaches_beyond_its_ring_agrees_with_a_plain_set(
        start in start(),
        capacity in large(),
        calls in prop::collection::vec(call(large), 1..50),
    ) {
        check(start, capacity, &calls)?;
    }
}
