//! The suite catches every planted fault in marks, floors and claims, by the promise it breaks.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::Duration;

use repl_checkpoint::{Attempt, CheckpointError, Checkpointer, Floors};
use repl_core::{
    Advance, ApplyWindow, Claim, ClaimError, CompleteError, Completion, Incarnation, NewShard,
    ReplicationState, SeqNo, Shard, ShardId,
};
use repl_harness::stress::{Due, Faults, HungWait, Invariant, Violation};

use crate::planted::{caught, is_dense, key, locked, sometimes};

#[test]
fn a_plain_store_instead_of_a_maximum_is_caught() {
    /// The slower of two threads that advance at once lowers the mark, until the next advance.
    #[derive(Default)]
    struct PlainStore(Mutex<HashMap<(ShardId, Incarnation), SeqNo>>);

    impl Faults for PlainStore {
        fn advance(&self, shard: &Shard, seqno: SeqNo) -> Advance {
            let before = shard.applied();
            if before < seqno {
                // Any thread may be interrupted here. On a busy machine two threads rarely are at
                // the same time, unless they yield.
                thread::yield_now();
            }
            let outcome = shard.advance(seqno);
            match outcome {
                Advance::Stale { at } if before < seqno && seqno < at && !is_dense(seqno) => {
                    locked(&self.0).insert(key(shard), seqno);
                }
                Advance::Advanced { .. } => drop(locked(&self.0).remove(&key(shard))),
                _ => {}
            }
            outcome
        }

        fn applied(&self, shard: &Shard) -> SeqNo {
            locked(&self.0).get(&key(shard)).copied().unwrap_or_else(|| shard.applied())
        }
    }
    caught::<PlainStore>(&[Invariant::NeverFalls]);
}

#[test]
fn a_save_before_the_flush_is_caught() {
    #[derive(Default)]
    struct SaveFirst;

    impl Faults for SaveFirst {
        fn begin(
            &self,
            checkpointer: &mut Checkpointer,
        ) -> Result<Option<Attempt>, CheckpointError> {
            if let Some(attempt) = checkpointer.begin()? {
                checkpointer.save(attempt)?;
            }
            checkpointer.begin()
        }
    }
    caught::<SaveFirst>(&[Invariant::CheckpointedWithinFlushed]);
}

#[test]
fn a_floor_from_the_newest_generation_is_caught() {
    #[derive(Default)]
    struct FloorOfNewest;

    impl Faults for FloorOfNewest {
        fn floor(&self, floors: &Floors, shard: ShardId) -> Option<SeqNo> {
            floors.checkpointed(shard)
        }
    }
    caught::<FloorOfNewest>(&[Invariant::FloorWithinPreviousGeneration]);
}

#[test]
fn a_shard_added_again_with_its_old_mark_is_caught() {
    #[derive(Default)]
    struct Inherits(Mutex<HashMap<ShardId, SeqNo>>);

    impl Faults for Inherits {
        fn advance(&self, shard: &Shard, seqno: SeqNo) -> Advance {
            // Completions decide the mark of a shard with dense seqnos.
            if !is_dense(seqno) {
                locked(&self.0).insert(shard.id(), seqno);
            }
            shard.advance(seqno)
        }

        fn add(&self, state: &ReplicationState, new: NewShard) -> Option<Shard> {
            let inherited = locked(&self.0).get(&new.shard).copied().unwrap_or(0);
            let mark = new.mark.max(inherited);
            state.add_shard(new.with_mark(mark)).ok()
        }
    }
    caught::<Inherits>(&[Invariant::OwnIncarnationOnly]);
}

#[test]
fn a_seqno_reported_as_reached_too_early_is_caught() {
    #[derive(Default)]
    struct Early;

    impl Faults for Early {
        fn awaited(&self, _: &Shard, seqno: SeqNo) -> SeqNo {
            seqno.saturating_sub(1)
        }
    }
    caught::<Early>(&[Invariant::ReachedMarkIsHighEnough]);
}

