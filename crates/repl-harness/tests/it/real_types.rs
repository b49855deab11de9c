//! The real state, checkpointer and store pass the stress suite.

use std::time::Duration;

use repl_harness::stress::{self, Config, Operations, Progress, Report};

fn config(seed: u64, seconds: u64) -> Config {
    Config { duration: Duration::from_secs(seconds), seed, ..Config::default() }
}

#[test]
fn the_real_types_pass_with_any_seed() {
    let mut reports = Vec::new();
    for seed in [1, 0xfeed, u64::MAX] {
        let report = stress::run(&config(seed, 2), |_| ()).unwrap();
        assert!(report.elapsed >= Duration::from_secs(2));
        reports.push(report);
    }
    // On a busy machine some operations need more seeds to occur.
    for seed in 2..30 {
        if missing(&reports).is_empty() {
            break;
        }
        reports.push(stress::run(&config(seed, 2), |_| ()).unwrap());
    }
    assert_eq!(missing(&reports), [""; 0]);
}

/// The operations that occurred in none of these runs.
fn missing(reports: &[Report]) -> Vec<&'static str> {
    let saves = reports.iter().any(|report| report.saves > 2);
    let rounds = reports.iter().any(|report| report.rounds > 1);
    let done = |i: usize| reports.iter().any(|report| report.operations.by_name()[i].1 > 0);
    let names = Operations::default().by_name().map(|(name, _)| name);
    let operations = names.into_iter().enumerate().map(|(i, name)| (name, done(i)));
    let others = [("saves", saves), ("rounds", rounds)];
    operations.chain(others).filter(|(_, done)| !done).map(|(name, _)| name).collect()
}

#[test]
fn a_run_recovers_what_an_earlier_one_saved() {
    let dir = tempfile::tempdir().unwrap();
    for seed in [7, 8] {
        let dir = Some(dir.path().join("marks"));
        let duration = Duration::from_millis(300);
        let config = Config { threads: 2, duration, seed, dir, ..Config::default() };
        // On a busy machine a single run may not save.
        let mut saves = (0..30).map(|_| stress::run(&config, |_| ()).unwrap().saves);
        assert!(saves.any(|saves| saves > 0));
    }
}

#[test]
fn the_observer_is_called_with_growing_figures() {
    let mut calls: Vec<Progress> = Vec::new();
    let report = stress::run(&config(3, 1), |progress| calls.push(*progress)).unwrap();
    // Ten on an idle machine.
    assert!(calls.len() >= 3, "called {} times in a second", calls.len());
    let grows = |w: &[Progress]| {
        w[0].operations <= w[1].operations
            && w[0].saves <= w[1].saves
            && w[0].elapsed < w[1].elapsed
    };
    assert!(calls.windows(2).all(grows), "{calls:?}");
    assert!(calls.iter().all(|p| p.duration == Duration::from_secs(1)));
    assert!(report.saves >= calls.last().unwrap().saves);
}

#[test]
fn a_report_shows_the_seed_and_the_rate() {
    let report = stress::run(&config(99, 0), |_| ()).unwrap();
    assert_eq!((report.seed, report.threads, report.rounds), (99, 4, 1));
    let text = report.to_string();
    assert!(text.contains("seed 99, 4 threads"), "{text}");
    assert!(text.contains("operations per second"), "{text}");
}
