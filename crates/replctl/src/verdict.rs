//! What a survey means: whether the engine starts, and what to type if it does not.

use std::path::Path;

use repl_checkpoint::{CorruptReason, Generation, Survey, Surveyed, UnsealError};

use crate::apart::{by_codec, by_store, moved_apart};
use crate::exit::Exit;
use crate::failure::{Failure, Heading};
use crate::names::EXTENSION;
use crate::reasons;
use crate::reasons::of_corrupt;
use crate::store::{Place, slot_files_in};
use crate::wording::shown;

/// What is wrong with what a path holds; `None` if every generation is whole.
///
/// It follows recovery: the newest whole generation counts, and what is damaged before it.
pub(crate) fn problem(path: &Path, place: &Place, survey: &Survey) -> Option<Failure> {
    let mut failure = of_all(path, place, survey)?;
    if failure.exit == Exit::Damage && place.is_one_of_a_store() {
        failure.next.clear();
        return Some(failure.then("this is one file of a store: replctl verify PARENT"));
    }
    Some(failure)
}

fn of_all(path: &Path, place: &Place, survey: &Survey) -> Option<Failure> {
    let Some(first) = survey.found.iter().find(|found| found.checked.is_err()) else {
        return survey.found.is_empty().then(|| nothing(path));
    };
    let Err(reason) = &first.checked else { return None };
    let whole = survey.found.iter().position(|found| found.checked.is_ok());
    let first_bad = survey.found.iter().position(|found| found.checked.is_err());
    let mut failure = of_corrupt(&first.path, reason).at(first.damaged_at);
    failure.reason = all_reasons(survey, place).into();
    let is_all_else_whole = survey.found.iter().skip(1).all(|found| found.checked.is_ok());
    if reasons::is_first_page(first, place) && is_all_else_whole {
        failure.reason =
            format!("{}; every slot is whole, and no mark is lost", failure.reason).into();
    }
    failure.newest_whole = whole.and_then(|i| named(&survey.found[i]));
    let mut before = survey.found.iter().take_while(|found| found.checked.is_err());
    let refused = before.find_map(refusal);
    if let Some((found, reason)) = refused {
        let failure = of_corrupt(&found.path, reason).at(found.damaged_at);
        return Some(after_refusal(failure, reason, path, survey));
    }
    let store = shown(path);
    let is_reserve = whole < first_bad && whole.is_some();
    if let (Place::Files { .. }, Some(generation), false) =
        (place, named_otherwise(reason), is_reserve)
    {
        failure = renamed(failure, first, generation);
    }
    Some(match whole {
        None => {
            if !matches!(place, Place::One { .. }) {
                failure.reason = format!("no checkpoint is whole: {}", failure.reason).into();
            }
            lost(failure, &store)
        }
        Some(_) if is_reserve && !reason.is_damage() => {
            after_refusal(failure, reason, path, survey)
        }
        Some(_) if is_reserve => reserve(failure, &store),
        Some(damaged) => fallen_back(failure, place, first, damaged, &store),
    })
}

/// What is wrong with each checkpoint that recovery would take before one that is whole; or with the
/// newest damaged one, if none of those is.
fn all_reasons(survey: &Survey, place: &Place) -> String {
    let of = |found: &Surveyed| {
        let reason = found.checked.as_ref().err()?;
        Some((named_in_a_list(found, place), reasons::of(found, reason, place)))
    };
    let before = survey.found.iter().take_while(|found| found.checked.is_err());
    let mut all: Vec<_> = before.filter_map(of).collect();
    if all.is_empty() {
        all.extend(survey.found.iter().find_map(of));
    }
    if let [(_, reason)] = &*all {
        return reason.clone();
    }
    let shown = all.iter().map(|(name, reason)| match name {
        Some(name) => format!("{name}: {reason}"),
        None => reason.clone(),
    });
    format!("{} are damaged: {}", all.len(), shown.collect::<Vec<_>>().join("; "))
}

/// A checkpoint among others; `None` if its reason names it.
fn named_in_a_list(found: &Surveyed, place: &Place) -> Option<String> {
    let generation = found.header.map(|header| format!(", generation {}", header.generation));
    match found.slot {
        Some(slot) => Some(format!("slot {slot}{}", generation.unwrap_or_default())),
        None if reasons::is_first_page(found, place) => None,
        None => Some(found.path.file_name()?.display().to_string()),
    }
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
    let slot_files = slot_files_in(path);
    if !slot_files.is_empty() {
        let reason =
            "no checkpoint file is in this directory, but a slot file is: a store of its own";
        let failure = Failure::new(Exit::Unknown, path, reason);
        let verify = |file| format!("replctl verify {}", shown(file));
        return slot_files.iter().map(|f| verify(f)).fold(failure, Failure::then);
    }
    Failure::new(Exit::Unknown, path, "no checkpoint is there, and none was saved")
        .then("ls -la PATH, for the right path; a new engine makes its first checkpoint itself")
}

