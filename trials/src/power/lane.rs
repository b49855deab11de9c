//! Cuts the power of one filesystem under both kinds of store.

use std::fs;
use std::io::{self, Write};
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use std::vec::IntoIter;

use fastrand::Rng;
use repl_harness::crash::StoreKind;

use super::cuts::{Cuts, instants};
use super::figures::{Failed, Figures};
use super::platform::{Place, Platform};
use super::recording::{Recording, Script};
use super::writers::{LAST_STAMP, Reports};
use crate::done::{Fallible, root};
use crate::writer::{
    Event, Events, Failure, Follower, RunResult, WriterHistory, WriterMutant, write,
};

/// Stores on one filesystem.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    pub(super) platform: Platform,
    pub(super) kinds: Vec<StoreKind>,
    pub(super) mutant: Option<WriterMutant>,
    pub(super) images: u64,
    /// Whether each kind of store must fail: the run ends when it has.
    pub(super) must_fail: bool,
}

/// The number of images of one recording.
const PER_RECORDING: u64 = 50;

impl Lane {
    /// Makes all images, or stops when each kind of store has failed.
    pub(super) fn run(
        &self,
        folder: &Path,
        name: &str,
        seed: u64,
        on_image: impl Fn(),
    ) -> Fallible<Figures> {
        let started = Instant::now();
        let folder = folder.join(format!("{name}-{:?}-{:?}", self.platform, self.mutant));
        fs::create_dir_all(&folder)?;
        let mut figures = Figures::default();
        for kind in &self.kinds {
            figures.stores.entry(*kind).or_default();
        }
        while figures.images < self.images && !figures.all_failed() {
            let script = Script {
                name: name.to_owned(),
                seed,
                stream: figures.recordings,
                kinds: self.kinds.clone(),
                mutant: self.mutant,
            };
            let place = Place::new(self.platform, script.stream, &folder)?;
            let recording = Recording::new(&place, &script)?;
            figures.recorded(&recording.records, recording.killed);
            let stream = script.stream.rotate_left(48) ^ self.platform as u64;
            let mut rng = Rng::with_seed(seed ^ stream);
            let reported: Vec<usize> =
                recording.reports.values().flatten().map(|(at, _)| *at).collect();
            let wanted = PER_RECORDING.min(self.images - figures.images);
            let instants = instants(&recording.records, &reported, wanted, &mut rng);
            let superblock = self.platform.superblock();
            let cuts = Cuts::new(recording.start, &recording.records, superblock);
            let stores = recording.reports.into_iter().map(Store::new).collect();
            let mut checks = Checks { lane: self, place, cuts, stores, figures: &mut figures };
            for at in instants {
                checks.cut(at, rng.u64(..))?;
                on_image();
                if checks.figures.all_failed() {
                    break;
                }
            }
        }
        figures.elapsed = started.elapsed();
        Ok(figures)
    }
}

/// The store of a follower, up to a cut.
struct Store {
    follower: Follower,
    /// `None` before its first writer.
    history: Option<WriterHistory>,
    /// What was reported later.
    reports: Peekable<IntoIter<(usize, Option<Event>)>>,
}

impl Store {
    fn new((follower, reports): (Follower, Reports)) -> Self {
        Store { follower, history: None, reports: reports.into_iter().peekable() }
    }

    /// Adds what was reported up to a cut. Returns how many saves were acknowledged, and how many of
    /// them were deltas.
    fn advance(&mut self, at: usize) -> Fallible<(u64, u64)> {
        let (mut acknowledged, mut deltas) = (0, 0);
        while let Some((_, event)) = self.reports.next_if(|(when, _)| *when <= at) {
            let history = self.history.get_or_insert_default();
            match event {
                None => history.restart(),
                Some(event) => {
                    if let Event::Saved { is_delta, .. } = event {
                        acknowledged += 1;
                        deltas += u64::from(is_delta);
                    }
                    history.report(event)?;
                }
            }
        }
        Ok((acknowledged, deltas))
    }
}

/// The images of one recording.
struct Checks<'a> {
    lane: &'a Lane,
    place: Place,
    cuts: Cuts<'a>,
    stores: Vec<Store>,
    figures: &'a mut Figures,
}

impl Checks<'_> {
    /// Cuts the power after `at` records, and checks what the stores recover.
    fn cut(&mut self, at: usize, seed: u64) -> Fallible<()> {
        for store in &mut self.stores {
            let (acknowledged, deltas) = store.advance(at)?;
            let figures = self.figures.stores.entry(store.follower.kind).or_default();
            figures.acknowledged += acknowledged;
            figures.deltas += deltas;
        }
        let fate = self.cuts.image(at, seed, &self.place.image)?;
        self.figures.made(fate);
        let mut failed: Vec<(StoreKind, Failed)> = Vec::new();
        if let Err(err) = self.place.mount(&self.place.image) {
            let fail = |kind| (kind, Failed { is_broken: false, what: err.to_string() });
            failed.extend(self.lane.kinds.iter().copied().map(fail));
        } else {
            for store in &self.stores {
                let kind = store.follower.kind;
                let Some(history) = &store.history else { continue };
                match recover(store.follower, history, &self.place.stores())? {
                    Ok(result) => self.figures.recovered(kind, &result),
                    Err(failure) => {
                        let is_broken = matches!(failure, Failure::Broken(_));
                        let what = format!("{}: {failure}", store.follower.name());
                        failed.push((kind, Failed { is_broken, what }));
                    }
                }
            }
            self.place.unmount()?;
        }
        for (kind, mut failed) in failed {
            failed.what = format!("{fate}: {}", failed.what);
            if self.figures.failed(kind, failed) && !self.lane.must_fail {
                let kept = self.kept(kind);
                self.cuts.image(at, seed, &kept)?;
            }
        }
        fs::remove_file(&self.place.image)?;
        Ok(())
    }

    /// Where the image of a failure is kept.
    fn kept(&self, kind: StoreKind) -> PathBuf {
        root().join("target").join(format!("power-{:?}-{kind:?}.image", self.lane.platform))
    }
}

/// Recovers a store and saves once.
fn recover(
    follower: Follower,
    history: &WriterHistory,
    stores: &Path,
) -> Fallible<Result<RunResult, Failure>> {
    let out = Shared::default();
    write(stores, follower, None, LAST_STAMP..LAST_STAMP + 1, out.clone())?;
    let bytes = std::mem::take(&mut *out.0.lock().unwrap_or_else(PoisonError::into_inner));
    let events = Events::new(&bytes[..]).map(|entry| Ok(entry?.0));
    Ok(history.check_cut(events.collect::<io::Result<Vec<Event>>>()?))
}

/// Bytes that a writer in this process reports.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
