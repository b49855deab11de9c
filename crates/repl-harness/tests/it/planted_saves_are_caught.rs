//! The suite catches every planted fault in what is saved and recovered.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, OnceLock};

use repl_checkpoint::{
    Attempt, Checkpoint, CheckpointError, Checkpointer, Floors, Generation, Saved,
};
use repl_core::{SeqRange, ShardId};
use repl_harness::stress::{Faults, Invariant};

use crate::planted::{caught, checkpoints, locked, replace};

fn saved(
    checkpointer: &mut Checkpointer,
    attempt: Attempt,
) -> Result<Option<Generation>, CheckpointError> {
    Ok(match checkpointer.save(attempt)? {
        Saved::Written(report) => Some(report.generation),
        Saved::Unchanged => None,
    })
}

#[test]
fn a_save_although_the_flush_failed_is_caught() {
    #[derive(Default)]
    struct SavesAnyway;

    impl Faults for SavesAnyway {
        fn drop_attempt(&self, checkpointer: &Mutex<Checkpointer>, attempt: Attempt) {
            let _ = locked(checkpointer).save(attempt);
        }
    }
    // What is saved was not flushed. Or the disk and the floors show a save that nothing asked for.
    caught::<SavesAnyway>(&[
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
    #[derive(Default)]
    struct SavesOlder(OnceLock<PathBuf>);

    impl Faults for SavesOlder {
        fn before_recovery(&self, dir: &Path) -> io::Result<()> {
            self.0.get_or_init(|| dir.to_owned());
            Ok(())
        }

        fn save(
            &self,
            checkpointer: &mut Checkpointer,
            attempt: Attempt,
        ) -> Result<Option<Generation>, CheckpointError> {
            let older = Checkpoint::of(attempt.marks());
            let saved = saved(checkpointer, attempt);
            if !matches!(saved, Err(CheckpointError::Superseded)) {
                return saved;
            }
            let newest = checkpoints(self.0.get().unwrap()).unwrap().into_iter().next();
            Ok(newest.map(|(path, header, _)| {
                replace(&path, header, &older).unwrap();
                header.generation
            }))
        }
    }
    caught::<SavesOlder>(&[Invariant::OnlyNewestIsSaved]);
}

#[test]
fn a_flag_that_an_older_checkpoint_clears_is_caught() {
    /// Tells whether a shard is unreferenced by a flag, which each attempt sets before its snapshot
    /// and clears at its end, although a newer one may have set it.
    #[derive(Default)]
    struct Clears {
        dir: OnceLock<PathBuf>,
        is_open: AtomicBool,
        saves: AtomicU64,
    }

    impl Faults for Clears {
        fn before_recovery(&self, dir: &Path) -> io::Result<()> {
            self.dir.get_or_init(|| dir.to_owned());
            Ok(())
        }

        fn begin(
            &self,
            checkpointer: &mut Checkpointer,
        ) -> Result<Option<Attempt>, CheckpointError> {
            self.is_open.store(true, SeqCst);
            checkpointer.begin()
        }

        fn save(
            &self,
            checkpointer: &mut Checkpointer,
            attempt: Attempt,
        ) -> Result<Option<Generation>, CheckpointError> {
            let saved = saved(checkpointer, attempt);
            if matches!(saved, Ok(Some(_))) {
                self.saves.fetch_add(1, SeqCst);
            }
            self.is_open.store(false, SeqCst);
            saved
        }

        fn drop_attempt(&self, _: &Mutex<Checkpointer>, attempt: Attempt) {
            drop(attempt);
            self.is_open.store(false, SeqCst);
        }

        fn is_unreferenced(&self, _: &Floors, shard: ShardId) -> bool {
            if self.is_open.load(SeqCst) || self.saves.load(SeqCst) < 2 {
                return false;
            }
            let found = checkpoints(self.dir.get().unwrap()).unwrap_or_default();
            found.iter().all(|(_, _, checkpoint)| checkpoint.shard(shard).is_none())
        }
    }
    caught::<Clears>(&[Invariant::UnreferencedStaysGone]);
}

#[test]
fn a_save_without_the_completed_ranges_is_caught() {
    #[derive(Default)]
    struct LeavesOut;

    impl Faults for LeavesOut {
        fn save(
            &self,
            checkpointer: &mut Checkpointer,
            mut attempt: Attempt,
        ) -> Result<Option<Generation>, CheckpointError> {
            attempt.marks().clone().shards().for_each(|shard| attempt.drop_above(shard));
            saved(checkpointer, attempt)
        }
    }
    caught::<LeavesOut>(&[Invariant::RecordedWithinCompleted]);
}

/// Changes the completed ranges in the newest checkpoint.
fn tamper(dir: &Path, change: fn(&mut Vec<SeqRange>)) -> io::Result<()> {
    let Some((path, header, mut checkpoint)) = checkpoints(dir)?.into_iter().next() else {
        return Ok(());
    };
    for shard in &mut checkpoint.shards {
        let mut completed = shard.completed.to_vec();
        change(&mut completed);
        shard.completed = completed.into();
    }
    replace(&path, header, &checkpoint)
}

#[test]
fn a_recovery_that_forgets_completed_ranges_is_caught() {
    #[derive(Default)]
    struct Forgets;

    impl Faults for Forgets {
        fn before_recovery(&self, dir: &Path) -> io::Result<()> {
            tamper(dir, |completed| _ = completed.pop())
        }
    }
    // A range is missing, or the mark stays below a seqno that was completed before.
    caught::<Forgets>(&[Invariant::RecordedWithinCompleted, Invariant::NoCompletionLost]);
}

#[test]
fn a_recovery_that_adds_completed_seqnos_is_caught() {
    #[derive(Default)]
    struct Adds;

    impl Faults for Adds {
        fn before_recovery(&self, dir: &Path) -> io::Result<()> {
            tamper(dir, |completed| {
                if let Some(last) = completed.last_mut() {
                    *last = SeqRange::new(last.first(), last.last() + 1);
                }
            })
        }
    }
    caught::<Adds>(&[Invariant::CompletedWithinRecorded]);
}
