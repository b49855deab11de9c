//! Damage to files that were written, synced and named as they should be.

mod case;
mod files;
mod slots;

use std::convert::Infallible;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use repl_checkpoint::{OnCorrupt, RecoverError, Recovered, Source};

use super::disk::{SimDisk, State};
use super::explore::Config;
use super::history::History;
use super::invariant::{Broken, Invariant, Violation};
use super::life::{Life, Plan, found, live, shards, short};
use super::protocol::{Protocol, Refused, Store};
use super::sabotage::Sabotage;

use self::case::{Case, Hit};

/// What a sweep over damaged files saw.
#[derive(Debug, Clone)]
pub struct MediaReport {
    /// How many damaged disks were recovered from, each in both ways of [`OnCorrupt`].
    pub images: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// The first broken promise.
    pub violation: Option<Violation>,
}

impl fmt::Display for MediaReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        write!(f, "{} damaged disks; {seconds:.1} s", self.images)?;
        match &self.violation {
            Some(violation) => write!(f, "\n{violation}"),
            None => write!(f, "; no violation"),
        }
    }
}

/// Saves as often as `config` says, damages each file in every way, one at a time, and recovers.
pub fn damage(config: &Config, sabotage: Option<Sabotage>) -> MediaReport {
    let started = Instant::now();
    let protocol = Protocol::of(config.store, sabotage);
    let mut sweep = Sweep { protocol, config: *config, images: 0 };
    let swept = match config.store {
        Store::Files => files::sweep(&mut sweep),
        Store::Slots => slots::sweep(&mut sweep),
    };
    MediaReport { images: sweep.images, elapsed: started.elapsed(), violation: swept.err() }
}

fn violation(broken: &Broken, script: Vec<String>) -> Violation {
    Violation { invariant: broken.invariant, what: broken.what.clone(), script }
}

struct Sweep {
    protocol: Protocol,
    config: Config,
    images: u64,
}

/// A disk on which nothing is damaged yet.
struct Base {
    state: State,
    history: History,
    /// The newest generation.
    newest: u64,
    /// What the disk was on the way there.
    before: Vec<State>,
}

impl Sweep {
    /// A process that saves so often, on what another has left.
    fn lived(&self, on: Option<&Base>, saves: usize) -> Result<Base, Violation> {
        let shards = self.config.shards;
        let life = on.map_or(1, |on| on.newest + 1);
        let mark = |save: usize, shard: usize| {
            life * 1_000_000_000_000_000_000 + (save * 1000 + shard) as u64
        };
        let marks = |save| (0..shards).map(|shard| mark(save, shard)).collect::<Arc<[u64]>>();
        let saves = (1..=saves).map(marks).collect();
        let completed = self.config.completed;
        let plan = Plan { saves, completed, fault: None, after_cut: true };
        let (state, history) = match on {
            Some(on) => (on.state.clone(), on.history.clone()),
            None => (State::with_sectors(self.config.sector), History::new(shards)),
        };
        let life: Life = live(self.protocol, &state, &history, &plan);
        let history = life.history(life.calls.len());
        match (life.states.last(), history, &life.broken) {
            (Some(state), Some(history), None) => Ok(Base {
                state: state.clone(),
                history: history.clone(),
                newest: history.attempted().last().map_or(0, |value| value.generation),
                before: life.states.clone(),
            }),
            (_, _, broken) => {
                let nothing = Broken::new(Invariant::NextSaveWorks, "nothing ran");
                Err(violation(broken.as_ref().unwrap_or(&nothing), Vec::new()))
            }
        }
    }

    /// Damages one file and recovers, in both ways.
    fn check(&mut self, base: &Base, path: &Path, case: &Case) -> Result<(), Violation> {
        let mut damaged = base.state.clone();
        let done = match &case.bytes {
            Some(bytes) => damaged.put(path, bytes.clone()),
            None => damaged.remove(path),
        };
        self.images += 1;
        for on_corrupt in [OnCorrupt::Fail, OnCorrupt::FallBack] {
            let recover = || self.recover(&damaged, base, case, on_corrupt);
            let seen = match (&done, catch_unwind(AssertUnwindSafe(recover))) {
                (Err(err), _) => Err(Broken::new(Invariant::NoPanic, err.to_string())),
                (Ok(()), Ok(seen)) => seen,
                (Ok(()), Err(_)) => Err(Broken::new(Invariant::NoPanic, "a panic")),
            };
            seen.map_err(|broken| {
                let damage = format!("{}: {}", short(path), case.how);
                violation(&broken, vec![damage, format!("{on_corrupt:?}")])
            })?;
        }
        Ok(())
    }

    fn recover(
        &self,
        state: &State,
        base: &Base,
        case: &Case,
        on_corrupt: OnCorrupt,
    ) -> Result<(), Broken> {
        let disk = SimDisk::of(state.clone());
        let shards = shards(self.config.shards);
        let (mut follower, notes) = match self.protocol.recover(&disk, &shards, on_corrupt) {
            Ok(recovered) => recovered,
            Err(refused) => return self.refused(&refused, case, on_corrupt),
        };
        let value = found(&follower, &notes, &shards)?;
        if value.generation != 0 && !base.history.attempted().contains(&value) {
            let what = format!("generation {} is not as it was written", value.generation);
            return Err(Broken::new(Invariant::NothingUnwritten, what));
        }
        if case.keeps_floors(on_corrupt) {
            base.history.check_floors(&value)?;
        }
        let silent = match self.protocol.store {
            Store::Files => files::is_silent(&follower, state, on_corrupt),
            Store::Slots => slots::is_silent(&follower, base, case, on_corrupt),
        };
        if silent {
            let (origin, newest) = (&follower.found.origin, base.newest);
            let what = format!("{origin:?}, and {newest} was the newest");
            return Err(Broken::new(Invariant::DamageIsReported, what));
        }
        if !case.save {
            return Ok(());
        }
        let saved = follower.checkpointer.checkpoint(|_| Ok::<(), Infallible>(()));
        saved.map_err(|err| Broken::new(Invariant::NextSaveWorks, err.to_string()))?;
        Ok(())
    }

    /// A report by its type: nothing was taken for what it is not. Damage to one checkpoint must
    /// leave another.
    fn refused(&self, refused: &Refused, case: &Case, how: OnCorrupt) -> Result<(), Broken> {
        let other_left = match (self.protocol.store, refused) {
            (Store::Files, Refused::Recover(RecoverError::Corrupt { .. })) => {
                how == OnCorrupt::FallBack
            }
            (Store::Files, _) => false,
            (Store::Slots, _) => matches!(case.hit, Hit::Page | Hit::Newest | Hit::Older),
        };
        if other_left {
            return Err(Broken::new(Invariant::OneDamageSurvived, refused.to_string()));
        }
        Ok(())
    }
}

/// Whether an older checkpoint than this is gone on from without a word.
fn is_older(follower: &Recovered, newest: u64) -> bool {
    matches!(follower.found.origin, Source::Resumed { generation } if generation != newest)
}
