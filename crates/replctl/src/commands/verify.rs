//! `replctl verify`: every check of recovery, on every generation.

use std::path::PathBuf;

use serde::Serialize;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::names::SLOT_FILE;
use crate::notes::{self, Note};
use crate::output::{Output, Report, Text};
use crate::seen::{Seen, Shown};
use crate::store::Place;
use crate::wording::counted;

/// The arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The directory of a store, a checkpoint file, or a slot file
    path: PathBuf,
}

#[derive(Serialize)]
struct Verified<'a> {
    verdict: &'static str,
    /// `None` if nothing of it can be read.
    #[serde(flatten)]
    shown: Option<&'a Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a Failure>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<Note>,
}

/// Checks everything at a path.
pub(crate) fn run(args: &Args, output: &Output) -> Result<Exit, Failure> {
    let seen = Seen::at(&args.path);
    let (shown, problem) = match &seen {
        Ok(seen) => (Some(&seen.shown), seen.problem.as_ref()),
        Err(problem) => (None, Some(problem)),
    };
    let place = Place::of(&args.path);
    let notes = seen.as_ref().ok().zip(place.as_ref().ok());
    let notes = notes.map_or_else(Vec::new, |(seen, place)| notes::of(&args.path, place, seen));
    let exit = problem.map_or(Exit::Good, |problem| problem.exit);
    output.print(&Verified { verdict: exit.name(), shown, problem, notes })?;
    Ok(exit)
}

/// What the configuration of the engine must name.
fn configured(shown: &Shown) -> Option<String> {
    let (store, codec) = shown.store.as_ref().zip(shown.codec.as_ref())?;
    let kind = match Place::of(&shown.path).ok()? {
        Place::One { .. } => return None,
        Place::Slots { file } if !file.ends_with(SLOT_FILE) => "SlotStore by its file",
        place => place.kind(),
    };
    Some(format!("must be configured with {kind}, codec {codec}, store {store}"))
}

impl Report for Verified<'_> {
    fn show(&self, text: &mut Text) {
        if let Some(shown) = self.shown {
            shown.show(text);
        }
        if let Some(problem) = self.problem {
            problem.show(text);
        } else {
            let found = self.shown.map_or(0, |shown| shown.generations.len());
            let good = format!("good: {}, whole", counted(found, "generation"));
            if self.notes.iter().any(|note| note.is_warning) {
                text.warning(&format!("{good}; see the note"));
            } else {
                text.good(&good);
            }
            if let Some(engine) = self.shown.and_then(configured) {
                text.field("engine", engine);
            }
        }
        notes::show(&self.notes, text);
    }
}
