//! Reports the shutdowns, as text and as JSON.

use repl_harness::crash::StoreKind;
use serde_json::{Value, json};

use super::lane::{Figures, Lane};
use crate::writer::{Failure, Outcome, WriterMutant};

/// All of it.
pub(super) struct Report {
    pub(super) seed: u64,
    /// The right protocol.
    pub(super) real: Vec<(Lane, Figures)>,
    /// Mutants, each of which must be caught.
    pub(super) mutants: Vec<(Lane, Figures)>,
}

impl Report {
    pub(super) fn passed(&self) -> bool {
        // Shutdowns that interrupt no save, or come without deltas, prove nothing.
        let shows = |lane: &Lane, figures: &Figures| {
            figures.cycles > 0 && figures.was_cut_off() && has_deltas(*lane, figures)
        };
        !self.real.is_empty()
            && self.real.iter().all(|(lane, f)| f.failure.is_none() && shows(lane, f))
            && self.mutants.iter().all(|(lane, figures)| is_caught(*lane, figures))
    }

    pub(super) fn print(&self) {
        println!("shutdown: seed {}", self.seed);
        for (lane, figures) in &self.real {
            print(*lane, figures);
        }
        for (lane, figures) in &self.mutants {
            let said = match &figures.failure {
                Some(failure) if is_caught(*lane, figures) => {
                    let said = failure.to_string();
                    let first = said.lines().next().unwrap_or_default().to_owned();
                    format!("caught in cycle {}: {first}", figures.cycles + 1)
                }
                Some(other) => format!("NOT CAUGHT, but {other}"),
                None => "NOT CAUGHT".to_owned(),
            };
            println!("{}, {}: {said}", lane.name(), about(*lane));
        }
    }

    pub(super) fn as_json(&self) -> Value {
        let each = |(lane, figures): &(Lane, Figures)| as_json(*lane, figures);
        json!({
            "seed": self.seed,
            "lanes": self.real.iter().map(each).collect::<Vec<_>>(),
            "mutants": self.mutants.iter().map(each).collect::<Vec<_>>(),
            "passed": self.passed(),
        })
    }
}

/// Returns whether a mutant was caught: it breaks a promise, or, if it only skips syncs, leaves what
/// the simulated disk cannot leave.
fn is_caught(lane: Lane, figures: &Figures) -> bool {
    match lane.mutant {
        Some(WriterMutant::SkipsSyncs) => {
            matches!(figures.failure, Some(Failure::NotSimulated { .. }))
        }
        _ => matches!(figures.failure, Some(Failure::Broken(_))),
    }
}

/// Whether deltas were saved where the store takes them.
fn has_deltas(lane: Lane, figures: &Figures) -> bool {
    lane.kind == StoreKind::Files || figures.deltas > 0
}

fn about(lane: Lane) -> &'static str {
    lane.mutant.map_or("", WriterMutant::about)
}

fn print(lane: Lane, figures: &Figures) {
    let of = |outcome| figures.outcomes.get(&outcome).copied().unwrap_or(0);
    let Figures { cycles, attempted, acknowledged, cut_off, fell_back, left, temps, .. } = figures;
    let seconds = figures.elapsed.as_secs_f64();
    println!("{}: {cycles} shutdowns in {seconds:.1} s", lane.name());
    let deltas = figures.deltas;
    println!("  saves: {attempted} begun, {acknowledged} acknowledged, {deltas} of them deltas");
    println!(
        "  recovered: {} the acknowledged, {} the older, {} the newer; {fell_back} passed over a \
         damaged slot; {cut_off} were shut down before",
        of(Outcome::Acknowledged),
        of(Outcome::Old),
        of(Outcome::New),
    );
    println!(
        "  found: {} unsettled files, {} of them between old and new, {} sectors of garbage; \
         a temporary file {temps} times",
        left.unsettled, left.between, left.garbage,
    );
    let hit = figures.hit.iter().map(|(verb, [within, after])| format!("{verb} {within}+{after}"));
    println!("  shut down within a call + after it: {}", hit.collect::<Vec<_>>().join(", "));
    if !figures.was_cut_off() {
        println!("  NO SAVE WAS CUT OFF: with so few shutdowns that may be; ask for more");
    }
    if !has_deltas(lane, figures) {
        println!("  NO DELTA WAS SAVED: ask for more shutdowns");
    }
    if let Some(failure) = &figures.failure {
        println!("  after cycle {cycles} and {:?}: {failure}", figures.plan);
    }
}

fn as_json(lane: Lane, figures: &Figures) -> Value {
    let of = |outcome| figures.outcomes.get(&outcome).copied().unwrap_or(0);
    json!({
        "lane": lane.name(),
        "mutant": about(lane),
        "cycles": figures.cycles,
        "seconds": figures.elapsed.as_secs_f64(),
        "saves_begun": figures.attempted,
        "saves_acknowledged": figures.acknowledged,
        "deltas_acknowledged": figures.deltas,
        "recovered_acknowledged": of(Outcome::Acknowledged),
        "recovered_older": of(Outcome::Old),
        "recovered_newer": of(Outcome::New),
        "passed_over_a_slot": figures.fell_back,
        "cut_off": figures.cut_off,
        "unsettled_files": figures.left.unsettled,
        "files_between": figures.left.between,
        "garbage_sectors": figures.left.garbage,
        "left_a_temporary_file": figures.temps,
        "hit": figures.hit,
        "failure": figures.failure.as_ref().map(ToString::to_string),
    })
}

#[cfg(test)]
mod tests {
    use super::super::machine::Fs;
    use super::*;

    fn passes(mutant: Option<WriterMutant>, figures: Figures) -> bool {
        let lane = Lane { kind: StoreKind::Slots, fs: Fs::Ext4, mutant, cycles: 1 };
        let good = || Figures {
            cycles: 1,
            attempted: 2,
            acknowledged: 1,
            deltas: 1,
            ..Figures::default()
        };
        let real = Lane { mutant: None, ..lane };
        match mutant {
            None => Report { seed: 1, real: vec![(lane, figures)], mutants: Vec::new() },
            Some(_) => {
                Report { seed: 1, real: vec![(real, good())], mutants: vec![(lane, figures)] }
            }
        }
        .passed()
    }

    #[test]
    fn a_run_that_cut_nothing_off_does_not_pass() {
        let figures = |cycles, attempted, acknowledged| Figures {
            cycles,
            attempted,
            acknowledged,
            deltas: 1,
            ..Figures::default()
        };
        assert!(!passes(None, Figures { deltas: 0, ..figures(1, 2, 1) }));
        assert!(passes(None, figures(1, 2, 1)));
        assert!(!passes(None, figures(0, 2, 1)));
        assert!(!passes(None, figures(5, 24, 24)));
        assert!(!Report { seed: 1, real: Vec::new(), mutants: Vec::new() }.passed());
    }

    #[test]
    fn a_run_with_a_failure_or_without_one_from_a_mutant_does_not_pass() {
        let failing = || Figures {
            cycles: 1,
            attempted: 2,
            acknowledged: 1,
            failure: Some(Failure::Unexpected("x".to_owned())),
            ..Figures::default()
        };
        assert!(!passes(None, failing()));
        assert!(!passes(Some(WriterMutant::NoFileSync), Figures::default()));
        // It must be caught as what it is.
        assert!(!passes(Some(WriterMutant::NoFileSync), failing()));
    }
}
