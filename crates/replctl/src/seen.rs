//! A store as the reading commands show it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use repl_checkpoint::{Generation, Survey, Surveyed, survey};
use serde::Serialize;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::lock::{Use, use_of};
use crate::output::{Report, Text};
use crate::reasons;
use crate::store::Place;
use crate::unlisted::of_load;
use crate::verdict::problem;
use crate::wording::counted;

/// What is at a path, checked.
pub(crate) struct Seen {
    pub(crate) survey: Survey,
    pub(crate) problem: Option<Failure>,
    pub(crate) shown: Shown,
}

/// The same, to print.
#[derive(Serialize)]
pub(crate) struct Shown {
    pub(crate) path: PathBuf,
    pub(crate) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) store: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) codec: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) lock: Option<Use>,
    pub(crate) generations: Vec<ShownGeneration>,
}

/// One generation, or a damaged part of a slot file.
#[derive(Serialize)]
pub(crate) struct ShownGeneration {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) generation: Option<Generation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) confirmed: Option<Generation>,
    pub(crate) state: &'static str,
    pub(crate) path: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) slot: Option<usize>,
    pub(crate) offset: u64,
    pub(crate) length: u64,
    /// Whether it is the first page of a slot file.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    first_page: bool,
    /// The generations of its deltas.
    pub(crate) deltas: Vec<Generation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) shards: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ranges: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) epochs: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_incarnation: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) damaged_at: Option<u64>,
}

impl Seen {
    /// Reads and checks everything at a path.
    pub(crate) fn at(path: &Path) -> Result<Self, Failure> {
        let place = Place::of(path)?;
        let lock = place.lock_file().map(|lock| use_of(&lock));
        let held = |failure: Failure| match lock {
            Some(Use::Held { pid }) => failure.held_by(pid),
            _ => failure,
        };
        let survey = survey(path).map_err(|error| held(of_load(path, &error)))?;
        let problem = problem(path, &place, &survey).map(held);
        let found = survey.found.iter();
        let shown = Shown {
            path: path.to_owned(),
            kind: place.kind(),
            store: survey.store.map(|store| store.to_string()),
            codec: survey.codec.clone(),
            lock,
            generations: found.map(|found| ShownGeneration::of(found, &place)).collect(),
        };
        Ok(Seen { survey, problem, shown })
    }

    /// The same, if recovery can use something of it, be it by falling back.
    ///
    /// What changes or copies a store asks this first, so that it refuses what `verify` refuses.
    pub(crate) fn usable(path: &Path) -> Result<Self, Failure> {
        let mut seen = Self::at(path)?;
        // Also if what it cannot tell is older: a change would save over it, or a backup be of the
        // wrong one of two stores.
        let is_known = seen.exit() != Exit::Unknown;
        let is_usable = is_known && seen.survey.newest_whole().is_some();
        match seen.problem.take_if(|_| !is_usable) {
            Some(problem) => Err(problem),
            None => Ok(seen),
        }
    }

    /// Why each of what is newer than the newest whole generation cannot be used.
    pub(crate) fn reasons_before_whole(&self) -> Vec<String> {
        self.before_whole().filter_map(|found| found.reason.clone()).collect()
    }

    /// Whether a generation that is newer than the newest whole one is damaged.
    pub(crate) fn is_newest_damaged(&self) -> bool {
        self.before_whole().any(|found| !found.first_page)
    }

    fn before_whole(&self) -> impl Iterator<Item = &ShownGeneration> {
        self.shown.generations.iter().take_while(|found| found.state != "whole")
    }

    /// The exit status that it gives.
    pub(crate) fn exit(&self) -> Exit {
        self.problem.as_ref().map_or(Exit::Good, |problem| problem.exit)
    }
}

impl ShownGeneration {
    fn of(found: &Surveyed, place: &Place) -> Self {
        let counts = found.checked.as_ref().ok();
        let state = match &found.checked {
            Ok(_) => "whole",
            Err(reason) if reason.is_damage() => "damaged",
            Err(_) => "refused",
        };
        ShownGeneration {
            generation: found.header.map(|header| header.generation),
            confirmed: found.header.map(|header| header.confirmed),
            state,
            path: found.path.clone(),
            slot: found.slot,
            offset: found.offset,
            first_page: reasons::is_first_page(found, place),
            length: found.length,
            deltas: found.deltas.iter().map(|delta| delta.header.generation).collect(),
            shards: counts.map(|counts| counts.shards),
            ranges: counts.map(|counts| counts.ranges),
            epochs: counts.map(|counts| counts.epochs),
            next_incarnation: counts.map(|counts| counts.next_incarnation.0),
            reason: found.checked.as_ref().err().map(|reason| reasons::of(found, reason, place)),
            damaged_at: found.damaged_at,
        }
    }

    /// One line.
    fn line(&self) -> String {
        let generation = self.generation.map_or("?".to_owned(), |number| number.to_string());
        let at = match self.slot {
            Some(slot) => format!("slot {slot}, at byte {}", self.offset),
            None if self.first_page => "first page".to_owned(),
            None => self.path.file_name().unwrap_or_default().display().to_string(),
        };
        let mut line = format!("{generation:>12}  {:<8}  {at}", self.state);
        if let (Some(shards), Some(ranges)) = (self.shards, self.ranges) {
            let _ = write!(line, ", {} bytes, {}", self.length, counted(shards, "shard"));
            if ranges > 0 {
                let _ = write!(line, ", {} above their marks", counted(ranges, "range"));
            }
        }
        if !self.deltas.is_empty() {
            let _ = write!(line, ", {}", counted(self.deltas.len(), "delta"));
        }
        if let Some(reason) = self.reason.as_ref().filter(|_| !self.first_page) {
            let _ = write!(line, ": {reason}");
        }
        line
    }
}

impl Report for Shown {
    fn show(&self, text: &mut Text) {
        text.line(format_args!("{} {}", self.kind, self.path.display()));
        if let Some(store) = &self.store {
            text.field("store", store);
        }
        if let Some(codec) = &self.codec {
            text.field("codec", codec);
        }
        show_lock(self.lock, text);
        if !self.generations.is_empty() {
            text.line("  generations, the newest first:");
        }
        for generation in &self.generations {
            let line = generation.line();
            match generation.state {
                "whole" => text.line(line),
                "damaged" => text.bad(&line),
                _ => text.warning(&line),
            }
        }
    }
}

/// Says if a process holds the lock.
pub(crate) fn show_lock(lock: Option<Use>, text: &mut Text) {
    match lock {
        Some(Use::Held { pid }) => {
            text.field("lock", format_args!("held by process {pid}, which may save at any time"));
        }
        Some(Use::NotKnown) => text.field("lock", "not known: this system does not say"),
        Some(Use::NotSeen) | None => {}
    }
}
