//! Adds, resets and removes shards.

use std::sync::atomic::Ordering::SeqCst;

use repl_core::{AppliedSet, NewShard, SeqNo, Shard};

use super::checker::Checked;
use super::faults::Faults;
use super::ledger::{Changes, Kind, ShardLedger};
use super::seqnos;
use super::violation::Invariant;
use super::worker::Worker;
use crate::seed::one_in;

fn progress_of(kind: Kind, seqno: SeqNo) -> u64 {
    match kind {
        Kind::Plain | Kind::Relay => seqnos::progress(seqno),
        Kind::Window { .. } => seqno,
    }
}

impl<F: Faults> Worker<'_, F> {
    /// Adds, resets or removes a shard, unless another thread is changing it.
    pub(crate) fn change(&mut self, shard: usize) -> Checked {
        let resets = one_in(&mut self.rng, 2);
        self.change_to(shard, resets)
    }

    /// Adds a shard that is not tracked. Resets or removes one that is.
    pub(crate) fn change_to(&mut self, shard: usize, resets: bool) -> Checked {
        let ledger = &self.checker.ledger.shards[shard];
        let Ok(mut changes) = ledger.changing.try_lock() else { return Ok(()) };
        changes.count += 1;
        let current = ledger.view().current;
        let ending = current.and_then(|current| ledger.record(current));
        let seen =
            ending.as_ref().map_or(0, |record| progress_of(ledger.kind, record.least_mark()));
        let start = match (self.rng.u64(..4), ledger.kind) {
            (0, _) => 0,
            (_, Kind::Window { .. }) => self.rng.u64(..seen + 64),
            (1, _) => seqnos::start(seen + self.rng.u64(..4), ledger.shard, changes.count),
            _ => seqnos::start(self.rng.u64(..=seen), ledger.shard, changes.count),
        };
        let new = NewShard::new(ledger.shard).with_mark(start);
        let subject = self.checker.subject;
        let Some(ending) = ending else {
            ledger.change_begins();
            let added = subject.add(new);
            self.done.adds += 1;
            return self.begun(ledger, &mut changes, added, start);
        };
        ending.ending.store(true, SeqCst);
        ledger.change_begins();
        if resets {
            let reset = subject.state.reset_shard(new);
            ending.ended.store(true, SeqCst);
            self.done.resets += 1;
            return self.begun(ledger, &mut changes, reset, start);
        }
        let removed = subject.state.remove_shard(ledger.shard).is_some();
        ending.ended.store(true, SeqCst);
        ledger.change_ends(None);
        self.done.removes += 1;
        if removed {
            self.ask_about(ledger, &changes);
            return Ok(());
        }
        self.checker.at_most(Invariant::TableMatchesChanges, &ending, ending.incarnation.0, None)
    }

    /// Asks whether a shard that is not tracked is unreferenced, unless another thread changes it.
    pub(crate) fn ask(&mut self, shard: usize) {
        let ledger = &self.checker.ledger.shards[shard];
        if let Ok(changes) = ledger.changing.try_lock() {
            self.ask_about(ledger, &changes);
        }
    }

    fn ask_about(&mut self, ledger: &ShardLedger, changes: &Changes) {
        if ledger.view().current.is_some() {
            return;
        }
        self.done.questions += 1;
        if self.checker.subject.is_unreferenced(ledger.shard) {
            self.done.unreferenced += 1;
            let first = changes.newest.map_or(0, |newest| newest.0.saturating_add(1));
            ledger.gone.fetch_max(first, SeqCst);
        }
    }

    /// Records a new incarnation, and checks that it is new and begins at `start`.
    fn begun(
        &self,
        ledger: &ShardLedger,
        changes: &mut Changes,
        handle: Option<Shard>,
        start: SeqNo,
    ) -> Checked {
        let Some(handle) = handle else { return Err(self.checker.untracked(ledger, start)) };
        let incarnation = handle.incarnation();
        let Some(record) =
            ledger.record(incarnation).filter(|_| changes.newest < Some(incarnation))
        else {
            let (newest, at) = (changes.newest.map(|i| i.0 + 1), (ledger.shard, changes.newest));
            let risen = Invariant::IncarnationsRise;
            return Err(self.checker.violation(risen, at, newest, Some(incarnation.0)));
        };
        changes.newest = Some(incarnation);
        record.begins(&AppliedSet::up_to(start));
        ledger.change_ends(Some(incarnation));
        let mark = self.checker.subject.faults.applied(&handle);
        self.checker.check_mark(&record, start, mark)
    }
}
