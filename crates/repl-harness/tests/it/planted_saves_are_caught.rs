//! The suite catches every planted bug in which checkpoints are saved.

use repl_harness::stress::Invariant;

use crate::planted::Bug;
use crate::planted_bugs_are_caught::{caught, caught_as};

#[test]
fn a_save_although_the_flush_failed_is_caught() {
    struct SavesAnyway;
    impl Bug for SavesAnyway {
        const SAVES_FAILED_FLUSHES: bool = true;
    }
    // What is saved was not flushed. Or the disk and the floors show a save that nothing asked for.
    caught_as::<SavesAnyway>(&[
        Invariant::CheckpointedWithinFlushed,
        Invariant::AcknowledgedWithinRecovered,
        Invariant::RecoveredWithinAttempted,
        Invariant::RecordedWithinCompleted,
        Invariant::CompletedWithinRecorded,
        Invariant::FloorWithinPreviousGeneration,
    ]);
}

#[test]
fn a_save_of_a_superseded_checkpoint_is_caught() {
    struct SavesOlder;
    impl Bug for SavesOlder {
        const SAVES_SUPERSEDED: bool = true;
    }
    caught::<SavesOlder>(Invariant::OnlyNewestIsSaved);
}

#[test]
fn a_flag_that_an_older_checkpoint_clears_is_caught() {
    struct Clears;
    impl Bug for Clears {
        const OLDER_DROP_CLEARS_FLAG: bool = true;
    }
    caught::<Clears>(Invariant::UnreferencedStaysGone);
}

#[test]
fn a_save_without_the_completed_ranges_is_caught() {
    struct LeavesOut;
    impl Bug for LeavesOut {
        const SAVE_LEAVES_OUT_COMPLETED: bool = true;
    }
    caught::<LeavesOut>(Invariant::RecordedWithinCompleted);
}
