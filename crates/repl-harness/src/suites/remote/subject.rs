//! The store under test: two stores of one record, and a judge of every answer.

use std::fmt::Display;
use std::pin::pin;

use repl_checkpoint::{Generation, Lease, RemoteStore, StoreId};

use super::promise::{RemoteStorePromise, RemoteStoreReport, RemoteStoreViolation};
use crate::panics::caught;
use crate::race::judge::{Judge, Judged};
use crate::race::perform::perform;
use crate::race::step::{Call, Order, Outcome, Step};
use crate::race::{Promise, Task};

pub(super) struct Subject<'a, S> {
    stores: [S; 2],
    block_on: &'a dyn Fn(Task<'_>),
    judge: Judge,
    content: u64,
    report: RemoteStoreReport,
}

/// How often a takeover in doubt may come after a later one.
const TRIES: usize = 20;

impl<'a, S: RemoteStore> Subject<'a, S> {
    pub(super) fn open<E: Display>(
        record: StoreId,
        open: &impl Fn(StoreId) -> Result<S, E>,
        block_on: &'a dyn Fn(Task<'_>),
    ) -> Result<Self, RemoteStoreViolation> {
        let open_one = || -> Result<S, RemoteStoreViolation> {
            let works = |what| RemoteStoreViolation::new(RemoteStorePromise::Works, what);
            let opened = guarded(|| open(record))?;
            let store = opened.map_err(|error| works(format!("the open: {error}")))?;
            let id = guarded(|| store.store_id())?;
            if id == record {
                return Ok(store);
            }
            let what = format!("its id is {id}, and it was opened as {record}");
            Err(RemoteStoreViolation::new(RemoteStorePromise::IdStays, what))
        };
        Ok(Subject {
            stores: [open_one()?, open_one()?],
            block_on,
            judge: Judge::new(Vec::new()),
            content: 0,
            report: RemoteStoreReport::default(),
        })
    }

    pub(super) fn report(&self) -> RemoteStoreReport {
        self.report
    }

    /// Takes the record over, and again if a takeover in doubt comes after that.
    pub(super) fn hold(
        &mut self,
        promise: RemoteStorePromise,
        store: usize,
    ) -> Result<Lease, RemoteStoreViolation> {
        for _ in 0..TRIES {
            self.make(promise, store, Step::TakeOver(None))?;
            self.look(promise)?;
            if self.lease().is_ok() {
                break;
            }
        }
        self.lease()
    }

    /// The lease of the record, unless a takeover in doubt has got it.
    pub(super) fn lease(&self) -> Result<Lease, RemoteStoreViolation> {
        self.judge.record().and_then(|record| record.lease()).ok_or_else(|| {
            let what = "no takeover has succeeded";
            RemoteStoreViolation::new(RemoteStorePromise::TakeOverIsNew, what)
        })
    }

    pub(super) fn generation(&self) -> Generation {
        self.judge.record().map_or(0, |record| record.generation)
    }

    /// A save of a content that was never saved before.
    pub(super) fn save(
        &mut self,
        lease: Lease,
        previous: Generation,
        generation: Generation,
    ) -> Step {
        self.content += 1;
        Step::Save { lease, previous, generation, content: self.content }
    }

    /// Makes a call, whose outcome must be the one that the state of the record asks for.
    pub(super) fn make(
        &mut self,
        promise: RemoteStorePromise,
        store: usize,
        step: Step,
    ) -> Result<(), RemoteStoreViolation> {
        self.ordered(promise, store, Order::from(step))
    }

    /// Makes a call, and drops its future after it was polled so often.
    pub(super) fn drop_after(
        &mut self,
        polls: u32,
        store: usize,
        step: Step,
    ) -> Result<(), RemoteStoreViolation> {
        let order = Order { step, polls: Some(polls) };
        self.ordered(RemoteStorePromise::DroppedIsInDoubt, store, order)
    }

    /// Looks at the record and at what is kept, by both stores. Nothing may have changed.
    pub(super) fn look(&mut self, promise: RemoteStorePromise) -> Result<(), RemoteStoreViolation> {
        let nobody = Lease { holder: fastrand::u128(..), token: 0 };
        for store in [1, 0] {
            self.make(promise, store, Step::Load { at_most: u64::MAX })?;
            if let Some(at_most) = self.judge.older() {
                self.make(promise, store, Step::Load { at_most })?;
            }
            self.make(promise, store, Step::Renew { lease: nobody, token: u64::from(u32::MAX) })?;
        }
        Ok(())
    }

    fn ordered(
        &mut self,
        promise: RemoteStorePromise,
        store: usize,
        order: Order,
    ) -> Result<(), RemoteStoreViolation> {
        let outcome = guarded(|| {
            let mut outcome = None;
            (self.block_on)(pin!(async {
                outcome = Some(perform(&mut self.stores[store], order).await);
            }));
            outcome
        })?;
        let Some(outcome) = outcome else {
            let what = "block_on returned before its future ended";
            return Err(RemoteStoreViolation::new(RemoteStorePromise::Works, what));
        };
        let call = Call { writer: store, step: order.step, outcome };
        self.report.calls += 1;
        self.report.refused += u64::from(matches!(call.outcome, Outcome::Refused(_)));
        self.report.dropped += u64::from(call.outcome == Outcome::Dropped);
        if matches!(call.outcome, Outcome::Unavailable(_) | Outcome::InDoubt(_)) {
            let what = match promise {
                RemoteStorePromise::DroppedIsInDoubt => format!("after a drop, {call}"),
                _ => call.to_string(),
            };
            return Err(RemoteStoreViolation::new(RemoteStorePromise::Works, what));
        }
        match self.judge.judge(&[call]) {
            Ok(Judged::Held) => Ok(()),
            Ok(Judged::Unclear | Judged::Skipped) => {
                let what = "too much is in doubt: dropped calls come late, one after the other";
                Err(RemoteStoreViolation::new(RemoteStorePromise::DroppedIsInDoubt, what))
            }
            Err(finding) => {
                use RemoteStorePromise as P;
                let is_load = matches!(order.step, Step::Load { .. });
                let promise = match (finding.promise, promise) {
                    (Promise::RefusalTellsRecord, _) => P::RefusalTellsRecord,
                    (_, P::OnlyTakeOverMakes | P::DroppedIsInDoubt | P::RecordsAreApart) => promise,
                    _ if is_load => P::SavedIsLoaded,
                    _ => promise,
                };
                Err(RemoteStoreViolation::new(promise, finding.what))
            }
        }
    }
}

impl RemoteStoreReport {
    pub(super) fn with(self, other: Self) -> Self {
        RemoteStoreReport {
            calls: self.calls + other.calls,
            refused: self.refused + other.refused,
            dropped: self.dropped + other.dropped,
        }
    }
}

/// Calls `call`; a panic is a broken promise.
fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, RemoteStoreViolation> {
    caught(call).map_err(|panic| RemoteStoreViolation::new(RemoteStorePromise::NoPanic, panic))
}
