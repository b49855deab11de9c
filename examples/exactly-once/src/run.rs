//! One run: starts the applier, kills it, checks what it left, and starts it again until the logs
//! are applied.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use kill_loop::{Child, Kills};
use serde::Serialize;
use tempfile::TempDir;
use thiserror::Error;

use crate::applier::Event;
use crate::cli::{ApplyArgs, RunArgs};
use crate::database::{Database, DatabaseError};
use crate::log::{LogError, Logs, SHARDS};
use crate::verify::{self, Fault, VerifyError};

/// A kill that is due waits a random time up to this.
const WAITS_UP_TO: Duration = Duration::from_millis(20);
/// The first faults are enough.
const FAULTS_SHOWN: usize = 10;

/// The folder of a run.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) root: PathBuf,
    pub(crate) temporary: Option<TempDir>,
    pub(crate) seed: u64,
}

/// An error that ends the run.
#[derive(Debug, Error)]
pub(crate) enum RunError {
    #[error("cannot {act} the applier")]
    Process { act: &'static str, source: io::Error },
    #[error("the applier stopped with {0}: see its error above")]
    Stopped(ExitStatus),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Database(#[from] DatabaseError),
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

/// The report of a run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    /// The number of segments of all logs.
    pub(crate) segments: u64,
    pub(crate) kills: u64,
    /// Commits that the applier saw take effect. A kill hides some.
    pub(crate) commits: u64,
    pub(crate) conflicts: u64,
    pub(crate) in_doubt: u64,
    /// Commits in doubt that the stored marks then said had taken effect.
    pub(crate) in_doubt_took_effect: u64,
    pub(crate) deleted: u64,
    pub(crate) applied_twice: usize,
    pub(crate) missing: usize,
    pub(crate) deleted_above_the_mark: usize,
    pub(crate) seconds: f64,
    pub(crate) exactly_once: bool,
    /// False if there were fewer kills than requested, no conflict, or no commit in doubt that took
    /// effect.
    pub(crate) shows_what_it_claims: bool,
    pub(crate) faults: Vec<String>,
}

/// A run in progress.
struct Run<'a> {
    args: &'a RunArgs,
    folder: &'a Folder,
    report: Report,
    /// The number of segments that are applied, as far as the parent knows.
    done: u64,
    kills: Kills,
    shown: Instant,
}

impl Folder {
    /// Keeps a temporary folder, and returns the path.
    pub(crate) fn keep(self) -> PathBuf {
        self.temporary.map_or(self.root, TempDir::keep)
    }
}

pub(crate) fn database_in(root: &Path) -> PathBuf {
    root.join("data.sqlite")
}

/// Runs until the logs are applied, or until a check after a kill finds a fault.
pub(crate) fn run(args: &RunArgs, folder: &Folder) -> Result<Report, RunError> {
    let began = Instant::now();
    let logs = Logs::new(&folder.root, folder.seed, args.segments);
    logs.write()?;
    let database = database_in(&folder.root);
    Database::create(&database)?;
    let segments = args.segments * SHARDS.len() as u64;
    let report = Report { seed: folder.seed, segments, ..Report::default() };
    let kills = Kills::new(folder.seed, args.kills, 0, segments, WAITS_UP_TO);
    let mut run = Run { args, folder, report, done: 0, kills, shown: began };
    let verify::Found { deleted, faults, .. } = loop {
        let at_end = run.run_applier()?;
        let found = verify::check(&logs, &Database::open(&database)?, at_end)?;
        if at_end || !found.faults.is_empty() {
            break found;
        }
        run.done = found.applied;
    };
    let mut report = run.report;
    report.deleted = deleted;
    let count = |is: fn(&Fault) -> bool| faults.iter().filter(|fault| is(fault)).count();
    report.applied_twice = count(|f| matches!(f, Fault::Repeated { .. }));
    report.missing = count(|f| matches!(f, Fault::Missing { .. } | Fault::DeletedUnapplied { .. }));
    report.deleted_above_the_mark = count(|f| matches!(f, Fault::DeletedAbove { .. }));
    report.exactly_once = faults.is_empty();
    let has_doubts = args.apply.doubt_one_in == 0 || report.in_doubt_took_effect > 0;
    report.shows_what_it_claims =
        report.kills == args.kills && report.conflicts > 0 && has_doubts && report.deleted > 0;
    report.faults = faults.iter().take(FAULTS_SHOWN).map(Fault::to_string).collect();
    report.seconds = began.elapsed().as_secs_f64();
    Ok(report)
}

impl Run<'_> {
    /// Runs one applier process. Returns whether it reached the end of the logs.
    fn run_applier(&mut self) -> Result<bool, RunError> {
        let mut child = self.start().map_err(failed("start"))?;
        let ended = loop {
            if let Some(event) = child.next_event() {
                self.note(event);
            }
            if let Some(status) = child.ended().map_err(failed("watch"))? {
                break Some(status);
            }
            if self.kills.is_due(self.done) {
                child.kill().map_err(failed("kill"))?;
                self.report.kills = self.kills.killed();
                break None;
            }
            self.show();
        };
        for event in child.rest() {
            self.note(event);
        }
        match ended {
            Some(status) if !status.success() => Err(RunError::Stopped(status)),
            ended => Ok(ended.is_some()),
        }
    }

