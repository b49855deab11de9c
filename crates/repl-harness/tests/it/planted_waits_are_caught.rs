//! The suite catches every planted fault that loses a wake-up.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;

use repl_core::{Advance, Incarnation, SeqNo, Shard, ShardId, WaitError};
use repl_harness::stress::{Due, Faults};

use crate::planted::{hung, key, locked, sometimes};

#[test]
fn a_wait_that_checks_the_mark_only_before_it_queues_is_caught() {
    #[derive(Default)]
    struct OneLook;

    impl Faults for OneLook {
        fn awaited(&self, shard: &Shard, seqno: SeqNo) -> SeqNo {
            let before = shard.applied();
            thread::yield_now();
            let now = shard.applied();
            // An advance between the look and the queue wakes nobody: the next one does.
            if before < seqno && seqno <= now { now + 1 } else { seqno }
        }
    }
    hung::<OneLook>(&[Due::Reached]);
}

#[test]
fn an_advance_that_does_not_wake_is_caught() {
    /// Some advances do not wake a thread that waits for them: the next one does.
    #[derive(Default)]
    struct Forgets {
        advances: AtomicU64,
        forgotten: Mutex<HashMap<(ShardId, Incarnation), SeqNo>>,
    }

    impl Faults for Forgets {
        fn advance(&self, shard: &Shard, seqno: SeqNo) -> Advance {
            if sometimes(&self.advances) {
                locked(&self.forgotten).insert(key(shard), seqno);
            }
            shard.advance(seqno)
        }

        fn is_lost(&self, shard: &Shard, result: Result<SeqNo, WaitError>) -> bool {
            let forgotten = locked(&self.forgotten).get(&key(shard)).copied();
            result.is_ok_and(|mark| Some(mark) == forgotten)
        }
    }
    hung::<Forgets>(&[Due::Reached]);
}

#[test]
fn a_close_that_forgets_a_waiter_is_caught() {
    #[derive(Default)]
    struct Forgets(AtomicBool);

    impl Faults for Forgets {
        fn is_lost(&self, _: &Shard, result: Result<SeqNo, WaitError>) -> bool {
            result == Err(WaitError::Closed) && !self.0.swap(true, Relaxed)
        }
    }
    hung::<Forgets>(&[Due::Closed]);
}

#[test]
fn a_removal_that_forgets_a_waiter_is_caught() {
    #[derive(Default)]
    struct Forgets(AtomicBool);

    impl Faults for Forgets {
        fn is_lost(&self, _: &Shard, result: Result<SeqNo, WaitError>) -> bool {
            result == Err(WaitError::Removed) && !self.0.swap(true, Relaxed)
        }
    }
    hung::<Forgets>(&[Due::Removed]);
}