/// Nothing whole is left.
pub(crate) fn lost(mut failure: Failure, store: &str) -> Failure {
    failure.exit = Exit::Damage;
    failure
        .then(format!("stop the engine, then: replctl restore BACKUP {store}"))
        .then(format!("without a backup, {BASE_COPY}"))
        .then("if this is a backup itself, use another one")
}

/// The newest generation is whole, and an older one is damaged.
fn reserve(mut failure: Failure, store: &str) -> Failure {
    failure.exit = Exit::Damage;
    failure.heading = Heading::Reserve;
    failure
        .then("start the engine: no mark is lost, and later saves replace the damaged one")
        .then(format!("until then no older one is left: replctl backup {store} NEW_DIRECTORY"))
}

/// An older generation stands in for the damaged ones.
fn fallen_back(
    mut failure: Failure,
    place: &Place,
    first: &Surveyed,
    damaged: usize,
    store: &str,
) -> Failure {
    failure.exit = Exit::FallBack;
    if matches!(place, Place::Slots { .. }) && damaged == 1 {
        let is_page = reasons::is_first_page(first, place);
        failure.heading = if is_page { Heading::PassedFirstPage } else { Heading::PassedSlot };
        return failure.then("start the engine: it passes over this by itself, and says so");
    }
    if damaged > 1 {
        return log_to_check(failure, store);
    }
    failure.then(format!("stop the engine, then: replctl fall-back {store}"))
}

/// What to look at in the log, before a fall back over more than one crash damages.
pub(crate) fn log_to_check(failure: Failure, store: &str) -> Failure {
    let whole = failure.newest_whole.as_ref().map_or(0, |(generation, _)| *generation);
    failure
        .then(format!(
            "{} in generation {whole}: compare each of them with the log",
            all_marks(store)
        ))
        .then(format!(
            "if {LOG_HOLDS}, stop the engine, then: replctl fall-back {store} --log-checked"
        ))
        .then(format!(
            "if it does not: a backup of a generation before {whole} needs still more of the log, \
             and is no way out; with a newer one: replctl restore BACKUP {store}"
        ))
        .then(format!("without a newer one, {BASE_COPY}"))
}

/// The way out that needs nothing of the log of before.
pub(crate) const BASE_COPY: &str = "take a base copy: stop the engine, copy the data and its marks \
                                    anew from the leader, then begin a new store";

/// The command that prints the mark of every shard.
pub(crate) fn all_marks(store: &str) -> String {
    format!("replctl export --format csv {store}, for the marks of all shards")
}

/// What a log must hold, if an engine is to go on at older marks.
pub(crate) const LOG_HOLDS: &str =
    "the log still has, for each shard, the segment after its mark and all later ones";

/// A file that has the name of another generation.
fn renamed(failure: Failure, found: &Surveyed, generation: Generation) -> Failure {
    let name = format!("{generation:020}.{EXTENSION}");
    let (old, new) = (shown(&found.path), shown(&found.path.with_file_name(name)));
    failure.then(format!("if somebody renamed it, and the engine is stopped: mv -n {old} {new}"))
}

/// It is whole, and yet no use here.
fn after_refusal(
    failure: Failure,
    reason: &CorruptReason,
    path: &Path,
    survey: &Survey,
) -> Failure {
    let store = shown(path);
    match reason {
        CorruptReason::Unseal(UnsealError::OtherStore { .. }) => {
            moved_apart(failure, &by_store(survey))
        }
        CorruptReason::Unseal(UnsealError::OtherCodec { .. }) => {
            let codecs = by_codec(survey);
            if codecs.len() > 1 {
                return moved_apart(failure, &codecs);
            }
            failure
                .then("it is not damaged: start the release of the engine that knows its codec")
                .then(format!("replctl inspect --raw {store}, for its headers"))
        }
        CorruptReason::Unseal(_) => failure.then(OTHER_RELEASE),
        CorruptReason::Read(error) => failure.of_io(error),
        _ => failure,
    }
}

pub(crate) const OTHER_RELEASE: &str = "nothing is seen to be damaged: start the engine in the release that wrote it, and use its replctl";
