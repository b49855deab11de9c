//! Damage to files that were written, synced and named as they should be.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use repl_checkpoint::{Header, JsonCodec, OnCorrupt, Origin, RecoverError, StoreId, open, seal};

use super::disk::{Content, SECTOR, SimDisk, State};
use super::explore::Config;
use super::history::History;
use super::invariant::{Broken, Invariant, Violation};
use super::life::{Plan, found, live, shards, short};
use super::protocol::{Protocol, Refused, STORE};
use super::sabotage::{Sabotage, read_wrong, write_wrong};

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
    let protocol = Protocol(sabotage);
    let mark = |save: usize, shard: usize| 1_000_000_000_000_000_000 + (save * 1000 + shard) as u64;
    let marks = |save| (0..config.shards).map(|shard| mark(save, shard)).collect();
    let saves = (1..=config.saves).map(marks).collect();
    let plan = Plan { saves, fault: None, after_cut: true };
    let life = live(protocol, &State::new(), &History::new(config.shards), &plan);
    let history = life.history(life.calls.len());
    let mut sweep = Sweep { protocol, shards: config.shards, images: 0 };
    let violation = match (life.states.last(), history, &life.broken) {
        (Some(state), Some(history), None) => sweep.run(state, history).err(),
        (_, _, broken) => {
            let nothing = Broken::new(Invariant::NextSaveWorks, "nothing ran");
            Some(violation(broken.as_ref().unwrap_or(&nothing), Vec::new()))
        }
    };
    MediaReport { images: sweep.images, elapsed: started.elapsed(), violation }
}

fn violation(broken: &Broken, script: Vec<String>) -> Violation {
    Violation { invariant: broken.invariant, what: broken.what.clone(), script }
}

struct Sweep {
    protocol: Protocol,
    shards: usize,
    images: u64,
}

/// What becomes of one file; `None` where it is gone.
type Damage = Option<Vec<u8>>;

impl Sweep {
    fn run(&mut self, state: &State, history: &History) -> Result<(), Violation> {
        let mut files: BTreeMap<PathBuf, Content> = state.files();
        files.retain(|path, _| path.to_string_lossy().ends_with(".checkpoint"));
        // The newest first: more depends on it.
        for (path, content) in files.iter().rev() {
            let other = files.iter().find(|(other, _)| *other != path).map(|(_, c)| c.bytes());
            self.bits(state, history, path, content.bytes())?;
            for (how, damage) in self.larger(content.bytes(), other.unwrap_or_default()) {
                self.check(state, history, path, &how, damage)?;
            }
        }
        Ok(())
    }