    /// Starts this executable again as the applier.
    fn start(&self) -> io::Result<Child<Event>> {
        let ApplyArgs { doubt_one_in, keep, mutant } = self.args.apply;
        let mut args: Vec<OsString> = vec!["apply".into(), "--dir".into()];
        args.push(self.folder.root.as_os_str().to_owned());
        args.push(format!("--seed={}", self.folder.seed).into());
        args.push(format!("--segments={}", self.args.segments).into());
        args.push(format!("--doubt-one-in={doubt_one_in}").into());
        args.push(format!("--keep={keep}").into());
        if let Some(mutant) = mutant.and_then(|m| m.to_possible_value()) {
            args.push(format!("--mutant={}", mutant.get_name()).into());
        }
        Child::start(args)
    }

    fn note(&mut self, event: Event) {
        let report = &mut self.report;
        match event {
            Event::Committed => {
                report.commits += 1;
                self.done += 1;
            }
            Event::Conflict => report.conflicts += 1,
            Event::InDoubt => report.in_doubt += 1,
            Event::FoundApplied => {
                report.in_doubt_took_effect += 1;
                self.done += 1;
            }
        }
    }

    fn show(&mut self) {
        if !self.args.json
            && self.shown.elapsed() >= Duration::from_secs(1)
            && io::stderr().is_terminal()
        {
            self.shown = Instant::now();
            let (done, Report { segments, kills, .. }) = (self.done, &self.report);
            eprintln!("{done} of {segments} segments, killed {kills} times");
        }
    }
}

impl Report {
    /// Writes the table.
    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let mut row = |name: &str, value: String| writeln!(out, "{name:<24}{value}");
        row("seed", self.seed.to_string())?;
        row("segments", format!("{} in {:.1} s", self.segments, self.seconds))?;
        row("kills", self.kills.to_string())?;
        row("commits", self.commits.to_string())?;
        row("conflicts", format!("{}, tried again", self.conflicts))?;
        let took_effect = self.in_doubt_took_effect;
        row("in doubt", format!("{}, of which {took_effect} took effect", self.in_doubt))?;
        row("deleted", format!("{} segments", self.deleted))?;
        row("applied twice", self.applied_twice.to_string())?;
        row("missing", self.missing.to_string())?;
        row("deleted above the mark", self.deleted_above_the_mark.to_string())?;
        let verdict = if self.exactly_once { "each segment" } else { "NOT each segment" };
        row("exactly once", verdict.to_owned())
    }
}

fn failed(act: &'static str) -> impl FnOnce(io::Error) -> RunError {
    move |source| RunError::Process { act, source }
}
