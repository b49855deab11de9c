//! What a survey means: whether the engine starts, and what to type if it does not.

use std::path::Path;

use repl_checkpoint::{
    CorruptReason, Generation, LoadError, SlotFileError, Survey, Surveyed, UnsealError,
};

use crate::exit::Exit;
use crate::failure::{Failure, of_corrupt, shown, with_causes};
use crate::store::{EXTENSION, Place};

/// What is wrong with what a path holds; `None` if every generation is whole.
///
/// It follows recovery: the newest whole generation counts, and what is damaged before it.
pub(crate) fn problem(path: &Path, place: &Place, survey: &Survey) -> Option<Failure> {
    let Some(first) = survey.found.iter().find(|found| found.checked.is_err()) else {
        return survey.found.is_empty().then(|| nothing(path));
    };
    let Err(reason) = &first.checked else { return None };
    let whole = survey.found.iter().position(|found| found.checked.is_ok());
    let first_bad = survey.found.iter().position(|found| found.checked.is_err());
    let mut failure = of_corrupt(&first.path, reason).at(first.damaged_at);
    failure.newest_whole = whole.and_then(|i| named(&survey.found[i]));
    let mut before = survey.found.iter().take_while(|found| found.checked.is_err());
    let refused = before.find_map(refusal);
    if let Some((found, reason)) = refused {
        let failure = of_corrupt(&found.path, reason).at(found.damaged_at);
        return Some(after_refusal(failure, reason, path));
    }
    let store = shown(path);
    let is_reserve = whole < first_bad && whole.is_some();
    if let (Place::Files { .. }, Some(generation), false) =
        (place, named_otherwise(reason), is_reserve)
    {
        failure = renamed(failure, first, generation);
    }
    Some(match whole {
        None => lost(failure, &store),
        Some(_) if is_reserve && !reason.is_damage() => after_refusal(failure, reason, path),
        Some(_) if is_reserve => reserve(failure, &store),
        Some(damaged) => fallen_back(failure, place, damaged, &store),
    })
}

/// The generation of a checkpoint whose file name says another.
fn named_otherwise(reason: &CorruptReason) -> Option<Generation> {
    match reason {
        CorruptReason::Unseal(UnsealError::OtherGeneration { found, .. }) => Some(*found),
        _ => None,
    }
}

fn named(found: &Surveyed) -> Option<(u64, std::path::PathBuf)> {
    Some((found.header?.generation, found.path.clone()))
}

/// Whether recovery refuses something before the newest whole generation, and falls back no further.
pub(crate) fn is_refused(survey: &Survey) -> bool {
    survey.found.iter().take_while(|found| found.checked.is_err()).any(|f| refusal(f).is_some())
}

/// A generation that is not damaged, but that recovery refuses.
fn refusal(found: &Surveyed) -> Option<(&Surveyed, &CorruptReason)> {
    let reason = found.checked.as_ref().err().filter(|reason| !reason.is_damage())?;
    Some((found, reason))
}

fn nothing(path: &Path) -> Failure {
    Failure::new(Exit::Unknown, path, "no checkpoint is there, and none was saved")
        .then("ls -la PATH, for the right path; a new engine makes its first checkpoint itself")
}

/// Nothing whole is left.
fn lost(mut failure: Failure, store: &str) -> Failure {
    failure.exit = Exit::Damage;
    failure
        .then(format!("stop the engine, then: replctl restore BACKUP {store}"))
        .then("without a backup: take a new base copy of the data, and begin again")
        .then("if this is a backup itself, use another one")
}

/// The newest generation is whole, and an older one is damaged.
fn reserve(mut failure: Failure, store: &str) -> Failure {
    failure.exit = Exit::Damage;
    failure
        .then(format!("replctl backup {store} NEW_DIRECTORY, as no older generation is left"))
        .then("the engine starts from the newest; its later saves replace the damaged one")
}

