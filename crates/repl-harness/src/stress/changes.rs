//! Begins and ends lives of shards.

use std::sync::atomic::Ordering::SeqCst;

use repl_core::{AppliedSet, NewShard, SeqNo};

use super::checker::Checked;
use super::ledger::{Changes, Kind, ShardLedger};
use super::seqnos;
use super::subject::{Handle, Subject};
use super::threads::Worker;
use super::violation::Invariant;

fn progress_of(kind: Kind, seqno: SeqNo) -> u64 {
    match kind {
        Kind::Plain | Kind::Relay => seqnos::progress(seqno),
        Kind::Window { .. } => seqno,
    }
}

impl<S: Subject> Worker<'_, S> {
    /// Begins or ends a life of a shard, unless another thread is at it.
    pub(crate) fn change(&mut self, shard: usize) -> Checked {
        let ledger = &self.checker.ledger.shards[shard];
        let Ok(mut changes) = ledger.changing.try_lock() else { return Ok(()) };
        changes.count += 1;
        let current = ledger.view().current;
        let ending = current.and_then(|current| ledger.life(current));
        let seen = ending.as_ref().map_or(0, |life| progress_of(ledger.kind, life.has_seen()));
        let start = match (self.rng.below(4), ledger.kind) {
            (0, _) => 0,
            (_, Kind::Window { .. }) => self.rng.below(seen + 64),
            (1, _) => seqnos::start(seen + self.rng.below(4), ledger.shard, changes.count),
            _ => seqnos::start(self.rng.below(seen + 1), ledger.shard, changes.count),
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
        if self.rng.one_in(2) {
            let reset = subject.reset(new);
            ending.ended.store(true, SeqCst);
            self.done.resets += 1;
            return self.begun(ledger, &mut changes, reset, start);
        }
        let removed = subject.remove(ledger.shard);
        ending.ended.store(true, SeqCst);
        ledger.change_ends(None);
        self.done.removes += 1;
        if removed {
            return Ok(());
        }
        self.checker.at_most(Invariant::TableIsTrue, &ending, ending.incarnation.0, None)
    }

    /// Records a life that was begun, and that it is new and begins where it was told to.
    fn begun(
        &self,
        ledger: &ShardLedger,
        changes: &mut Changes,
        handle: Option<S::Handle>,
        start: SeqNo,
    ) -> Checked {
        let Some(handle) = handle else { return Err(self.ghost(ledger, start)) };
        let incarnation = handle.incarnation();
        let Some(life) = ledger.life(incarnation).filter(|_| changes.newest < Some(incarnation))
        else {
            let (newest, who) = (changes.newest.map(|i| i.0 + 1), (ledger.shard, changes.newest));
            let risen = Invariant::IncarnationsRise;
            return Err(self.checker.violation(risen, who, newest, Some(incarnation.0)));
        };
        changes.newest = Some(incarnation);
        life.begins(&AppliedSet::new(start, []));
        ledger.change_ends(Some(incarnation));
        self.checker.saw(&life, start, handle.applied())
    }
}
