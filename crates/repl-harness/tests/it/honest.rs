//! The real state, checkpointer and store pass.

use std::time::Duration;

use repl_harness::stress::{self, Config, Operations, Progress, Report};

fn config(seed: u64, seconds: u64) -> Config {
    Config { duration: Duration::from_secs(seconds), seed, ..Config::default() }
}

#[test]
fn the_honest_subject_passes_with_any_seed() {
    let mut reports = Vec::new();
    for seed in [1, 0xfeed, u64::MAX] {
        let report = stress::run(&config(seed, 2), |_| ()).unwrap();
        assert!(report.elapsed >= Duration::from_secs(2));
        reports.push(report);
    }
    // On a machine with much else to do some things take more seeds to come by.
    for seed in 2..30 {
        if missing(&reports).is_empty() {
            break;
        }
        reports.push(stress::run(&config(seed, 2), |_| ()).unwrap());
    }
    assert_eq!(missing(&reports), [""; 0]);
}

/// What was never done in any of these runs.
fn missing(reports: &[Report]) -> Vec<&'static str> {
    let saves = reports.iter().any(|report| report.saves > 2);
    let rounds = reports.iter().any(|report| report.rounds > 1);
    let refused = reports.iter().any(|report| report.refused > 0);
    let done = |i: usize| reports.iter().any(|report| report.operations.by_name()[i].1 > 0);
    let names = Operations::default().by_name().map(|(name, _)| name);
    let operations = names.into_iter().enumerate().map(|(i, name)| (name, done(i)));
    let others = [("saves", saves), ("rounds", rounds), ("refused flushes", refused)];
    operations.chain(others).filter(|(_, done)| !done).map(|(name, _)| name).collect()
}

#[test]
fn a_run_goes_on_from_what_an_earlier_one_left() {
    let dir = tempfile::tempdir().unwrap();
    for seed in [7, 8] {
        let dir = Some(dir.path().join("marks"));
        let duration = Duration::from_millis(300);
        let config = Config { threads: 2, duration, seed, dir, ..Config::default() };
        // On a machine with much else to do one run may not come to save.
        let mut saves = (0..30).map(|_| stress::run(&config, |_| ()).unwrap().saves);
        assert!(saves.any(|saves| saves > 0));
    }
}

#[test]
fn the_observer_sees_the_run_go_on() {
    let mut seen: Vec<Progress> = Vec::new();
    let report = stress::run(&config(3, 1), |progress| seen.push(*progress)).unwrap();
    // Ten on an idle machine.
    assert!(seen.len() >= 3, "called {} times in a second", seen.len());
    let grows = |w: &[Progress]| {
        w[0].operations <= w[1].operations
            && w[0].saves <= w[1].saves
            && w[0].elapsed < w[1].elapsed
    };
    assert!(seen.windows(2).all(grows), "{seen:?}");
    assert!(seen.iter().all(|p| p.duration == Duration::from_secs(1)));
    assert!(report.saves >= seen.last().unwrap().saves);
}

#[test]
fn a_report_says_the_seed_and_the_rate() {
    let report = stress::run(&config(99, 0), |_| ()).unwrap();
    assert_eq!((report.seed, report.threads, report.rounds), (99, 4, 1));
    let text = report.to_string();
    assert!(text.contains("seed 99, 4 threads"), "{text}");
    assert!(text.contains("operations per second"), "{text}");
}
