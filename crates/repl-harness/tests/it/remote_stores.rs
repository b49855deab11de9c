//! A remote store that breaks one promise fails the suite for one process, which names it.

use repl_checkpoint::StoreId;
use repl_harness::suites::{
    RemoteStorePromise as P, RemoteStoreReport, RemoteStoreViolation, remote_store_suite,
};

use crate::remote_server::client::{Client, block_on};
use crate::remote_server::{Fault, Server};

fn suite(fault: Fault) -> Result<RemoteStoreReport, RemoteStoreViolation> {
    let url = Server::start(fault).url();
    let records = [StoreId(8), StoreId(9)];
    remote_store_suite(records, |record| Client::open(&url, record), |task| block_on(task))
}

#[test]
fn a_good_remote_store_passes() {
    let report = suite(Fault::Nothing).unwrap();
    assert!(report.calls > 500 && report.refused > 100, "{report}");
    assert!(report.dropped > 4, "{report}");
}

#[test]
fn a_wrong_remote_store_is_found_by_the_promise_that_it_breaks() {
    for (fault, promise) in [
        (Fault::IgnoresConditions, P::OnlyTakeOverMakes),
        (Fault::RenewalMakesRecord, P::OnlyTakeOverMakes),
        (Fault::SaveMakesRecord, P::OnlyTakeOverMakes),
        (Fault::SameTokenTwice, P::WitnessIsCompared),
        (Fault::IgnoresWitness, P::OnlyTakeOverMakes),
        (Fault::IgnoresTokens, P::SaveIsConditional),
        (Fault::KeepsOnlyTheNewest, P::SavedIsLoaded),
        (Fault::CutsBytes, P::SavedIsLoaded),
        (Fault::RefusesWithoutRecord, P::RefusalTellsRecord),
        (Fault::RefusesSaves, P::SaveIsConditional),
        (Fault::LosesAnswers, P::Works),
        (Fault::Panics, P::NoPanic),
        (Fault::MixesAnswersUp, P::DroppedIsInDoubt),
        (Fault::SharesRecords, P::RecordsAreApart),
        (Fault::KeepsSavesOfRefused, P::SavedIsLoaded),
        (Fault::IsVisibleLate, P::TakeOverIsNew),
    ] {
        let found = suite(fault).expect_err(&format!("{fault:?}"));
        assert_eq!(found.promise, promise, "{fault:?}: {found}");
    }
}

#[test]
fn stores_that_a_race_finds_pass_the_suite_for_one_process() {
    suite(Fault::LosesUpdates).unwrap();
    suite(Fault::FencesInItsProcess).unwrap();
}

#[test]
fn an_open_that_fails_and_another_id_are_found() {
    let records = [StoreId(8), StoreId(9)];
    let found = remote_store_suite(
        records,
        |record| Client::open("", record),
        |task| {
            block_on(task);
        },
    );
    assert_eq!(found.unwrap_err().promise, P::Works);
    let url = Server::start(Fault::Nothing).url();
    let open = |_| Client::open(&url, StoreId(3));
    let found = remote_store_suite(records, open, |task| block_on(task));
    assert_eq!(found.unwrap_err().promise, P::IdStays);
}
