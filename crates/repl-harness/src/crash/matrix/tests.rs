//! The matrix finds out who does something else with a call that fails.

use repl_checkpoint::OpenStoreError;

use super::{AnyStore, Run, Subject};
use crate::crash::disk::SimDisk;
use crate::crash::protocol::{Protocol, Store};
use crate::crash::sabotage::{Sabotage, WrongStore};
use crate::crash::watched::{Notes, Watched};

/// Whether some case fails that names all of this, and says all of that.
fn finds_out(wrong: Sabotage, names: &[&str], says: &str) {
    let open = |disk: &SimDisk| -> Result<AnyStore, OpenStoreError> {
        let protocol = Protocol::of(Store::Files, Some(wrong));
        let store = protocol.open(disk)?;
        let watched = Watched { store, disk: disk.clone(), notes: Notes::default() };
        Ok(Box::new(WrongStore::new(watched, protocol, wrong)))
    };
    let mut run = Run::default();
    run.all(&Subject { kind: Store::Files, open: &open });
    let found = run.failing.iter().any(|failing| {
        names.iter().all(|name| failing.case.contains(name)) && failing.what.contains(says)
    });
    let failing = run.report();
    assert!(found, "{wrong:?}: {failing}");
}

#[test]
fn a_call_whose_failure_is_passed_over_is_found_out() {
    let ignored = "Ignored, not InDoubt";
    finds_out(Sabotage::IgnoreRename, &["SaveFirst:", "rename", "errno 5, once"], ignored);
    finds_out(Sabotage::IgnoreFullDisk, &["write", "errno 28, once"], "Ignored, not NotSaved");
    finds_out(Sabotage::IgnoreShortWrite, &["write", "takes 100 bytes"], "not TriedAgain");
    finds_out(Sabotage::DoubtHidden, &["sync_dir", "errno 5, once"], "NotSaved");
}

#[test]
fn a_sync_that_is_tried_again_is_found_out() {
    finds_out(Sabotage::RetryFileSync, &["sync_file", "once"], "TriedAgain, not NotSaved");
    finds_out(Sabotage::RetryDirSync, &["sync_dir", "once"], "TriedAgain, not");
}

#[test]
fn what_is_left_behind_is_found_out() {
    finds_out(Sabotage::NoTempCleanup, &["rename", "for good"], "a temporary file outlives");
    finds_out(Sabotage::OneTempName, &["create_new", "is done but"], "another one");
    finds_out(Sabotage::OneGeneration, &["SaveLater"], "is not kept");
}

#[test]
fn what_a_power_cut_takes_is_found_out() {
    finds_out(Sabotage::NoDirSync, &["remove"], "after a power cut: the mark");
    finds_out(Sabotage::NoFileSync, &["write", "errno 4"], "after a power cut: ");
    finds_out(Sabotage::RenameBeforeSync, &["sync_file"], "InDoubt(");
}

#[test]
fn a_row_that_no_call_meets_and_a_call_of_which_no_row_speaks_are_found_out() {
    finds_out(Sabotage::InPlace, &["SaveLater", "list"], "says nothing of this call");
    let mut run = Run::default();
    run.rows_that_nothing_meets();
    assert!(run.report().to_string().contains("row 0: no call meets it"));
}