#[test]
fn a_seqno_claimed_twice_at_once_is_caught() {
    #[derive(Default)]
    struct Twice(AtomicU64);

    impl Faults for Twice {
        fn try_claim(
            &self,
            window: &ApplyWindow,
            seqno: SeqNo,
        ) -> Result<Option<Claim>, ClaimError> {
            match window.try_claim(seqno) {
                Err(ClaimError::Claimed) if sometimes(&self.0) => Ok(None),
                claim => claim.map(Some),
            }
        }
    }
    caught::<Twice>(&[Invariant::ClaimedOnce]);
}

#[test]
fn a_claim_of_a_completed_seqno_is_caught() {
    #[derive(Default)]
    struct Again(AtomicU64);

    impl Faults for Again {
        fn try_claim(
            &self,
            window: &ApplyWindow,
            seqno: SeqNo,
        ) -> Result<Option<Claim>, ClaimError> {
            match window.try_claim(seqno) {
                Err(ClaimError::AlreadyCompleted) if sometimes(&self.0) => Ok(None),
                claim => claim.map(Some),
            }
        }
    }
    caught::<Again>(&[Invariant::NoClaimAfterCompletion]);
}

#[test]
fn a_lost_completion_is_caught() {
    #[derive(Default)]
    struct Loses(AtomicU64);

    impl Faults for Loses {
        fn complete(
            &self,
            window: &ApplyWindow,
            claim: Claim,
        ) -> Result<Completion, CompleteError> {
            if sometimes(&self.0) {
                return Ok(Completion::Completed { mark: window.shard().applied() });
            }
            claim.complete()
        }
    }
    // The mark stays behind, the seqno is claimed again, or the window reports it as open.
    caught::<Loses>(&[
        Invariant::NoCompletionLost,
        Invariant::NoClaimAfterCompletion,
        Invariant::WindowMatchesCalls,
    ]);
}

#[test]
fn a_mark_that_moves_over_a_gap_is_caught() {
    #[derive(Default)]
    struct Passes(AtomicU64);

    impl Faults for Passes {
        fn complete(
            &self,
            window: &ApplyWindow,
            claim: Claim,
        ) -> Result<Completion, CompleteError> {
            let next = claim.seqno() + 1;
            let completion = claim.complete();
            if sometimes(&self.0) {
                window.shard().advance(next);
            }
            completion
        }
    }
    // The mark itself, a write that the applier of the gap would have made, or the window shows it.
    caught::<Passes>(&[
        Invariant::NoGapPassed,
        Invariant::WritesAreVisible,
        Invariant::WindowMatchesCalls,
    ]);
}

#[test]
fn a_dropped_claim_that_is_not_free_again_is_caught() {
    #[derive(Default)]
    struct Keeps;

    impl Faults for Keeps {
        fn release(&self, claim: Claim) {
            std::mem::forget(claim);
        }
    }
    caught::<Keeps>(&[Invariant::DroppedClaimIsFree]);
}

#[test]
fn a_violation_shows_the_values_the_shard_and_the_seed() {
    let violation = Violation {
        invariant: Invariant::CheckpointedWithinFlushed,
        shard: ShardId(3),
        incarnation: Some(Incarnation(17)),
        lesser: Some(32),
        greater: None,
        seed: 42,
        hung: None,
    };
    assert_eq!(
        violation.to_string(),
        "CheckpointedWithinFlushed is broken: shard 3 (incarnation 17), checkpointed: 0x20, \
         flushed: none; seed 42"
    );

    let hung = HungWait {
        doing: "Reached::wait",
        due: Due::Reached,
        due_for: Duration::from_millis(10_040),
        waiting: 7,
    };
    let violation = Violation {
        invariant: Invariant::WaitEnds,
        greater: Some(33),
        hung: Some(hung),
        ..violation
    };
    assert_eq!(
        violation.to_string(),
        "WaitEnds is broken: shard 3 (incarnation 17), awaited: 0x20, the mark: 0x21, \
         reached 10.0 s ago in Reached::wait, one of 7 waits; seed 42"
    );
}
