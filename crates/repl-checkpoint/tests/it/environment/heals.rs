//! The course of a fault that an operator mends under a running follower.

use std::path::Path;

use crate::support::AnyStore;
use crate::support::follower::Follower;
use crate::support::process::Process;

use super::temps;

/// What a follower answers under a fault. `DIR` is the directory, `N` the number of a generation.
pub(super) struct Answers<'a> {
    /// The whole message of the failed save; any of these.
    pub(super) save: &'a [&'a str],
    /// What `reopen` returns before the fault is mended.
    pub(super) reopen: &'a str,
    /// Whether the save goes into a new file, also with a `SlotStore`.
    pub(super) new_file: bool,
    /// Whether the fault is in the way of every later save too.
    pub(super) lasts: bool,
}

/// Checks that a save under the fault fails with this message and takes nothing back, and that all
/// is well once the fault is mended and the store was opened again. Twice: `reopen` is also called
/// too early.
pub(super) fn heals<S: AnyStore, F>(
    dir: &Path,
    mut follower: Process,
    fault: impl Fn() -> F,
    answers: &Answers<'_>,
) {
    for (base, too_early) in [(0, false), (100, true)] {
        let saves = |follower: &mut Process, mark: u64| {
            let said = follower.ask(&(base + mark).to_string());
            assert!(said.starts_with("saved "), "{}: {said}", S::NAME);
        };
        saves(&mut follower, 10);
        saves(&mut follower, 20);
        if answers.new_file {
            assert_eq!(follower.ask("reopen"), "reopened");
        }
        let floors = follower.ask("floors");
        let fault = fault();
        let said = masked(dir, &follower.ask(&format!("fail {}", base + 30)));
        assert!(answers.save.contains(&&*said), "{}: {said}", S::NAME);
        assert!(!said.contains('\n') && follower.ask("floors") == floors);
        let in_doubt = ["in doubt", "not acknowledged"].iter().any(|how| said.starts_with(how));
        if in_doubt {
            assert_eq!(follower.ask(&(base + 30).to_string()), "poisoned");
        }
        if too_early {
            opened_too_early(dir, &mut follower, answers, base + 30);
        }
        drop(fault);
        if in_doubt && !too_early {
            assert_eq!(follower.ask(&(base + 40).to_string()), "poisoned", "until reopened");
        } else if !too_early {
            saves(&mut follower, 40);
        }
        assert_eq!(follower.ask("reopen"), "reopened");
        saves(&mut follower, 50);
        assert_eq!(follower.ask("floors"), format!("(Some({}), None)", base + 50));
        saves(&mut follower, 60);
        let floors = format!("(Some({}), Some({}))", base + 60, base + 50);
        assert_eq!(follower.ask("floors"), floors);
    }
    assert!(follower.end().success());
    let next = Follower::open::<S>(dir).unwrap();
    assert_eq!((next.mark(), temps(dir)), (160, 0));
}

/// Opening reads only, so the fault shows again at the next save at the latest.
fn opened_too_early(dir: &Path, follower: &mut Process, answers: &Answers<'_>, mark: u64) {
    assert_eq!(masked(dir, &follower.ask("reopen")), answers.reopen);
    let said = follower.ask(&mark.to_string());
    assert_eq!(said.starts_with("saved"), !answers.lasts, "{said}");
    assert_eq!(said == "poisoned", answers.reopen != "reopened", "{said}");
}

/// The message with `DIR` and `N` in place of what differs.
pub(super) fn masked(dir: &Path, message: &str) -> String {
    let mut masked = message.replace(dir.to_str().unwrap(), "DIR");
    for (before, number) in [("/", "000"), ("generation ", "")] {
        let mut rest = std::mem::take(&mut masked);
        while let Some((start, after)) = rest.split_once(&format!("{before}{number}")) {
            masked.extend([start, before, "N"]);
            rest = after.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned();
        }
        masked.push_str(&rest);
    }
    masked
}
