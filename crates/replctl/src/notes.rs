//! What `verify` says beside its verdict: what is no damage, and yet needs a look.

use std::path::{Path, PathBuf};

use repl_checkpoint::{Disk, Generation, OsDisk, Survey, peek, survey};
use serde::Serialize;

use crate::exit::Exit;
use crate::lock::Use;
use crate::names::{SLOT_FILE, generation_of, parent};
use crate::output::Text;
use crate::owners::of_others;
use crate::seen::Seen;
use crate::store::Place;
use crate::wording::shown;

/// Something to know, and what to type about it.
#[derive(Debug, Serialize)]
pub(crate) struct Note {
    #[serde(rename = "note")]
    text: String,
    next: Vec<String>,
    /// Whether an engine, or its marks, may come to harm.
    #[serde(skip)]
    pub(crate) is_warning: bool,
}

impl Note {
    fn new(text: String, next: Vec<String>) -> Self {
        Note { text, next, is_warning: false }
    }

    fn warning(text: String, next: Vec<String>) -> Self {
        Note { text, next, is_warning: true }
    }
}

/// What is to be said of a store; nothing if this program cannot tell what it is.
pub(crate) fn of(path: &Path, place: &Place, seen: &Seen) -> Vec<Note> {
    let Some(beside) = Beside::of(place) else { return Vec::new() };
    if seen.exit() == Exit::Unknown {
        return Vec::new();
    }
    let holder = match seen.shown.lock {
        Some(Use::Held { pid }) => Some(pid),
        _ => None,
    };
    let mut notes: Vec<Note> = owners(path).into_iter().collect();
    notes.extend(newer_copy(path, &beside, seen, holder));
    match holder {
        Some(pid) => notes.push(locked(pid)),
        None => notes.extend(unfinished(&beside)),
    }
    notes
}

/// The directory of a store.
struct Beside {
    dir: PathBuf,
    /// The slot file, if it is one.
    slot_file: Option<String>,
}

impl Beside {
    /// `None` for one checkpoint file.
    fn of(place: &Place) -> Option<Self> {
        let (dir, slot_file) = match place {
            Place::Files { dir } => (dir.as_path(), None),
            Place::Slots { file } => (parent(file), Some(file.file_name()?.to_str()?.to_owned())),
            Place::One { .. } => return None,
        };
        Some(Beside { dir: dir.to_owned(), slot_file })
    }

    /// The names of its files for which this holds, in order.
    fn names(&self, is_it: impl Fn(&str) -> bool) -> Vec<String> {
        let names = OsDisk.list(&self.dir).unwrap_or_default();
        let names = names.into_iter().filter_map(|name| name.into_string().ok());
        let mut names: Vec<_> = names.filter(|name| is_it(name)).collect();
        names.sort();
        names
    }

    /// The path of a file in it, as the command line would name it.
    fn file(&self, name: &str) -> PathBuf {
        if self.dir == Path::new(".") { name.into() } else { self.dir.join(name) }
    }

    /// Whether a file of this name may be a checkpoint of the store that was copied or renamed.
    fn is_like(&self, name: &str) -> bool {
        let is_of_directory = || name.contains(".checkpoint") || name.contains(SLOT_FILE);
        match &self.slot_file {
            Some(file) if file != SLOT_FILE => {
                name != file && name.trim_start_matches('.').starts_with(file.as_str())
            }
            Some(file) => name != file && is_of_directory(),
            None => generation_of(&name.into()).is_none() && is_of_directory(),
        }
    }
}

