//! The matrix catches mutants that treat a failing call differently.

use repl_checkpoint::OpenStoreError;

use super::{AnyStore, Run, Subject};
use crate::crash::disk::SimDisk;
use crate::crash::kind::StoreKind;
use crate::crash::mutants::{Mutant, MutantStore, Opened};
use crate::crash::protocol::Protocol;
use crate::crash::watched::{Notes, Watched};

/// Asserts that a case of the mutant fails, whose name holds `names` and whose text holds `text`.
fn catches(mutant: Mutant, names: &[&str], text: &str) {
    let open = |disk: &SimDisk| -> Result<AnyStore, OpenStoreError> {
        let protocol = Protocol::of(StoreKind::Files, Some(mutant));
        let store = protocol.open(disk)?;
        let watched = Watched { store, disk: disk.clone(), notes: Notes::default() };
        Ok(Box::new(MutantStore::new(watched, mutant, Opened::First, move |disk| {
            protocol.open(disk)
        })))
    };
    let mut run = Run::default();
    let subject = Subject { kind: StoreKind::Files, open: &open };
    if names.first().is_some_and(|name| name.starts_with("reopen")) {
        run.reopens(&subject);
    } else {
        run.all(&subject);
    }
    let found = run.failing.iter().any(|failing| {
        names.iter().all(|name| failing.case.contains(name)) && failing.what.contains(text)
    });
    let failing = run.report();
    assert!(found, "{mutant:?}: {failing}");
}

#[test]
fn an_ignored_failure_is_caught() {
    let ignored = "Ignored, not InDoubt";
    catches(Mutant::IgnoreRename, &["SaveFirst:", "rename", "errno 5, once"], ignored);
    catches(Mutant::IgnoreFullDisk, &["write", "errno 28, once"], "Ignored, not NotSaved");
    catches(Mutant::IgnoreShortWrite, &["write", "takes 100 bytes"], "not TriedAgain");
    catches(Mutant::InDoubtHidden, &["sync_dir", "errno 5, once"], "NotSaved");
}

#[test]
fn a_repeated_sync_is_caught() {
    catches(Mutant::RetryFileSync, &["sync_file", "once"], "TriedAgain, not NotSaved");
    catches(Mutant::RetryDirSync, &["sync_dir", "once"], "TriedAgain, not");
}

#[test]
fn files_left_behind_are_caught() {
    catches(Mutant::NoTempCleanup, &["rename", "for good"], "a temporary file exists");
    catches(Mutant::OneTempName, &["create_new", "is done but"], "has another cause");
    catches(Mutant::OneGeneration, &["SaveLater"], "is not kept");
}

#[test]
fn a_loss_in_a_power_cut_is_caught() {
    catches(Mutant::NoDirSync, &["remove"], "after a power cut: the mark");
    catches(Mutant::NoFileSync, &["write", "errno 4"], "after a power cut: ");
    catches(Mutant::RenameBeforeSync, &["sync_file"], "InDoubt(");
}

#[test]
fn a_wrong_reopen_is_caught() {
    catches(Mutant::NoTempCleanup, &["reopen", "rename fails"], "a temporary file exists");
    catches(Mutant::NoDirSync, &["reopen", "list"], "after a power cut: ");
    catches(Mutant::OneGeneration, &["reopen after Later", "rename fails"], "after damage");
}

#[test]
fn a_row_without_a_call_and_a_call_without_a_row_fail() {
    catches(Mutant::InPlace, &["SaveLater", "list"], "no row matches this call");
    let mut run = Run::default();
    run.unmatched_rows();
    assert!(run.report().to_string().contains("row 0: it matches no call"));
}
