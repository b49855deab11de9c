//! The names of files in a store's directory.

use std::ffi::{OsStr, OsString};

use crate::ids::Generation;

/// Never renamed and never removed.
const LOCK: &str = "repl-checkpoint.lock";
/// Says that a checkpoint was saved here. Never renamed and never removed.
const MARKER: &str = "repl-checkpoint.marker";
/// The file of a `SlotStore`.
pub(crate) const SLOT_FILE: &str = "marks.slots";
const EXTENSION: &str = "checkpoint";

/// The name that a temporary file is for: all before `.temp-<digits>-<digits>`.
fn named_by(temp: &str) -> Option<&str> {
    let number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    // The last: the name before it may hold another.
    let (name, unique) = temp.rsplit_once(".temp-")?;
    let (process, n) = unique.split_once('-')?;
    (number(process) && number(n)).then_some(name)
}

/// The name of a `FileStore`'s file of one generation.
pub(crate) fn checkpoint_file(generation: Generation) -> String {
    format!("{generation:020}.{EXTENSION}")
}

/// The newest checkpoint file of a `FileStore` among `names`, if there is one.
pub(crate) fn checkpoint_file_in(names: &[OsString]) -> Option<String> {
    let newest = names.iter().filter_map(|name| generation_of(name.to_str()?)).max()?;
    Some(checkpoint_file(newest))
}

pub(crate) fn generations_in(names: &[OsString]) -> Vec<Generation> {
    names.iter().filter_map(|name| generation_of(name.to_str()?)).collect()
}

/// The generation of a checkpoint file's name; `None` for every other name.
fn generation_of(name: &str) -> Option<Generation> {
    let digits = name.strip_suffix(EXTENSION)?.strip_suffix('.')?;
    let of_twenty_digits = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    if of_twenty_digits { digits.parse().ok() } else { None }
}

/// Whether `name` is `<20 digits>.checkpoint.temp-<digits>-<digits>`.
pub(crate) fn is_checkpoint_temp(name: &OsString) -> bool {
    name.to_str().and_then(named_by).is_some_and(|checkpoint| generation_of(checkpoint).is_some())
}

/// The slot file's name, if it is among `names`.
pub(crate) fn slot_file_in(names: &[OsString]) -> Option<String> {
    names.iter().any(|name| name == SLOT_FILE).then(|| SLOT_FILE.to_owned())
}

/// Whether `name` is `<file>.temp-<digits>-<digits>`.
pub(crate) fn is_temp_of(file: &OsStr, name: &OsStr) -> bool {
    let rest = name.as_encoded_bytes().strip_prefix(file.as_encoded_bytes());
    rest.and_then(|rest| std::str::from_utf8(rest).ok())
        .is_some_and(|rest| named_by(rest) == Some(""))
}

/// The files beside the checkpoints of a store.
pub(crate) struct Beside {
    pub(crate) lock: OsString,
    pub(crate) marker: OsString,
}

/// The files beside the checkpoints of a store that has a directory of its own.
pub(crate) fn of_directory() -> Beside {
    Beside { lock: LOCK.into(), marker: MARKER.into() }
}

/// The files beside a slot file that has no directory of its own.
pub(crate) fn of_slot_file(slot_file: &OsStr) -> Beside {
    let beside = |end: &str| {
        let mut name = slot_file.to_owned();
        name.push(end);
        name
    };
    Beside { lock: beside(".lock"), marker: beside(".marker") }
}

/// The longest name that a slot file may give to one beside it.
pub(crate) fn longest_beside(slot_file: &OsStr) -> OsString {
    let mut name = of_slot_file(slot_file).marker;
    name.push(format!(".temp-{number}-{number}", number = u64::MAX));
    name
}

/// Whether a file of this name may be the lock, the marker, a temporary file or a checkpoint of
/// another store, or have its lock and marker in common with one.
pub(crate) fn is_of_a_store(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let is_ours = name.ends_with(".lock") || name.ends_with(".marker") || name == "repl-checkpoint";
    is_ours || generation_of(&name).is_some() || named_by(&name).is_some()
}
