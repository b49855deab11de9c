//! A path whose checkpoints could not be listed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use repl_checkpoint::{Disk, LoadError, OsDisk, SlotFileError};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::names::{SLOT_FILE, generation_of, parent};
use crate::reasons::{ALL_ZERO, is_all_zero};
use crate::verdict::{BASE_COPY, OTHER_RELEASE, lost};
use crate::wording::{shown, with_causes};

/// Why nothing could be listed, and what to do.
pub(crate) fn of_load(path: &Path, error: &LoadError) -> Failure {
    match error {
        LoadError::Io { act, path, source } => Failure::io(act, path, source),
        LoadError::Vanished { dir, marker } => vanished(path, dir, marker),
        LoadError::NotAFile { path, found } => not_a_file(path, found),
        LoadError::Slots { path: file, reason } => of_slots(path, file, reason),
        error => Failure::new(Exit::Unknown, path, with_causes(error)),
    }
}

fn vanished(path: &Path, dir: &Path, marker: &Path) -> Failure {
    let (store, marker_name) = (shown(path), marker.file_name().unwrap_or_default().display());
    let reason = format!("no checkpoint is left, and {marker_name} says that some were saved");
    renamed(Failure::new(Exit::Damage, dir, reason), dir)
        .then(format!("stop the engine, then: replctl restore BACKUP {store}"))
        .then(format!("without a backup, {BASE_COPY}"))
        .then(format!(
            "without a backup, if the log still begins at segment 1 and apply is idempotent: \
             rm {}, and the engine begins again at segment 1",
            shown(marker)
        ))
}

/// Names what may be the checkpoints of a store that has none.
fn renamed(failure: Failure, dir: &Path) -> Failure {
    let mut names = OsDisk.list(dir).unwrap_or_default();
    names.retain(|name| {
        let text = name.to_string_lossy();
        let is_like = text.contains(".checkpoint") || text.contains(".slots");
        is_like && !text.contains(".temp-") && dir.join(name).is_file()
    });
    if names.is_empty() {
        return failure;
    }
    names.sort();
    let found: Vec<_> = names.iter().map(|name| shown(&dir.join(name))).collect();
    let found = found.join(" ");
    let line = format!("these may be its checkpoints under other names: {found}");
    // A name that two files once had says of neither that it was its own.
    let mut by_name = BTreeMap::<OsString, Vec<&OsString>>::new();
    for name in &names {
        if let Some(before) = name_before(name) {
            by_name.entry(before).or_default().push(name);
        }
    }
    let file = |name: &OsString| shown(&dir.join(name));
    let moves = by_name.iter().filter(|(_, names)| names.len() == 1);
    let moves = moves.map(|(before, names)| format!("mv -n {} {}", file(names[0]), file(before)));
    let moves: Vec<_> = moves.collect();
    if moves.is_empty() {
        return failure.then(line);
    }
    let moves = moves.join(" && ");
    failure.then(format!("{line}: if somebody renamed them, and the engine is stopped: {moves}"))
}

/// The name that a file had before something was appended to it.
fn name_before(name: &OsString) -> Option<OsString> {
    let name = name.to_str()?;
    let before = [".checkpoint", ".slots"].into_iter().find_map(|end| {
        let at = name.find(end)?;
        name.get(..at + end.len())
    })?;
    let before = OsString::from(before);
    (before == SLOT_FILE || generation_of(&before).is_some()).then_some(before)
}

fn not_a_file(path: &Path, found: &str) -> Failure {
    let other = "find out what put it there, and move it away";
    let Ok(target) = std::fs::read_link(path) else {
        let reason = format!("it is {found}, not a checkpoint file");
        return Failure::new(Exit::Unknown, path, reason).then(other);
    };
    let target: PathBuf = parent(path).join(target);
    let (is, once) = if target.exists() { ("is", "") } else { ("is not", "once it is back, ") };
    let reason = format!(
        "it is {found} to {}, which {is} there, and not a checkpoint file",
        target.display()
    );
    let (link, target) = (shown(path), shown(&target));
    Failure::new(Exit::Unknown, path, reason)
        .then(format!(
            "{once}if {target} is this checkpoint, and the engine is stopped: rm {link} && \
             cp -p {target} {link}"
        ))
        .then(other)
}

/// A slot file that cannot be used as a whole.
fn of_slots(path: &Path, file: &Path, reason: &SlotFileError) -> Failure {
    let (store, name) = (shown(path), shown(file));
    let offset = match reason {
        SlotFileError::NothingWhole => 0,
        SlotFileError::Length { expected, found } => *expected.min(found),
        _ => return Failure::new(Exit::Unknown, file, without_steps(reason)).then(OTHER_RELEASE),
    };
    let mut failure = Failure::new(Exit::Damage, file, without_steps(reason)).at(offset);
    if is_all_zero(file) {
        failure.reason = ALL_ZERO.into();
    }
    if let SlotFileError::Length { expected, found } = reason
        && found > expected
    {
        failure = failure.then(format!(
            "if it is only too long, and the engine is stopped: cp -p {name} NEW_FILE && \
             truncate -s {expected} {name}, then: replctl verify {name}"
        ));
    }
    lost(failure, &store).then(format!("replctl inspect --raw {store}, for what its headers say"))
}

/// Without what the library tells a developer to do.
fn without_steps(reason: &SlotFileError) -> String {
    let text = reason.to_string();
    text.split(": restore a copy").next().unwrap_or_default().to_owned()
}