    fn bits(
        &mut self,
        state: &State,
        history: &History,
        path: &Path,
        bytes: &[u8],
    ) -> Result<(), Violation> {
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            self.check(state, history, path, &format!("bit {bit} flips"), Some(flipped))?;
        }
        Ok(())
    }

    /// Everything but single bits.
    fn larger(&self, bytes: &[u8], other: &[u8]) -> Vec<(String, Damage)> {
        let mut all: Vec<(String, Damage)> = vec![("it is gone".into(), None)];
        let cut = |length: usize| (format!("cut to {length}"), Some(bytes[..length].to_vec()));
        all.extend((0..bytes.len()).map(cut));
        for length in (1..=64).chain([SECTOR, 4096]) {
            for byte in [0, b' ', b'\n', 0xff] {
                let longer = [bytes, &vec![byte; length]].concat();
                all.push((format!("{length} bytes {byte:#x} follow"), Some(longer)));
            }
        }
        all.push(("it is there twice".into(), Some([bytes, bytes].concat())));
        all.push(("another generation's bytes".into(), Some(other.to_vec())));
        for k in 0..bytes.len().div_ceil(SECTOR) {
            let (start, end) = (k * SECTOR, bytes.len().min((k + 1) * SECTOR));
            let zeros = vec![0; end - start];
            let theirs = other.get(start..end).unwrap_or(&zeros).to_vec();
            let first = bytes[..end - start].to_vec();
            let misdirected = [(&zeros, "lost"), (&theirs, "stale"), (&first, "misdirected")];
            for (sector, how) in misdirected {
                let damaged = [&bytes[..start], sector, &bytes[end..]].concat();
                // Nothing is damaged where the sector is what it was.
                if damaged != bytes {
                    all.push((format!("sector {k} is {how}"), Some(damaged)));
                }
            }
        }
        if let Some(foreign) = self.of_another_store(bytes) {
            all.push(("another store's file".into(), Some(foreign)));
        }
        all
    }

    /// The same checkpoint, sealed by another store.
    fn of_another_store(&self, bytes: &[u8]) -> Damage {
        let wrong = self.protocol.0;
        let real = wrong.map_or_else(|| bytes.to_vec(), |wrong| read_wrong(wrong, bytes));
        let (header, checkpoint) = open(&JsonCodec, STORE, &real).ok()?;
        let header = Header { store: StoreId(STORE.0 + 1), ..header };
        let sealed = seal(&JsonCodec, header, &checkpoint).ok()?;
        Some(wrong.map_or_else(|| sealed.clone(), |wrong| write_wrong(wrong, &sealed)))
    }

    fn check(
        &mut self,
        state: &State,
        history: &History,
        path: &Path,
        how: &str,
        damage: Damage,
    ) -> Result<(), Violation> {
        let mut damaged = state.clone();
        let done = match damage {
            Some(bytes) => damaged.put(path, bytes),
            None => damaged.remove(path),
        };
        self.images += 1;
        for on_corrupt in [OnCorrupt::Fail, OnCorrupt::FallBack] {
            let recover = || self.recover(&damaged, history, on_corrupt);
            let seen = match (&done, catch_unwind(AssertUnwindSafe(recover))) {
                (Err(err), _) => Err(Broken::new(Invariant::NoPanic, err.to_string())),
                (Ok(()), Ok(seen)) => seen,
                (Ok(()), Err(_)) => Err(Broken::new(Invariant::NoPanic, "a panic")),
            };
            seen.map_err(|broken| {
                violation(
                    &broken,
                    vec![format!("{}: {how}", short(path)), format!("{on_corrupt:?}")],
                )
            })?;
        }
        Ok(())
    }

    fn recover(
        &self,
        state: &State,
        history: &History,
        on_corrupt: OnCorrupt,
    ) -> Result<(), Broken> {
        let disk = SimDisk::of(state.clone());
        let shards = shards(self.shards);
        let named = |path: &PathBuf| path.file_stem()?.to_str()?.parse::<u64>().ok();
        let newest = state.files().keys().filter_map(named).max();
        let (mut follower, notes) = match self.protocol.recover(&disk, &shards, on_corrupt) {
            Ok(recovered) => recovered,
            Err(Refused::Recover(RecoverError::Corrupt { newest, .. }))
                if on_corrupt == OnCorrupt::FallBack =>
            {
                return Err(Broken::new(Invariant::OneDamageSurvived, newest.to_string()));
            }
            // A report by its type: nothing was taken for what it is not.
            Err(_) => return Ok(()),
        };
        let value = found(&follower, &notes, &shards)?;
        if value.generation != 0 && !history.attempted().contains(&value) {
            let what = format!("generation {} is not as it was written", value.generation);
            return Err(Broken::new(Invariant::NothingUnwritten, what));
        }
        history.check_floors(&value)?;
        let silent = match follower.found.origin {
            Origin::Fresh => newest.is_some(),
            Origin::Resumed { generation } => newest != Some(generation),
            Origin::FellBack { .. } => on_corrupt == OnCorrupt::Fail,
        };
        if silent {
            let what = format!("{:?}, and {newest:?} is the newest", follower.found.origin);
            return Err(Broken::new(Invariant::DamageIsReported, what));
        }
        let saved = follower.checkpointer.checkpoint(|_| Ok::<(), Infallible>(()));
        saved.map_err(|err| Broken::new(Invariant::NextSaveWorks, err.to_string()))?;
        Ok(())
    }
}
