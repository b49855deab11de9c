//! Whether what a writer told and what is found after it go together.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use super::super::disk::{Left, NotLeft, SimDisk, Tree};
use super::super::history::{History, Value};
use super::super::invariant::{Broken, Invariant, Violation};
use super::event::{Event, Made};
use super::follower::Follower;
use super::replay::Replay;

/// Follows one filesystem through all its shutdowns.
#[derive(Default)]
pub struct Judge {
    replay: Option<Replay>,
    followers: BTreeMap<Follower, Known>,
    /// The end of what the last writer told.
    script: Vec<String>,
}

/// What was said of one follower's store.
struct Known {
    history: History,
    /// The save that the last writer did not end.
    unfinished: Option<Value>,
}

/// What a writer did until it ended.
#[derive(Debug, Clone, Default)]
pub struct Lived {
    /// How its recovery ended, where the filesystem was there for so long.
    pub outcome: Option<Outcome>,
    /// How many damaged checkpoints the recovery passed over.
    pub passed_over: usize,
    /// How many saves were begun and acknowledged.
    pub attempted: u64,
    /// How many of these were acknowledged.
    pub acknowledged: u64,
    /// The first call that failed.
    pub failed: Option<Made>,
}

/// Which checkpoint a recovery gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// No save was under way when the writer before ended: what was acknowledged.
    Acknowledged,
    /// One was, and the older checkpoint is found.
    Old,
    /// One was, and the new one is found.
    New,
}

/// What must not be.
#[derive(Debug)]
pub enum Surprise {
    /// A promise is broken.
    Broken(Violation),
    /// What is found is not what the simulated disk may leave.
    NotSimulated {
        /// Why not.
        why: NotLeft,
        /// The last calls before.
        script: Vec<String>,
    },
    /// A call failed that nothing should have failed, or the simulated disk refused it.
    Failed(String),
}

impl fmt::Display for Surprise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Surprise::Broken(violation) => violation.fmt(f),
            Surprise::NotSimulated { why, script } => {
                write!(f, "not among the simulated images: {why}")?;
                script.iter().try_for_each(|line| write!(f, "\n  {line}"))
            }
            Surprise::Failed(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Surprise {}

/// As many of the last calls are shown.
const SHOWN: usize = 40;

impl Judge {
    /// The filesystem is mounted, and nobody has changed anything on it since.
    ///
    /// # Errors
    /// [`Surprise::NotSimulated`].
    pub fn mounted(&mut self, found: &Tree) -> Result<Left, Surprise> {
        let left = self.may_leave(found);
        let left =
            left.map_err(|why| Surprise::NotSimulated { why, script: self.script.clone() })?;
        let holding = SimDisk::holding(found).map_err(|err| Surprise::Failed(err.to_string()))?;
        self.replay = Some(Replay::new(holding));
        Ok(left)
    }

    /// Whether a shutdown now may leave just `found`; anything at first.
    ///
    /// # Errors
    /// [`NotLeft`] says why not.
    pub fn may_leave(&self, found: &Tree) -> Result<Left, NotLeft> {
        self.replay.as_ref().map_or(Ok(Left::default()), |replay| replay.disk().may_leave(found))
    }

    /// A writer ended that was run on it then. `log` is all that it told.
    ///
    /// # Errors
    /// [`Surprise`].
    pub fn lived(
        &mut self,
        follower: Follower,
        log: impl IntoIterator<Item = io::Result<(Event, Vec<u8>)>>,
    ) -> Result<Lived, Surprise> {
        let replay = self.replay.get_or_insert_with(|| Replay::new(SimDisk::new()));
        let known = self
            .followers
            .entry(follower)
            .or_insert_with(|| Known { history: History::new(1), unfinished: None });
        self.script.clear();
        let mut life = Life { known, lived: Lived::default() };
        for told in log {
            let (event, bytes) = told.map_err(|err| Surprise::Failed(err.to_string()))?;
            if self.script.len() == SHOWN {
                self.script.remove(0);
            }
            self.script.push(shown(&event));
            if let Event::Call(made) = &event {
                replay.make(made, &bytes).map_err(|err| {
                    let what = format!("{}: the simulated disk says {err}", shown(&event));
                    Surprise::Failed(what)
                })?;
            }
            life.sees(event).map_err(|Broken { invariant, what }| {
                let script = self.script.clone();
                Surprise::Broken(Violation { invariant, what, script })
            })?;
        }
        Ok(life.lived)
    }
}

struct Life<'a> {
    known: &'a mut Known,
    lived: Lived,
}

impl Life<'_> {
    fn sees(&mut self, event: Event) -> Result<(), Broken> {
        let failed = self.lived.failed.is_some();
        match event {
            Event::Call(made) if !failed && made.is_fault() => {
                self.lived.failed = Some(made);
            }
            Event::Refused { why } if !failed => {
                return Err(Broken::new(Invariant::RecoveryAnswers, why));
            }
            Event::Call(_) | Event::Refused { .. } => {}
            Event::Recovered { generation, stamp, bytes, passed_over, temps } => {
                if let Some(temp) = temps.first().filter(|_| !failed) {
                    let what = format!("{temp} is still there");
                    return Err(Broken::new(Invariant::NoTempOutlivesOpen, what));
                }
                self.recovered(&value(generation, stamp, bytes))?;
                self.lived.passed_over = passed_over;
            }
            Event::Attempt { generation, stamp, bytes } => {
                let value = value(generation, stamp, bytes);
                let before = self.known.history.attempted().last();
                if self.lived.attempted > 0 && before.is_some_and(|b| b.generation >= generation) {
                    let what = format!("generation {generation} is used again");
                    return Err(Broken::new(Invariant::GenerationsRise, what));
                }
                self.lived.attempted += 1;
                self.known.history.attempt(&value);
                self.known.unfinished = Some(value);
            }
            Event::Saved { checkpointed, floor } => {
                self.lived.acknowledged += 1;
                if let Some(value) = self.known.unfinished.take() {
                    self.known.history.acknowledge(&value);
                }
                self.known.history.claim(&[Some(checkpointed)], &[floor]);
            }
            Event::Failed { why, .. } if !failed => {
                return Err(Broken::new(Invariant::NextSaveWorks, why));
            }
            Event::Failed { not_saved, .. } => {
                if let Some(value) = self.known.unfinished.as_ref().filter(|_| not_saved) {
                    self.known.history.not_saved(value);
                }
            }
            Event::Broken { what } => {
                return Err(Broken::new(Invariant::NothingUnwritten, what));
            }
        }
        Ok(())
    }

    fn recovered(&mut self, found: &Value) -> Result<(), Broken> {
        self.known.history.check(found)?;
        // It is found after a shutdown, so it is on the disk.
        self.known.history.settle(found);
        self.lived.outcome = Some(match self.known.unfinished.take() {
            None => Outcome::Acknowledged,
            Some(new) if new == *found => Outcome::New,
            Some(_) => Outcome::Old,
        });
        Ok(())
    }
}

/// All marks bear one stamp: it stands for them.
fn value(generation: u64, stamp: u64, bytes: u128) -> Value {
    Value { generation, marks: [stamp].into(), bytes }
}

fn shown(event: &Event) -> String {
    match event {
        Event::Call(Made { act, failed: None, .. }) => format!("{act:?}"),
        Event::Call(Made { act, failed: Some(why), .. }) => format!("{act:?}: {why}"),
        other => format!("{other:?}"),
    }
}
