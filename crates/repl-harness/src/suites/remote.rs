//! Tests the promises of a remote store to one process.

mod promise;
mod subject;

use std::fmt::Display;

use repl_checkpoint::{Lease, RemoteStore, StoreId, Witness};

use self::promise::RemoteStorePromise as P;
use self::subject::Subject;
use crate::race::Task;
use crate::race::step::Step;

pub use self::promise::{RemoteStorePromise, RemoteStoreReport, RemoteStoreViolation};

/// How often a future is polled before it is dropped.
const POLLS: std::ops::Range<u32> = 0..6;

/// Tests the promises of a [`RemoteStore`] when nothing fails, from one process.
///
/// `open` makes a store of a record; the suite opens two at a time. `records` are for the suite
/// alone, and are left there; two of them are needed. `block_on` runs a future to its end:
/// `|task| runtime.block_on(task)`. The suite makes some 300 calls.
///
/// What happens when several processes call at once is not tested here: [`race`](crate::race::run)
/// does that.
///
/// # Errors
/// The first broken promise, with what was observed.
pub fn remote_store_suite<S, E>(
    records: [StoreId; 2],
    open: impl Fn(StoreId) -> Result<S, E>,
    block_on: impl Fn(Task<'_>),
) -> Result<RemoteStoreReport, RemoteStoreViolation>
where
    S: RemoteStore,
    E: Display,
{
    let [one, other] = records;
    let mut subject = Subject::open(one, &open, &block_on)?;
    nothing_comes_from_nothing(&mut subject)?;
    takeovers(&mut subject)?;
    saves(&mut subject)?;
    renewals(&mut subject)?;
    dropped(&mut subject)?;
    // The first one is to be as it was.
    let mut second = Subject::open(other, &open, &block_on)?;
    nothing_comes_from_nothing(&mut second).map_err(|found| apart(&found))?;
    takeovers(&mut second).map_err(|found| apart(&found))?;
    subject.look(P::RecordsAreApart)?;
    Ok(subject.report().with(second.report()))
}

fn apart(violation: &RemoteStoreViolation) -> RemoteStoreViolation {
    let what = format!("beside another record: {violation}");
    RemoteStoreViolation::new(P::RecordsAreApart, what)
}

type Done = Result<(), RemoteStoreViolation>;

/// There is no record, and no call but one makes one.
fn nothing_comes_from_nothing<S: RemoteStore>(subject: &mut Subject<'_, S>) -> Done {
    let lease = Lease { holder: fastrand::u128(..), token: 1 };
    let save = subject.save(lease, 0, 1);
    let witness = Witness { token: 1, generation: 0 };
    for step in [
        Step::Renew { lease, token: 2 },
        save,
        Step::TakeOver(Some(witness)),
        Step::TakeOver(Some(Witness::default())),
    ] {
        subject.make(P::OnlyTakeOverMakes, 0, step)?;
        subject.make(P::OnlyTakeOverMakes, 1, Step::Load { at_most: u64::MAX })?;
    }
    Ok(())
}

/// A takeover is conditional only if it has a witness.
fn takeovers<S: RemoteStore>(subject: &mut Subject<'_, S>) -> Done {
    for store in [0, 1, 0, 0] {
        subject.make(P::TakeOverIsNew, store, Step::TakeOver(None))?;
        subject.look(P::TakeOverIsNew)?;
    }
    let lease = subject.lease()?;
    let save = subject.save(lease, 0, 1);
    subject.make(P::SaveIsConditional, 0, save)?;
    let save = subject.save(lease, 1, 2);
    subject.make(P::SaveIsConditional, 0, save)?;
    // What is lower or equal is enough, what is higher is not.
    for (token, generation) in [(0, 0), (0, 1), (0, 2), (1, 0), (0, 3), (1, 2), (2, 3), (100, 0)] {
        let token = subject.lease()?.token + token;
        let witness = Witness { token, generation };
        subject.make(P::WitnessIsCompared, 1, Step::TakeOver(Some(witness)))?;
        subject.look(P::WitnessIsCompared)?;
    }
    Ok(())
}

/// A save succeeds in exactly one state of the record.
fn saves<S: RemoteStore>(subject: &mut Subject<'_, S>) -> Done {
    subject.make(P::TakeOverIsNew, 0, Step::TakeOver(None))?;
    for round in 0..16_u64 {
        let lease = subject.lease()?;
        let generation = subject.generation();
        let Lease { holder, token } = lease;
        let wrong = [
            (Lease { holder: !holder, token }, generation),
            (Lease { holder, token: token + 1 }, generation),
            (Lease { holder, token: token - 1 }, generation),
            (lease, generation + 1),
            (lease, generation.saturating_sub(1)),
            (lease, 0),
        ];
        let store = usize::from(round % 3 == 0); // a copy of the process has the same lease
        let (lease_of_one, previous) = wrong[usize::try_from(round % 6).unwrap_or_default()];
        let step = subject.save(lease_of_one, previous, generation.max(previous) + 1);
        subject.make(P::SaveIsConditional, store, step)?;
        subject.look(P::SavedIsLoaded)?;
        // Some generations are skipped, as after a failed save.
        let step = subject.save(lease, generation, generation + 1 + round % 2);
        subject.make(P::SaveIsConditional, store, step)?;
        subject.look(P::SavedIsLoaded)?;
    }
    Ok(())
}

/// A renewal raises the token of the same holder, and the lease before it is refused.
fn renewals<S: RemoteStore>(subject: &mut Subject<'_, S>) -> Done {
    for ahead in [1, 1, 5, 1000] {
        let lease = subject.lease()?;
        let Lease { holder, token } = lease;
        let other = Lease { holder: !holder, token };
        for step in [
            Step::Renew { lease, token },
            Step::Renew { lease, token: token - 1 },
            Step::Renew { lease: other, token: token + 1 },
        ] {
            subject.make(P::RenewalIsConditional, 0, step)?;
            subject.look(P::RenewalIsConditional)?;
        }
        subject.make(P::RenewalIsConditional, 1, Step::Renew { lease, token: token + ahead })?;
        subject.look(P::RenewalIsConditional)?;
        let generation = subject.generation();
        let step = subject.save(lease, generation, generation + 1);
        subject.make(P::SaveIsConditional, 0, step)?;
        // The token in the lease to renew is not compared: the holder is.
        let step = Step::Renew { lease, token: token + ahead + 1 };
        subject.make(P::RenewalIsConditional, 0, step)?;
        let lease = subject.lease()?;
        let step = subject.save(lease, generation, generation + 1);
        subject.make(P::SaveIsConditional, 0, step)?;
        subject.look(P::SavedIsLoaded)?;
    }
    Ok(())
}

/// A call that was dropped is followed by calls of the same store that succeed.
fn dropped<S: RemoteStore>(subject: &mut Subject<'_, S>) -> Done {
    for polls in POLLS {
        for kind in 0..4 {
            let lease = subject.hold(P::DroppedIsInDoubt, 0)?;
            let generation = subject.generation();
            let step = match kind {
                0 => subject.save(lease, generation, generation + 1),
                1 => Step::Renew { lease, token: lease.token + 3 },
                2 => Step::Load { at_most: u64::MAX },
                _ => Step::TakeOver(None),
            };
            subject.drop_after(polls, 0, step)?;
            // A save or a renewal that was dropped is refused from now on.
            let lease = subject.hold(P::DroppedIsInDoubt, 0)?;
            let generation = subject.generation();
            let step = subject.save(lease, generation, generation + 1);
            subject.make(P::DroppedIsInDoubt, 0, step)?;
            subject.look(P::DroppedIsInDoubt)?;
        }
    }
    Ok(())
}
