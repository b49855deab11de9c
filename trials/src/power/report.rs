//! Reports the power cuts, as text and as JSON.

use serde_json::{Value, json};

use super::figures::{Figures, StoreFigures};
use super::lane::Lane;
use crate::writer::{Outcome, WriterMutant};

/// All of it.
pub(super) struct Report {
    pub(super) seed: u64,
    pub(super) lanes: Vec<(Lane, Figures)>,
}

impl Report {
    pub(super) fn passed(&self) -> bool {
        let real = || self.lanes.iter().filter(|(lane, _)| !lane.must_fail);
        let caught = |(lane, figures): &(Lane, Figures)| {
            !lane.must_fail || figures.stores.values().all(is_caught)
        };
        self.has_deltas()
            && real().all(|(_, f)| f.shows() && f.stores.values().all(|s| s.failure.is_none()))
            && self.lanes.iter().all(caught)
    }

    /// Whether deltas were saved, with the right protocol. A slow filesystem may see none.
    fn has_deltas(&self) -> bool {
        let real = self.lanes.iter().filter(|(lane, _)| !lane.must_fail);
        real.flat_map(|(_, figures)| figures.stores.values()).any(|store| store.deltas > 0)
    }

    pub(super) fn print(&self) {
        println!("power: seed {}", self.seed);
        for (lane, figures) in &self.lanes {
            if lane.must_fail {
                print_trial(lane, figures);
            } else {
                print(lane, figures);
            }
        }
        let images: u64 = self.lanes.iter().map(|(_, figures)| figures.images).sum();
        println!("{images} images in all");
        if !self.has_deltas() {
            println!("NO DELTA WAS SAVED: ask for more images");
        }
    }

    pub(super) fn as_json(&self) -> Value {
        json!({
            "seed": self.seed,
            "lanes": self.lanes.iter().map(|(l, f)| as_json(l, f)).collect::<Vec<_>>(),
            "passed": self.passed(),
        })
    }
}

/// Whether a promise is broken. A filesystem that fails is not that.
fn is_caught(store: &StoreFigures) -> bool {
    store.failure.as_ref().is_some_and(|(_, failed)| failed.is_broken)
}

fn of(store: &StoreFigures, outcome: Outcome) -> u64 {
    store.outcomes.get(&outcome).copied().unwrap_or(0)
}

fn print(lane: &Lane, figures: &Figures) {
    let Figures { recordings, killed, writes, flushes, images, lacking, fate, .. } = figures;
    let seconds = figures.elapsed.as_secs_f64();
    println!("{}: {images} images in {seconds:.1} s", lane.platform.name());
    println!(
        "  {recordings} recordings: {writes} writes, {flushes} flushes, {killed} writers killed"
    );
    println!(
        "  writes without a flush at the cuts: {} kept, {} lost, {} torn; {lacking} images lack some",
        fate.kept, fate.lost, fate.torn
    );
    for (kind, store) in &figures.stores {
        let StoreFigures { acknowledged, deltas, recoveries, fell_back, failure, .. } = store;
        println!(
            "  {kind}: {acknowledged} saves acknowledged, {deltas} of them deltas; {recoveries} \
             recoveries: {} the acknowledged, {} the older, {} the newer; {fell_back} passed over \
             a damaged slot",
            of(store, Outcome::Acknowledged),
            of(store, Outcome::Old),
            of(store, Outcome::New),
        );
        if let Some((after, failed)) = failure {
            println!("  {kind}: FAILED in image {after}: {}", failed.what);
        }
    }
    if !figures.shows() {
        println!("  NO SAVE WAS CUT OFF, or no write torn: ask for more images");
    }
}

fn print_trial(lane: &Lane, figures: &Figures) {
    for (kind, store) in &figures.stores {
        let said = match &store.failure {
            Some((after, failed)) if failed.is_broken => {
                let first = failed.what.lines().next().unwrap_or_default();
                format!("caught in image {after}: {first}")
            }
            Some((after, other)) => format!("NOT CAUGHT, but in image {after}: {}", other.what),
            None => format!("NOT CAUGHT in {} images", figures.images),
        };
        println!("{kind} on {}, {}: {said}", lane.platform.name(), about(lane));
    }
}

