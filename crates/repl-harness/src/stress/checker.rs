//! The checks that every thread makes of every number it gets.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use repl_core::{Advance, Incarnation, SeqNo, ShardId, Snapshot};

use super::ledger::{Ledger, Life, ShardLedger, View};
use super::seqnos::{self, Origin};
use super::subject::{Handle, Subject};
use super::violation::{Invariant, Violation};
use super::work::Work;

pub(crate) type Checked<T = ()> = Result<T, Violation>;

#[derive(Debug)]
pub(crate) struct Checker<'a, S> {
    pub(crate) subject: &'a S,
    pub(crate) ledger: &'a Ledger,
    pub(crate) seed: u64,
}

impl<S> Clone for Checker<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Checker<'_, S> {}

/// What was known of every shard before a snapshot was taken.
pub(crate) struct Before(Vec<Known>);

struct Known {
    view: View,
    seen: SeqNo,
    /// Completed above `seen`.
    done: Vec<RangeInclusive<SeqNo>>,
}

impl<S: Subject> Checker<'_, S> {
    pub(crate) fn violation(
        &self,
        invariant: Invariant,
        (shard, incarnation): (ShardId, Option<Incarnation>),
        lesser: Option<SeqNo>,
        greater: Option<SeqNo>,
    ) -> Violation {
        Violation { invariant, shard, incarnation, lesser, greater, seed: self.seed, hung: None }
    }

    /// `lesser <= greater`, for one life. Nothing is less than any number.
    pub(crate) fn at_most(
        &self,
        invariant: Invariant,
        life: &Life,
        lesser: impl Into<Option<SeqNo>>,
        greater: impl Into<Option<SeqNo>>,
    ) -> Checked {
        let (lesser, greater) = (lesser.into(), greater.into());
        if lesser <= greater {
            return Ok(());
        }
        let who = (life.shard, Some(life.incarnation));
        Err(self.violation(invariant, who, lesser, greater))
    }

    /// A mark of this life was read; `before` was seen before the read began.
    pub(crate) fn saw(&self, life: &Life, before: SeqNo, mark: SeqNo) -> Checked {
        let fell = life.work.is_none() || life.seen.load(SeqCst) > mark;
        let invariant = if fell { Invariant::NeverFalls } else { Invariant::NoCompletionLost };
        self.at_most(invariant, life, before, mark)?;
        self.belongs(life, mark)?;
        life.seen.fetch_max(mark, SeqCst);
        Ok(())
    }

    /// The mark was asked for, and for this very life.
    fn belongs(&self, life: &Life, mark: SeqNo) -> Checked {
        let start = life.start.get().copied();
        if start == Some(mark) {
            return Ok(());
        }
        if let Some(work) = &life.work {
            let most = work.most();
            // Until the call that began the life has returned, its start is not known here.
            let most = if start.is_some() { most } else { Some(mark) };
            return self.at_most(Invariant::NoGapPassed, life, mark, most);
        }
        let known = self.ledger.shard(life.shard);
        let by_id = known.map(|shard| shard.asked_by_id.load(SeqCst));
        let own = match seqnos::origin(mark) {
            Some(Origin::ById) => {
                self.at_most(Invariant::NothingUnasked, life, mark, by_id)?;
                true
            }
            Some(Origin::ByHandle) if seqnos::is_of_life(mark, life.incarnation) => {
                self.at_most(Invariant::NothingUnasked, life, mark, life.asked.load(SeqCst))?;
                true
            }
            Some(Origin::ByHandle) => false,
            // As above.
            Some(Origin::Start) | None => start.is_none(),
        };
        if own && (mark == 0 || seqnos::is_of_shard(mark, life.shard)) {
            return Ok(());
        }
        let who = (life.shard, Some(life.incarnation));
        Err(self.violation(Invariant::OwnLifeOnly, who, start, Some(mark)))
    }

    /// What an advance of this life to `asked` answered.
    pub(crate) fn answered(
        &self,
        life: &Life,
        before: SeqNo,
        asked: SeqNo,
        outcome: Advance,
    ) -> Checked {
        match outcome {
            Advance::Advanced { from } => {
                self.at_most(Invariant::NeverFalls, life, before, from)?;
                self.at_most(Invariant::OutcomeIsTrue, life, from + 1, asked)?;
            }
            Advance::Stale { at } => {
                self.at_most(Invariant::NeverFalls, life, before, at)?;
                self.at_most(Invariant::OutcomeIsTrue, life, asked, at)?;
            }
            Advance::Gap { .. } | Advance::Removed | Advance::UnknownShard => {
                return self.at_most(Invariant::TableIsTrue, life, life.incarnation.0, None);
            }
        }
        life.seen.fetch_max(asked, SeqCst);
        Ok(())
    }

    /// The life that the shard has now: never one before a life that somebody has found already.
    pub(crate) fn look_up(&self, shard: &ShardLedger) -> Checked<Option<(S::Handle, Arc<Life>)>> {
        let before = shard.found.load(SeqCst);
        let Some(handle) = self.subject.handle(shard.shard) else { return Ok(None) };
        let Some(life) = shard.life(handle.incarnation()) else { return Ok(None) };
        self.at_most(Invariant::IncarnationsRise, &life, before, life.incarnation.0)?;
        shard.found.fetch_max(life.incarnation.0, SeqCst);
        Ok(Some((handle, life)))
    }

    /// `floor <= checkpointed <= flushed <= applied`, and neither of them ever falls.
    pub(crate) fn compare(&self, shard: &ShardLedger) -> Checked {
        let Some((handle, life)) = self.look_up(shard)? else { return Ok(()) };
        let before = life.has_seen();
        let known = (life.floor.load(SeqCst), life.checkpointed.load(SeqCst));
        // Read in this order each bounds the one before it, whatever moves meanwhile.
        let floor = self.subject.floor(shard.shard);
        let checkpointed = self.subject.checkpointed(shard.shard);
        let flushed = life.flushed.load(SeqCst);
        let applied = handle.applied();
        let now = self.subject.handle(shard.shard).map(|h| h.incarnation());
        if now != Some(life.incarnation) {
            return Ok(());
        }
        self.saw(&life, before, applied)?;
        let or_0 = |mark: Option<SeqNo>| mark.unwrap_or(0);
        self.at_most(Invariant::NeverFalls, &life, known.0, or_0(floor))?;
        self.at_most(Invariant::NeverFalls, &life, known.1, or_0(checkpointed))?;
        self.at_most(Invariant::FloorWithinCheckpointed, &life, floor, checkpointed)?;
        self.at_most(Invariant::CheckpointedWithinFlushed, &life, or_0(checkpointed), flushed)?;
        self.at_most(Invariant::FlushedWithinApplied, &life, flushed, applied)?;
        life.floor.fetch_max(or_0(floor), SeqCst);
        life.checkpointed.fetch_max(or_0(checkpointed), SeqCst);
        Ok(())
    }

    /// To be called before a snapshot is taken that [`Checker::snapshot`] is to check.
    pub(crate) fn before_snapshot(&self) -> Before {
        let known = self.ledger.shards.iter().map(|shard| {
            let view = shard.view();
            let life = view.current.and_then(|current| shard.life(current));
            let seen = life.as_ref().map_or(0, |life| life.has_seen());
            let work = life.as_ref().and_then(|life| life.work.as_ref());
            let done = work.map(|work| work.completed_above(seen)).unwrap_or_default();
            Known { view, seen, done }
        });
        Before(known.collect())
    }

    /// A snapshot holds what is tracked, in order, and all that was done and nothing ahead of what
    /// was asked.
    pub(crate) fn snapshot(&self, before: &Before, snapshot: &Snapshot) -> Checked {
        for (shard, Known { view, seen, done }) in self.ledger.shards.iter().zip(&before.0) {
            let entry = snapshot.entry(shard.shard);
            let found = entry.map(|e| e.incarnation);
            if view.held_until(&shard.view()) && found != view.current {
                let (expected, found) = (view.current.map(|i| i.0), found.map(|i| i.0));
                let who = (shard.shard, view.current);
                return Err(self.violation(Invariant::TableIsTrue, who, expected, found));
            }
            let Some(entry) = entry else { continue };
            let Some(life) = shard.life(entry.incarnation) else { continue };
            let is_of_life = view.current == found;
            let (seen, done) = if is_of_life { (*seen, &**done) } else { (0, &[][..]) };
            let above = snapshot.completed(shard.shard);
            self.listed(&life, done, entry.mark.saturating_add(1), entry.mark, above)?;
            self.saw(&life, seen, entry.mark)?;
            let next = snapshot.next_incarnation().0;
            self.at_most(Invariant::IncarnationsRise, &life, life.incarnation.0 + 1, next)?;
        }
        let known = |shard: ShardId| self.ledger.shard(shard).is_some();
        let mut last = None;
        for (shard, _) in snapshot {
            if !known(shard) || last >= Some(shard) {
                let who = (shard, None);
                return Err(self.violation(Invariant::TableIsTrue, who, None, Some(shard.0)));
            }
            last = Some(shard);
        }
        Ok(())
    }

    /// When all threads have ended: every mark is the maximum of all that was asked of its life.
    pub(crate) fn end(&self) -> Checked {
        self.snapshot(&self.before_snapshot(), &self.subject.snapshot())?;
        for shard in self.ledger.shards.iter().filter(|shard| shard.kind.has_window()) {
            self.complete_the_rest(shard)?;
        }
        for shard in &self.ledger.shards {
            let Some(current) = shard.view().current else { continue };
            let Some(life) = shard.life(current) else { continue };
            let start = life.start.get().copied().unwrap_or(0);
            let asked = start.max(life.asked_by_id.load(SeqCst)).max(life.asked.load(SeqCst));
            let maximum = life.work.as_ref().map_or(asked, Work::highest);
            let end = self.subject.applied(shard.shard);
            let strays = super::ledger::locked(&shard.strays);
            let stray = end > Some(maximum) && end.is_some_and(|end| strays.contains(&end));
            if end != Some(maximum) && !stray {
                let who = (shard.shard, Some(current));
                return Err(self.violation(Invariant::EndIsMaximum, who, Some(maximum), end));
            }
        }
        Ok(())
    }
}