/// A copy of the store beside it that is newer: somebody may have put an older checkpoint over it.
fn newer_copy(path: &Path, beside: &Beside, seen: &Seen, holder: Option<u32>) -> Option<Note> {
    // A copy with a marker of its own is a store that is used.
    let is_like = |name: &str| {
        let marker = beside.dir.join(format!("{name}.marker"));
        beside.is_like(name) && !is_unfinished(name) && !marker.exists()
    };
    let store = seen.survey.store;
    let is_same = |other| store.is_none() || other == store;
    let files = beside.names(is_like).into_iter().map(|name| beside.file(&name));
    let copies = files.filter(|file| begins_as_one(file)).filter_map(|file| {
        let found = survey(&file).ok()?;
        Some((whole(&found).filter(|_| is_same(found.store))?, file))
    });
    let (generation, file) = copies.max_by_key(|(generation, _)| *generation)?;
    let newest = whole_in(&seen.survey);
    // An engine may have saved in between.
    let is_newer = |newest: Option<Generation>| newest.is_none_or(|newest| newest < generation);
    let is_newer_still = || is_newer(peek(path).ok().map(|newest| newest.header.generation));
    if !is_newer(newest) || !is_newer_still() {
        return None;
    }
    let store = shown(path);
    let copy = shown(&file);
    let stop = holder.map_or_else(
        || "stop the engine".to_owned(),
        |pid| format!("stop process {pid}, which holds the lock"),
    );
    let Some(newest) = newest else {
        let note = format!("{copy} is whole: generation {generation}");
        let next = format!("if it is of this store, {stop}, then: replctl restore {copy} {store}");
        return Some(Note::warning(note, vec![next]));
    };
    let note = format!(
        "{copy} is a newer copy of this store, and whole: generation {generation}; the store itself \
         is at generation {newest}, so somebody may have put an older checkpoint in its place"
    );
    let next = vec![
        format!(
            "if the data of the engine was neither set back nor undone, {stop}, then: \
             replctl restore {copy} {store} --skip"
        ),
        "if it was: leave the copy alone, and start the engine".to_owned(),
    ];
    Some(Note::warning(note, next))
}

/// Whether a file begins as a checkpoint or a slot file does: others may be long.
fn begins_as_one(file: &Path) -> bool {
    const MAGIC: &[u8] = b"repl-checkpoint ";
    file.is_file() && OsDisk.read_at(file, 0, MAGIC.len()).is_ok_and(|head| head == MAGIC)
}

/// The newest generation of a file, if that is whole.
fn whole(found: &Survey) -> Option<Generation> {
    found.found.first().filter(|newest| newest.checked.is_ok())?;
    whole_in(found)
}

fn whole_in(found: &Survey) -> Option<Generation> {
    Some(found.newest_whole()?.header?.generation)
}

/// Whether it is the name of a file of a save that has not ended.
fn is_unfinished(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let unique = name.rsplit_once(".temp-").and_then(|(_, unique)| unique.split_once('-'));
    unique.is_some_and(|(process, n)| is_number(process) && is_number(n))
}

/// Files of a save that was cut off.
fn unfinished(beside: &Beside) -> Option<Note> {
    let is_its = |name: &str| {
        let Some((stem, _)) = name.rsplit_once(".temp-").filter(|_| is_unfinished(name)) else {
            return false;
        };
        match &beside.slot_file {
            Some(file) if file != SLOT_FILE => stem == file || stem == format!("{file}.marker"),
            Some(file) => stem == file || stem == "repl-checkpoint.marker",
            None => generation_of(&stem.into()).is_some() || stem == "repl-checkpoint.marker",
        }
    };
    let names = beside.names(is_its);
    if names.is_empty() {
        return None;
    }
    let (is, it) = if names.len() == 1 { ("is", "it") } else { ("are", "them") };
    let names = names.join(", ");
    let note = format!(
        "{names} {is} left of a save that was cut off: the next start of the engine removes {it}"
    );
    Some(Note::new(note, Vec::new()))
}

/// A lock that is held keeps another engine out.
fn locked(pid: u32) -> Note {
    let note = format!("another engine cannot start while process {pid} runs: it holds the lock");
    let next = format!(
        "ps -fp {pid}, for what it is; where another engine is to run, stop this one first; removing \
         the lock file does not help"
    );
    Note::new(note, vec![next])
}

/// Files that the user of the engine cannot use. Root can, and would call the store good.
fn owners(path: &Path) -> Option<Note> {
    let others = of_others(path)?;
    let files = others.files.iter().map(|(file, owner)| {
        format!("{} belongs to {owner}", file.file_name().unwrap_or_default().display())
    });
    let files = files.collect::<Vec<_>>().join("; ");
    let note = format!(
        "{files}: the store belongs to {}, and an engine of that user cannot use it",
        others.owner
    );
    Some(Note::warning(note, vec![others.command]))
}

/// Writes notes for people.
pub(crate) fn show(notes: &[Note], text: &mut Text) {
    for Note { text: note, next, is_warning } in notes {
        if *is_warning {
            text.warning(&format!("  {:<14}{note}", "note"));
        } else {
            text.field("note", note);
        }
        for next in next {
            text.field("next", next);
        }
    }
}
