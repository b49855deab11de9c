//! The real state, checkpointer and store pass.

use std::time::Duration;

use repl_harness::stress::{self, Config, Progress};

fn config(seed: u64, seconds: u64) -> Config {
    Config { duration: Duration::from_secs(seconds), seed, ..Config::default() }
}

#[test]
fn the_honest_subject_passes_with_any_seed() {
    let mut refused = 0;
    for seed in [1, 0xfeed, u64::MAX] {
        let report = stress::run(&config(seed, 2), |_| ()).unwrap();
        let counts = report.operations.by_name().into_iter();
        let idle: Vec<_> = counts.filter(|(_, count)| *count == 0).collect();
        assert!(idle.is_empty(), "never done: {idle:?}");
        assert!(report.saves > 2 && report.rounds > 1, "{report}");
        assert!(report.elapsed >= Duration::from_secs(2));
        refused += report.refused;
    }
    assert!(refused > 0, "no flush was refused");
}

#[test]
fn a_run_goes_on_from_what_an_earlier_one_left() {
    let dir = tempfile::tempdir().unwrap();
    for seed in [7, 8] {
        let dir = Some(dir.path().join("marks"));
        let duration = Duration::from_millis(300);
        let config = Config { threads: 2, duration, seed, dir, ..Config::default() };
        assert!(stress::run(&config, |_| ()).unwrap().saves > 0);
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