fn about(lane: &Lane) -> &'static str {
    lane.mutant.map_or("no mutant", WriterMutant::about)
}

fn as_json(lane: &Lane, figures: &Figures) -> Value {
    let store = |(kind, store): (&_, &StoreFigures)| {
        let (after, failed) = store.failure.as_ref().map(|(after, f)| (after, f)).unzip();
        json!({
            "store": format!("{kind}"),
            "saves_acknowledged": store.acknowledged,
            "deltas_acknowledged": store.deltas,
            "recoveries": store.recoveries,
            "recovered_acknowledged": of(store, Outcome::Acknowledged),
            "recovered_older": of(store, Outcome::Old),
            "recovered_newer": of(store, Outcome::New),
            "passed_over_a_slot": store.fell_back,
            "failed_in_image": after,
            "failure": failed.map(|failed| &failed.what),
            "failure_is_a_broken_promise": failed.map(|failed| failed.is_broken),
        })
    };
    json!({
        "filesystem": lane.platform.name(),
        "mutant": lane.mutant.map(WriterMutant::about),
        "must_fail": lane.must_fail,
        "recordings": figures.recordings,
        "writers_killed": figures.killed,
        "writes": figures.writes,
        "flushes": figures.flushes,
        "images": figures.images,
        "images_that_lack_writes": figures.lacking,
        "writes_kept": figures.fate.kept,
        "writes_lost": figures.fate.lost,
        "writes_torn": figures.fate.torn,
        "stores": figures.stores.iter().map(store).collect::<Vec<_>>(),
        "seconds": figures.elapsed.as_secs_f64(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use repl_harness::crash::StoreKind;

    use super::super::cuts::Fate;
    use super::super::figures::Failed;
    use super::super::platform::Platform;
    use super::*;

    fn lane(must_fail: bool) -> Lane {
        let kinds = vec![StoreKind::Slots];
        Lane { platform: Platform::Ext4, kinds, mutant: None, images: 1, must_fail }
    }

    fn figures(failure: Option<bool>) -> Figures {
        let failure = failure.map(|is_broken| (1, Failed { is_broken, what: String::new() }));
        let outcomes = BTreeMap::from([(Outcome::Old, 1)]);
        let store = StoreFigures { outcomes, failure, deltas: 1, ..StoreFigures::default() };
        let fate = Fate { kept: 0, lost: 1, torn: 1 };
        Figures { fate, stores: [(StoreKind::Slots, store)].into(), ..Figures::default() }
    }

    fn passes(lanes: Vec<(Lane, Figures)>) -> bool {
        Report { seed: 1, lanes }.passed()
    }

    #[test]
    fn a_run_that_lost_no_write_or_cut_no_save_does_not_pass() {
        assert!(passes(vec![(lane(false), figures(None))]));
        assert!(!passes(Vec::new()));
        assert!(!passes(vec![(lane(true), figures(Some(true)))]));
        let kept = Fate { kept: 5, ..Fate::default() };
        assert!(!passes(vec![(lane(false), Figures { fate: kept, ..figures(None) })]));
        let whole = || {
            let mut whole = figures(None);
            whole.stores.entry(StoreKind::Slots).or_default().deltas = 0;
            (lane(false), whole)
        };
        assert!(!passes(vec![whole(), whole()]));
        // Those of a mutant do not count.
        assert!(!passes(vec![whole(), (lane(true), figures(Some(true)))]));
        assert!(passes(vec![whole(), (lane(false), figures(None))]));
        let mut uncut = figures(None);
        uncut.stores.entry(StoreKind::Files).or_default();
        assert!(!passes(vec![(lane(false), uncut)]));
    }

    #[test]
    fn a_failure_fails_the_run_and_a_mutant_must_break_a_promise() {
        let with = |failure| vec![(lane(false), figures(None)), (lane(true), figures(failure))];
        assert!(passes(with(Some(true))));
        assert!(!passes(with(Some(false))));
        assert!(!passes(with(None)));
        assert!(!passes(vec![(lane(false), figures(Some(true)))]));
        assert!(!passes(vec![(lane(false), figures(Some(false)))]));
    }
}
