//! Runs the stress suite on the real types with a planted fault.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fs, io};

use repl_checkpoint::{Checkpoint, Header, JsonCodec, StoreId};
use repl_core::{Incarnation, SeqNo, Shard, ShardId};
use repl_harness::stress::{self, Config, Due, Faults, Invariant, StressError};

const SEEDS: [u64; 3] = [1, 2, 0xfeed];

/// Asserts that the suite catches a fault with each of a few seeds, by any of these promises. A run
/// takes less than half a second, on a busy machine at most ten.
pub(crate) fn caught<F: Faults>(invariants: &[Invariant]) {
    for seed in SEEDS {
        let config = Config { duration: Duration::from_secs(10), seed, ..Config::default() };
        let result = stress::run_with::<F>(&config, |_| ());
        let violation = result.as_ref().err().and_then(StressError::violation);
        let right = |v: &stress::Violation| invariants.contains(&v.invariant) && v.seed == seed;
        assert!(violation.is_some_and(right), "{result:?}");
    }
}

/// Asserts that the suite catches a fault that makes a wait hang, and that the run ends. The wait
/// should have ended for any of these reasons.
pub(crate) fn hung<F: Faults>(due: &[Due]) {
    for seed in SEEDS {
        let config = Config {
            duration: Duration::from_secs(10),
            hung_after: Duration::from_secs(1),
            seed,
            ..Config::default()
        };
        let result = stress::run_with::<F>(&config, |_| ());
        let violation = result.as_ref().err().and_then(StressError::violation);
        let found = violation.map(|violation| (violation.invariant, violation.seed));
        assert_eq!(found, Some((Invariant::WaitEnds, seed)), "{result:?}");
        let hung = violation.and_then(|violation| violation.hung);
        assert!(hung.is_some_and(|hung| due.contains(&hung.due)), "{result:?}");
    }
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns true for every sixteenth call.
pub(crate) fn sometimes(calls: &AtomicU64) -> bool {
    calls.fetch_add(1, Relaxed) % 16 == 7
}

pub(crate) fn key(shard: &Shard) -> (ShardId, Incarnation) {
    (shard.id(), shard.incarnation())
}

/// Whether this seqno is of a shard that is completed out of order: those are small.
pub(crate) fn is_dense(seqno: SeqNo) -> bool {
    seqno < 1 << 28
}

/// Reads the checkpoints in a directory, the newest first. A file that is removed in the meantime
/// is left out.
pub(crate) fn checkpoints(dir: &Path) -> io::Result<Vec<(PathBuf, Header, Checkpoint)>> {
    let mut found = Vec::new();
    for file in fs::read_dir(dir)? {
        let path = file?.path();
        if path.extension().is_none_or(|e| e != "checkpoint") {
            continue;
        }
        let bytes = match fs::read(&path) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => continue,
            bytes => bytes?,
        };
        let unsealed = Checkpoint::unseal(&JsonCodec, StoreId::UNNAMED, &bytes);
        let (header, checkpoint) = unsealed.map_err(io::Error::other)?;
        found.push((path, header, checkpoint));
    }
    found.sort_by_key(|(_, header, _)| Reverse(header.generation));
    Ok(found)
}

/// Replaces a checkpoint, as a crash then leaves it.
pub(crate) fn replace(path: &Path, header: Header, checkpoint: &Checkpoint) -> io::Result<()> {
    fs::write(path, checkpoint.seal(&JsonCodec, header).map_err(io::Error::other)?)
}
