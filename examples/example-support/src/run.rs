//! One run of a program: its options, its kills and its report.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use clap::Args;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::{Bar, Child, End, Error, Folder, Kills, Report, rng, row};

/// A kill that is due waits a random time up to this.
const WAITS_UP_TO: Duration = Duration::from_millis(20);

/// A failed run may have thousands of faults. The first ones are enough.
const FAULTS_SHOWN: usize = 10;

/// The options that every program has. `KILLS` is the default of `--kills`.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub struct RunArgs<const KILLS: u64> {
    /// Keep everything in this folder.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// The number of times to kill the process.
    #[arg(long, value_name = "N", default_value_t = KILLS)]
    pub kills: u64,
    /// The seed of all random choices [default: a new one each time, printed].
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Print one JSON document instead of a table.
    #[arg(long)]
    pub json: bool,
}

impl<const KILLS: u64> RunArgs<KILLS> {
    /// Begins a run in a folder, which must be new or empty.
    pub fn start(&self, program: &'static str) -> Result<Run, Error> {
        let (run, ()) = self.start_or_continue(program, |_| ())?;
        if run.folder.is_new {
            return Ok(run);
        }
        Err(format!("{} is not empty: give another --dir", run.folder.root.display()).into())
    }

    /// Begins a run in a folder, or continues the one that is there. Returns it with what the folder
    /// was made for: `new` of the seed if nothing is in it.
    pub fn start_or_continue<S: Serialize + DeserializeOwned>(
        &self,
        program: &'static str,
        new: impl FnOnce(u64) -> S,
    ) -> Result<(Run, S), Error> {
        let began = Instant::now();
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
        let new = (seed, new(seed));
        let (folder, (seed, settings)) = Folder::take(program, self.dir.as_deref(), new)?;
        let seed = self.seed.unwrap_or(seed);
        let kills = Kills::new(rng(&[seed]), self.kills, WAITS_UP_TO);
        let bar = Bar::new(self.json);
        Ok((Run { program, json: self.json, folder, seed, kills, bar, began }, settings))
    }
}

/// A run in progress.
#[derive(Debug)]
pub struct Run {
    program: &'static str,
    json: bool,
    /// Where everything is kept.
    pub folder: Folder,
    /// The seed of all random choices.
    pub seed: u64,
    /// The kills of [`child`](Run::child).
    pub kills: Kills,
    /// The progress bar, which [`child`](Run::child) moves.
    pub bar: Bar,
    /// When the run began.
    pub began: Instant,
}

/// The report as a JSON document.
#[derive(Serialize)]
struct Document<'a, R> {
    seed: u64,
    seconds: f64,
    #[serde(flatten)]
    report: &'a R,
    faults: &'a [String],
}

impl Run {
    /// Runs one child until it ends, or is killed. Returns whether it finished.
    ///
    /// `note` handles an event, or that there was none for a millisecond. It returns the fraction
    /// of the work that is done. At 1 the child is not killed any more.
    pub fn child<E: DeserializeOwned + Send + 'static>(
        &mut self,
        name: &'static str,
        task: &impl Serialize,
        mut note: impl FnMut(Option<E>, &mut Child) -> Result<f64, Error>,
    ) -> Result<bool, Error> {
        let (sender, events) = mpsc::channel();
        let mut child = Child::start(name, task, sender)?;
        let finished = loop {
            let event = events.recv_timeout(Duration::from_millis(1)).ok();
            if event.is_none()
                && let Some(end) = child.ended()?
            {
                break end == End::Finished;
            }
            let done = note(event, &mut child)?;
            self.bar.show(done, format!("{} kills", self.kills.killed()));
            if done < 1.0 && self.kills.is_due(done) {
                child.kill()?;
                break false;
            }
        };
        for event in events {
            note(Some(event), &mut child)?;
        }
        Ok(finished)
    }

    /// Runs, and prints the report as a table or as JSON, and the faults that were found. Keeps the
    /// folder of a run that fails.
    pub fn report<R: Report>(
        mut self,
        run: impl FnOnce(&mut Run) -> Result<(R, Vec<String>), Error>,
    ) -> Result<ExitCode, Error> {
        let result = run(&mut self);
        let Run { program, seed, .. } = self;
        let faults = result.as_ref().map_or(&[][..], |(_, faults)| faults);
        let failed = result.is_err() || !faults.is_empty();
        drop(self.bar);
        if let Ok((report, faults)) = &result {
            let (mut out, seconds) = (io::stdout().lock(), self.began.elapsed().as_secs_f64());
            if self.json {
                let document = Document { seed, seconds, report, faults };
                serde_json::to_writer_pretty(&mut out, &document)?;
                writeln!(out)?;
            } else {
                let (seconds, faults) = (format!("{seconds:.1}"), faults.len());
                let first = [row("seed", seed), row("seconds", seconds), row("faults", faults)];
                for row in first.into_iter().chain(report.table()?) {
                    writeln!(out, "{row}")?;
                }
            }
        }
        for fault in faults.iter().take(FAULTS_SHOWN) {
            eprintln!("{program}: {fault}");
        }
        if failed {
            let kept = self.folder.temporary.map_or(self.folder.root, TempDir::keep);
            eprintln!("{program}: everything is kept in {}", kept.display());
        }
        result.map(|_| if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
