//! What a store does, tried in a directory beside it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use repl_checkpoint::{
    CheckpointStore, Disk, FileStore, JsonCodec, OnCorrupt, OpenStoreError, OsDisk, SlotStore,
    StoreId, recover,
};
use repl_core::ShardId;

use super::Check;
use crate::failure::Failure;
use crate::names::parent;
use crate::wording::with_causes;

const ONE: ShardId = ShardId(1);

/// The directory to make the trials in: on the filesystem of the store, and not in its directory,
/// if that is possible.
pub(super) fn place_beside(path: &Path) -> Result<PathBuf, Failure> {
    let failed = |error| Failure::io("find the absolute path of", path, &error);
    let absolute = std::path::absolute(path).map_err(failed)?;
    let exists = absolute.ancestors().find(|dir| dir.is_dir());
    let dir = exists.unwrap_or(Path::new("/")).to_owned();
    if dir != absolute {
        return Ok(dir); // beside a slot file, or where directories are to be made
    }
    let above = parent(&dir);
    Ok(if is_on_one_filesystem(&dir, above) { above.to_owned() } else { dir })
}

#[cfg(unix)]
fn is_on_one_filesystem(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| path.metadata().map(|found| found.dev()).ok();
    device(a).is_some() && device(a) == device(b)
}

#[cfg(not(unix))]
fn is_on_one_filesystem(_: &Path, _: &Path) -> bool {
    true
}

/// A directory that is removed at the end.
struct Trial(PathBuf);

impl Drop for Trial {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Makes all trials in a new directory in `place`.
pub(super) fn run(place: &Path, saves: u64) -> Result<Vec<Check>, Failure> {
    let dir = place.join(format!("repl-checkpoint.doctor-{}", std::process::id()));
    OsDisk.create_dir(&dir).map_err(|error| Failure::io("make a directory in", place, &error))?;
    let trial = Trial(dir);
    let dir = &trial.0;
    let mut checks = vec![renamed(dir), synced(dir), locked(dir)];
    let files = |path: &Path| FileStore::open(path, StoreId::UNNAMED).map(boxed);
    let slots = |path: &Path| SlotStore::open(path, StoreId::UNNAMED).map(boxed);
    checks.push(saved("FileStore", &dir.join("files"), saves, files));
    checks.push(saved("SlotStore", &dir.join("slots"), saves, slots));
    Ok(checks)
}

fn boxed(store: impl CheckpointStore + 'static) -> Box<dyn CheckpointStore> {
    Box::new(store)
}

fn renamed(dir: &Path) -> Check {
    let name = "rename";
    let try_it = || -> io::Result<bool> {
        let (old, new) = (dir.join("old"), dir.join("new"));
        fs::write(&old, "old")?;
        fs::write(&new, "new")?;
        OsDisk.rename(&new, &old)?;
        Ok(fs::read(&old)? == b"new" && !new.exists())
    };
    match try_it() {
        Ok(true) => Check::good(name, "replaces a file"),
        Ok(false) => Check::broken(name, "left the old file, or both"),
        Err(error) => Check::broken(name, error.to_string()),
    }
}

fn synced(dir: &Path) -> Check {
    let name = "directories";
    match OsDisk.open_dir(dir).and_then(|open| OsDisk.sync_dir(&open)) {
        Ok(()) => Check::good(name, "can be synced"),
        Err(error) => Check::broken(name, format!("{error}: no new name is durable")),
    }
}

fn locked(dir: &Path) -> Check {
    let name = "lock";
    let open = || FileStore::open(dir.join("lock"), StoreId::UNNAMED);
    let first = match open() {
        Ok(first) => first,
        Err(error) => return Check::broken(name, with_causes(&error)),
    };
    let is_refused = matches!(open(), Err(OpenStoreError::Locked { .. }));
    drop(first);
    if !is_refused {
        return Check::broken(name, "two stores can hold one directory at a time");
    }
    match open() {
        Ok(_) => Check::good(name, "excludes a second store"),
        Err(error) => Check::broken(name, format!("is not given back: {}", with_causes(&error))),
    }
}

fn saved(
    name: &'static str,
    dir: &Path,
    saves: u64,
    open: impl Fn(&Path) -> Result<Box<dyn CheckpointStore>, OpenStoreError>,
) -> Check {
    match timed(dir, saves, open) {
        Ok(times) => {
            let (median, slowest) = (times[times.len() / 2], times[times.len() - 1]);
            Check::good(
                name,
                format!("a save takes {}, the slowest took {}", ms(median), ms(slowest)),
            )
        }
        Err(error) => Check::broken(name, with_causes(&*error)),
    }
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// The times of saves, the shortest first. What was saved last is recovered.
fn timed(
    dir: &Path,
    saves: u64,
    open: impl Fn(&Path) -> Result<Box<dyn CheckpointStore>, OpenStoreError>,
) -> Result<Vec<Duration>, Box<dyn std::error::Error>> {
    let mut follower = recover(open(dir)?, JsonCodec, &[ONE], OnCorrupt::Fail)?;
    let mut times = Vec::new();
    for mark in 1..=saves {
        follower.state.advance(ONE, mark);
        let began = Instant::now();
        follower.checkpointer.checkpoint(|_| Ok(()))?;
        times.push(began.elapsed());
    }
    drop(follower);
    let found = recover(open(dir)?, JsonCodec, &[ONE], OnCorrupt::Fail)?;
    if found.state.applied_seqno(ONE) != Some(saves) {
        return Err("the last save was not found again".into());
    }
    times.sort_unstable();
    Ok(times)
}
