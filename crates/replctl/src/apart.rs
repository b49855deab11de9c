//! Files of two stores in one directory. No program can say which of them the engine is to use, so
//! there is a command for each, which moves the others away.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use repl_checkpoint::{CorruptReason, Disk, OsDisk, Survey, Surveyed, UnsealError};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::names::{SLOT_FILE, generation_of};
use crate::wording::{counted, shown};

/// Files, by what an engine must use to open them.
pub(crate) type Groups = BTreeMap<String, Vec<PathBuf>>;

/// Adds a command for each group, which moves the files of the others away.
pub(crate) fn moved_apart(mut failure: Failure, groups: &Groups) -> Failure {
    for engine in groups.keys() {
        let others = groups.iter().filter(|(other, _)| *other != engine);
        let files: Vec<_> = others.flat_map(|(_, files)| files).map(|file| shown(file)).collect();
        let files = files.join(" ");
        failure = failure.then(format!(
            "if {engine}, stop the engine, then: mkdir NEW_DIRECTORY && mv -n {files} NEW_DIRECTORY"
        ));
    }
    failure
}

/// The files of each store. Which of them the engine opens, its log says.
pub(crate) fn by_store(survey: &Survey) -> Groups {
    let engine =
        |store| format!("the engine opens store {store}, as its log or configuration says");
    grouped(survey, |_, found| found.header.map(|header| engine(header.store)))
}

/// The files of each codec, as far as it can be read.
pub(crate) fn by_codec(survey: &Survey) -> Groups {
    // The survey has its codec from there.
    let first = survey.found.iter().position(|found| found.header.is_some());
    grouped(survey, |i, found| {
        let codec = match &found.checked {
            Err(CorruptReason::Unseal(UnsealError::OtherCodec { found, .. })) => found,
            Err(_) if Some(i) != first => return None,
            _ => survey.codec.as_ref()?,
        };
        Some(format!("the engine uses {codec}, as its configuration says"))
    })
}

/// Nothing for a slot file, which cannot be parted.
fn grouped(survey: &Survey, engine: impl Fn(usize, &Surveyed) -> Option<String>) -> Groups {
    let mut groups = Groups::new();
    for (i, found) in survey.found.iter().enumerate().filter(|(_, found)| found.slot.is_none()) {
        if let Some(engine) = engine(i, found) {
            groups.entry(engine).or_default().push(found.path.clone());
        }
    }
    groups
}

/// Refuses a directory in which the files of both kinds of stores are.
pub(crate) fn check_one_kind(dir: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::io("list", dir, &error);
    let mut files = OsDisk.list(dir).map_err(failed)?;
    let has_slots = files.iter().any(|name| name == SLOT_FILE);
    files.retain(|name| generation_of(name).is_some());
    if files.is_empty() || !has_slots {
        return Ok(());
    }
    files.sort();
    let count = counted(files.len(), "checkpoint file");
    let reason =
        format!("it holds files of both kinds, {count} and {SLOT_FILE}: no engine opens it");
    let using = |kind| format!("the engine uses a {kind}, as its configuration says");
    let groups = Groups::from([
        (using("FileStore"), files.into_iter().map(|name| dir.join(name)).collect()),
        (using("SlotStore"), vec![dir.join(SLOT_FILE)]),
    ]);
    Err(moved_apart(Failure::new(Exit::Unknown, dir, reason), &groups))
}
