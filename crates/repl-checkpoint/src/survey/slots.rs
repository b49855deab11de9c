//! A slot file, beside a store that writes to it.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::examine::Identity;
use super::{Survey, failed};
use crate::disk::{Disk, OsDisk};
use crate::slot_store::{candidates_in, store_of};
use crate::store::LoadError;

/// How long damage must stay as it is: a save that is being written changes it before.
const SETTLED: Duration = Duration::from_millis(300);
/// A file that was not written to for so long has settled already.
const AT_REST: Duration = Duration::from_secs(2);
/// How long a file may go on changing.
const GIVE_UP: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(1);

/// Checks everything in a slot file.
pub(super) fn survey(path: &Path) -> Result<Survey, LoadError> {
    let began = Instant::now();
    let mut damage: Option<(String, Instant)> = None;
    loop {
        let result = survey_once(path);
        let Some(found) = damage_in(&result) else { return result };
        match &damage {
            Some((before, since)) if *before == found => {
                if since.elapsed() >= SETTLED || is_at_rest(path) {
                    return result;
                }
            }
            _ => damage = Some((found, Instant::now())),
        }
        if began.elapsed() >= GIVE_UP {
            let reason = "it changes faster than it can be read: stop the engine, or try again";
            return Err(failed("read", path)(io::Error::new(io::ErrorKind::ResourceBusy, reason)));
        }
        std::thread::sleep(PAUSE);
    }
}

/// What is wrong, and what is whole beside it; `None` if nothing is wrong.
fn damage_in(result: &Result<Survey, LoadError>) -> Option<String> {
    let survey = match result {
        Ok(survey) if survey.found.iter().all(|found| found.checked.is_ok()) => return None,
        Ok(survey) => survey,
        Err(error) => return Some(format!("{error:?}")),
    };
    let mut text = String::new();
    for found in &survey.found {
        let _ = writeln!(text, "{:?} {:?} {:?}", found.slot, found.header, found.checked);
    }
    Some(text)
}

/// Whether a file was last written to some time ago.
fn is_at_rest(path: &Path) -> bool {
    let written = std::fs::metadata(path).and_then(|found| found.modified());
    written.is_ok_and(|at| at.elapsed().is_ok_and(|time| time >= AT_REST))
}

fn survey_once(path: &Path) -> Result<Survey, LoadError> {
    let kind = OsDisk.kind(path).map_err(failed("look at", path))?;
    if let Some(found) = kind.unless_file() {
        return Err(LoadError::NotAFile { path: path.to_owned(), found });
    }
    let store = store_of(&OsDisk, path).map_err(failed("read", path))?;
    let mut candidates = candidates_in(&OsDisk, path, store.unwrap_or_default())?;
    let mut survey = Survey { store, ..Survey::default() };
    let mut identity: Option<Identity> = None;
    let mut highest = None;
    while let Some((candidate, location)) = candidates.next_with_location() {
        if identity.is_none() {
            identity = Identity::at(path, location.offset)
                .map(|found| Identity { store: store.unwrap_or(found.store), ..found });
        }
        let (found, marks) = Identity::examine(identity.as_ref(), candidate, &location);
        if found.checked.is_ok() {
            candidates.settle_whole();
        }
        if highest.is_none() && marks.is_some() {
            highest = marks;
        }
        survey.found.push(found);
    }
    survey.codec = identity.map(|found| found.codec);
    survey.newest = highest;
    Ok(survey)
}
