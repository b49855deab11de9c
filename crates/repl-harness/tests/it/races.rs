//! Writers in several processes race for a record: every planted fault of a store is found, and by
//! the check that is meant to find it.

use std::time::{Duration, Instant};

use repl_checkpoint::{Acquire, RemoteStore};
use repl_harness::race::{self, Config, Promise, RaceError, Report, this_test};

use crate::remote_server::client::{Client, block_on};
use crate::remote_server::{Fault, Server};

/// The processes of every race run this test alone.
const NAME: &str = "races::a_good_store_passes";

fn race(fault: Fault, config: &Config) -> Result<Report, RaceError> {
    let server = Server::start(fault);
    race::run(config, &server.url(), this_test(NAME), |_| {})
}

#[test]
fn a_good_store_passes() {
    if race::is_worker() {
        race::work(Client::open, |task| block_on(task));
    }
    let (server, mut seen) = (Server::start(Fault::Nothing), Vec::new());
    let observer = |report: &Report| seen.push(report.rounds);
    let report = race::run(&Config::default(), &server.url(), this_test(NAME), observer).unwrap();
    assert_eq!((report.rounds, report.unclear, report.failed), (200, 0, 0), "{report}");
    assert!(seen.into_iter().eq(1..=200), "the observer is called after each round");
    assert!(report.saves > 150 && report.renewals > 100 && report.dropped > 30, "{report}");
    assert!(report.takeovers > 200 * 8, "{report}");
}

/// It breaks one of the promises; and without the checks of these it passes.
fn is_found(fault: Fault, promises: &[Promise]) {
    let config = Config::default();
    match race(fault, &config) {
        Err(RaceError::Violation(found)) => {
            assert!(promises.contains(&found.promise), "{fault:?}: {found}");
            assert!(found.round <= 50, "{fault:?}: {found}");
            assert!(found.place.contains(&config.record.to_string()), "{found}");
            assert!(!found.writers.is_empty() && found.writers.iter().all(|w| (1..=8).contains(w)));
        }
        other => panic!("{fault:?} was not found: {other:?}"),
    }
    let unchecked = Config { skip: promises.to_vec(), rounds: 50, ..Config::default() };
    let report = race(fault, &unchecked).unwrap_or_else(|error| panic!("{fault:?}: {error}"));
    assert!(report.skipped > 0, "{fault:?}: {report}");
}

#[test]
fn a_store_that_loses_updates_under_race_is_found() {
    is_found(
        Fault::LosesUpdates,
        &[Promise::OneWinner, Promise::Explained, Promise::BytesAreKept, Promise::OkIsVisible],
    );
}

#[test]
fn a_store_that_ignores_conditions_is_found() {
    is_found(
        Fault::IgnoresConditions,
        &[
            Promise::OneWinner,
            Promise::FencedStaysFenced,
            Promise::Explained,
            Promise::NewToken,
            Promise::BytesAreKept,
        ],
    );
}

#[test]
fn a_store_that_fences_in_its_own_process_alone_is_found() {
    is_found(Fault::FencesInItsProcess, &[Promise::FencedStaysFenced, Promise::Explained]);
}

#[test]
fn a_store_that_says_ok_before_it_is_visible_is_found() {
    is_found(Fault::IsVisibleLate, &[Promise::OkIsVisible, Promise::BytesAreKept]);
}

#[test]
fn a_store_that_gives_a_token_twice_is_found() {
    is_found(Fault::SameTokenTwice, &[Promise::NewToken]);
}

#[test]
fn a_store_that_lets_a_renewed_lease_save_is_found() {
    is_found(
        Fault::IgnoresTokens,
        &[Promise::FencedStaysFenced, Promise::Explained, Promise::OneWinner],
    );
}

#[test]
fn a_store_that_keeps_too_little_or_other_bytes_is_found() {
    is_found(Fault::KeepsOnlyTheNewest, &[Promise::BytesAreKept]);
    is_found(Fault::CutsBytes, &[Promise::BytesAreKept]);
}

#[test]
fn a_store_that_refuses_without_the_record_is_found() {
    is_found(Fault::RefusesWithoutRecord, &[Promise::RefusalTellsRecord]);
}

#[test]
fn a_store_of_which_no_save_wins_is_found() {
    is_found(Fault::RefusesSaves, &[Promise::OneWinner]);
}

#[test]
fn a_panic_of_a_store_is_found() {
    let found = race(Fault::Panics, &Config::default()).unwrap_err();
    let text = found.to_string();
    assert!(text.contains("nothing panics: round ") && text.contains("thirtieth call"), "{text}");
}

#[test]
fn a_call_that_never_returns_ends_the_run() {
    let start = Instant::now();
    let config = Config { hung_after: Duration::from_secs(4), ..Config::default() };
    let found = race(Fault::Hangs, &config).unwrap_err();
    let is_hung = matches!(&found, RaceError::Hung { round, writer, call, .. }
        if *round > 1 && (1..=8).contains(writer) && call.starts_with("a "));
    assert!(is_hung, "{found}");
    assert!(start.elapsed() < Duration::from_secs(300), "the processes have ended");
}

#[test]
fn a_store_that_mostly_fails_is_not_judged() {
    let found = race(Fault::LosesAnswers, &Config::default()).unwrap_err();
    assert!(matches!(&found, RaceError::Failing { .. }), "{found}");
    // Nothing listens there.
    let server = "127.0.0.1:1 Nothing";
    let found = race::run(&Config::default(), server, this_test(NAME), |_| {}).unwrap_err();
    let is_first = matches!(&found, RaceError::Failing { failed: 1, calls: 1, .. });
    assert!(is_first && found.to_string().contains("refused"), "{found}");
}

#[test]
fn a_round_that_is_too_much_in_doubt_is_followed_by_another() {
    // Mostly one round of the first run is.
    let is_unclear = |seed| {
        let config = Config { seed, ..Config::default() };
        let report = race(Fault::LosesAnswersAtTimes, &config).unwrap();
        assert_eq!(report.rounds, 200, "{report}");
        report.unclear > 0
    };
    assert!((1..=20).any(is_unclear));
}

#[test]
fn what_keeps_a_race_from_running_is_told() {
    let found = race(Fault::Ends, &Config::default()).unwrap_err();
    assert!(matches!(&found, RaceError::Ended { .. }), "{found}");
    let found = race::run(&Config::default(), "a", this_test(NAME), |_| {}).unwrap_err();
    assert!(found.to_string().contains("failed to open the store: no fault is named"), "{found}");
    let found = race::run(&Config::default(), "a b", this_test("races::none"), |_| {}).unwrap_err();
    assert!(
        found.to_string().contains("race::work") && found.to_string().contains("running 0 tests")
    );
    let none = || std::process::Command::new("/nonexistent/program");
    let found = race::run(&Config::default(), "a b", none, |_| {}).unwrap_err();
    assert!(matches!(found, RaceError::Start(_)), "{found}");
}

#[test]
fn a_record_that_is_there_is_not_touched() {
    let server = Server::start(Fault::Nothing);
    let config = Config::default();
    let mut engine = Client::open(&server.url(), config.record).unwrap();
    let take = || Acquire::TakeOver { at_least: None };
    let held = block_on(engine.acquire(take())).unwrap();
    let found = race::run(&config, &server.url(), this_test(NAME), |_| {}).unwrap_err();
    assert!(matches!(&found, RaceError::NotNew { .. }), "{found}");
    let again = block_on(engine.acquire(take())).unwrap();
    assert_eq!(again.lease.token, held.lease.token + 1);
}
