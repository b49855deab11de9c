//! Records what stores and their neighbors do to the disk below their filesystem.
//!
//! This process serves the disk, so it must not use the filesystem on it: every call there is made
//! by another process.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use repl_harness::crash::StoreKind;

use super::device::{Blocks, Device, Record};
use super::fuse::{Handle, Served};
use super::platform::Place;
use super::writers::{Reports, Writers};
use crate::done::Fallible;
use crate::threads::side_by_side;
use crate::writer::{Follower, WriterMutant};

/// What is recorded.
#[derive(Debug, Clone)]
pub(super) struct Script {
    /// The name of the mounted disk.
    pub(super) name: String,
    pub(super) seed: u64,
    /// The number of the recording.
    pub(super) stream: u64,
    /// The kinds of store that save at the same time.
    pub(super) kinds: Vec<StoreKind>,
    pub(super) mutant: Option<WriterMutant>,
}

/// A recorded disk.
pub(super) struct Recording {
    /// The disk before the first record.
    pub(super) start: Blocks,
    pub(super) records: Vec<Record>,
    pub(super) reports: BTreeMap<Follower, Reports>,
    /// The number of writers that were killed.
    pub(super) killed: u64,
}

/// How long it is recorded, and how much, at most.
const LENGTH: Duration = Duration::from_secs(2);
const RECORDS: usize = 6000;
const BYTES: u64 = 96 << 20;
/// The number of neighbors.
const NEIGHBORS: usize = 2;

impl Recording {
    /// Makes a filesystem and records what is done to it.
    pub(super) fn new(place: &Place, script: &Script) -> Fallible<Self> {
        place.make(NEIGHBORS)?;
        let start = Blocks::load(&place.image)?;
        let device = Device::new(Blocks::load(&place.image)?);
        fs::remove_file(&place.image)?;
        let disk = place.image.with_extension("disk");
        File::create(&disk)?;
        let served = Served::new(device, &script.name, &disk)?;
        let handle = served.handle();
        place.mount(&disk)?;
        let recorded = record(place, script, &handle)?;
        let records = handle.lock().freeze();
        place.unmount()?;
        served.end(&disk)?;
        if !records.iter().any(|record| matches!(record, Record::Flush)) {
            return Err("the loop device passes no flush on to its file".into());
        }
        let mut recording = Recording { start, records, reports: BTreeMap::new(), killed: 0 };
        for (reports, killed) in recorded {
            recording.reports.extend(reports);
            recording.killed += killed;
        }
        Ok(recording)
    }
}

/// Runs writers of each kind of store, and neighbors.
fn record(
    place: &Place,
    script: &Script,
    disk: &Handle,
) -> Fallible<Vec<(BTreeMap<Follower, Reports>, u64)>> {
    let _neighbors: Vec<Neighbor> = (0..NEIGHBORS)
        .map(|number| Neighbor::new(place, number, script))
        .collect::<Fallible<_>>()?;
    let end = Instant::now() + LENGTH;
    let is_over = || {
        let disk = disk.lock();
        Instant::now() >= end || disk.position() >= RECORDS || disk.recorded() >= BYTES
    };
    let writers = |kind: &StoreKind| Writers::new(*kind, script, place.stores(), disk.clone());
    side_by_side(script.kinds.iter().map(writers), |writers| writers.run(is_over))
}

/// A neighbor process, killed on drop.
struct Neighbor(Child);

impl Neighbor {
    fn new(place: &Place, number: usize, script: &Script) -> Fallible<Self> {
        let mut neighbor = Command::new(std::env::current_exe()?);
        neighbor.arg("power-neighbor").arg(place.neighbor(number)).arg(place.stores());
        let seed = script.seed ^ script.stream.rotate_left(32) ^ (number as u64).rotate_left(16);
        Ok(Neighbor(neighbor.arg(seed.to_string()).spawn()?))
    }
}

impl Drop for Neighbor {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