/// An older generation stands in for the damaged ones.
fn fallen_back(mut failure: Failure, place: &Place, damaged: usize, store: &str) -> Failure {
    failure.exit = Exit::FallBack;
    if matches!(place, Place::Slots { .. }) && damaged == 1 {
        return failure
            .then("start the engine: it passes over one damaged part by itself, and says so")
            .then(format!("or replctl fall-back {store}, to do it now"));
    }
    if damaged > 1 {
        return failure
            .then(format!("replctl inspect {store}, for the marks of the newest whole generation"))
            .then(format!(
                "if the log holds every segment above them, stop the engine, then: \
                 replctl fall-back {store} --log-checked"
            ))
            .then(format!("if it does not: replctl restore BACKUP {store}, or a new base copy"));
    }
    failure.then(format!("stop the engine, then: replctl fall-back {store}"))
}

/// A file that has the name of another generation.
fn renamed(failure: Failure, found: &Surveyed, generation: Generation) -> Failure {
    let name = format!("{generation:020}.{EXTENSION}");
    let (old, new) = (shown(&found.path), shown(&found.path.with_file_name(name)));
    failure.then(format!("if somebody renamed it, and the engine is stopped: mv -n {old} {new}"))
}

/// It is whole, and yet no use here.
fn after_refusal(failure: Failure, reason: &CorruptReason, path: &Path) -> Failure {
    let store = shown(path);
    match reason {
        CorruptReason::Unseal(UnsealError::OtherStore { .. }) => failure
            .then("find out which of the two stores the engine opens: its log says so")
            .then("move the files of the other one out of the directory, then look again"),
        CorruptReason::Unseal(UnsealError::OtherCodec { .. }) => failure
            .then(format!("replctl inspect --raw {store}, for its headers"))
            .then("check it with the engine that knows this codec"),
        CorruptReason::Unseal(_) => failure.then("use the replctl of the release that wrote it"),
        CorruptReason::Read(_) => {
            failure.then("run this again as the user of the engine, with `ulimit -n` high enough")
        }
        _ => failure,
    }
}

/// A path whose checkpoints could not be listed.
pub(crate) fn of_load(path: &Path, error: &LoadError) -> Failure {
    let store = shown(path);
    match error {
        LoadError::Io { act, path, source } => Failure::io(act, path, source),
        LoadError::Vanished { dir, marker } => {
            let marker = marker.file_name().unwrap_or_default().display().to_string();
            let reason = format!("no checkpoint is left, and {marker} says that some were saved");
            Failure::new(Exit::Damage, dir, reason)
                .then(format!("stop the engine, then: replctl restore BACKUP {store}"))
                .then(
                    "without a backup, and if the log still begins at segment 1: remove the marker",
                )
        }
        LoadError::NotAFile { path, found } => {
            Failure::new(Exit::Unknown, path, format!("it is {found}, not a checkpoint file"))
                .then("find out what put it there, and move it away")
        }
        LoadError::Slots { path, reason } => {
            let exit = match reason {
                SlotFileError::NothingWhole | SlotFileError::Length { .. } => Exit::Damage,
                _ => Exit::Unknown,
            };
            let failure = Failure::new(exit, path, of_slots(reason));
            match exit {
                Exit::Damage => lost(failure.at(offset_of(reason)), &store)
                    .then(format!("replctl inspect --raw {store}, for what its headers say")),
                _ => failure.then("use the replctl of the release that wrote it"),
            }
        }
        error => Failure::new(Exit::Unknown, path, with_causes(error)),
    }
}

/// Without what the library tells a developer to do.
fn of_slots(reason: &SlotFileError) -> String {
    let text = reason.to_string();
    text.split(": restore a copy").next().unwrap_or_default().to_owned()
}

fn offset_of(reason: &SlotFileError) -> u64 {
    match reason {
        SlotFileError::Length { expected, found } => *expected.min(found),
        _ => 0,
    }
}
