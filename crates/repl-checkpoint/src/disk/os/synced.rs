//! What this process has synced already.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::place::Place;
use super::{OsDir, OsDisk};
use crate::disk::Disk;

/// When a directory last changed, in seconds and nanoseconds.
type Changed = (i64, i64);

/// Directories that were synced, and when each had last changed by then.
static PARENTS: Mutex<BTreeMap<Place, Changed>> = Mutex::new(BTreeMap::new());
/// Filesystems on which a directory was synced.
static FILESYSTEMS: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());

/// No filesystem's clock is coarser: FAT counts in steps of two seconds.
const SETTLED: Duration = Duration::from_secs(3);

/// Syncs a directory, unless this process has synced it and no name in it has changed since. So
/// a process that opens a thousand stores in one directory syncs the directories above them once.
///
/// A change gives a directory a new time of change. It might be the old one once more only if the
/// directory had changed in the same tick of the clock: one that changed a moment ago is synced
/// again.
pub(super) fn parent(dir: &OsDir) -> io::Result<()> {
    let found = dir.open.metadata()?;
    let (place, changed) = (dir.place, (found.ctime(), found.ctime_nsec()));
    let parents = || PARENTS.lock().unwrap_or_else(PoisonError::into_inner);
    if parents().get(&place) == Some(&changed) {
        return Ok(());
    }
    OsDisk.sync_dir(dir)?;
    if is_settled(found.ctime()) {
        parents().insert(place, changed);
    }
    Ok(())
}

/// Whether a time of change is so long ago that the next change gets another one. A filesystem that
/// keeps no such time says 0.
fn is_settled(seconds: i64) -> bool {
    let changed = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0);
    let changed = changed.map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    let age = changed.and_then(|changed| SystemTime::now().duration_since(changed).ok());
    age.is_some_and(|age| age >= SETTLED)
}

/// Syncs a directory, unless this process has synced another one of its filesystem.
pub(super) fn filesystem(dir: &OsDir) -> io::Result<()> {
    let (device, _) = dir.place;
    let known = || FILESYSTEMS.lock().unwrap_or_else(PoisonError::into_inner);
    if !known().contains(&device) {
        OsDisk.sync_dir(dir)?;
        known().insert(device);
    }
    Ok(())
}
