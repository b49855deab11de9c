//! One run: writes the logs, kills the process that follows them, checks what it left, and starts
//! it again.

use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use kill_loop::{Child, below};
use repl_checkpoint::peek;
use repl_core::SeqNo;
use serde::{Deserialize, Serialize};

use crate::cli::RunArgs;
use crate::follower::SHARDS;
use crate::leader::Leader;
use crate::verify::{self, Fault, Found};

/// The logs are at least this long.
const SEGMENTS: SeqNo = 100;
/// A process is killed after fewer checkpoints than this, and then a random time.
const CHECKPOINTS: u64 = 7;
const MICROS: u64 = 20_000;
/// After every third kill the newest checkpoint is damaged.
const DAMAGED_EVERY: u64 = 3;
/// The last process reaches the end of the logs within this time.
const LIMIT: Duration = Duration::from_secs(60);
/// The first faults are enough.
const FAULTS_SHOWN: usize = 10;

/// What the process sends to its parent.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Event {
    /// A checkpoint is saved, and the segments that it makes obsolete are deleted.
    Saved,
}

/// The report of a run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    /// The number of segments of all logs.
    pub(crate) segments: u64,
    pub(crate) kills: u64,
    /// Checkpoints that the parent knows of. A kill hides some.
    pub(crate) checkpoints: u64,
    /// Starts with a damaged newest checkpoint.
    pub(crate) fallbacks: u64,
    /// Segments above the marks at each restart, added up.
    pub(crate) needed: u64,
    /// Segments that were deleted before the last kill.
    pub(crate) deleted_before_last_kill: u64,
    pub(crate) deleted: u64,
    /// Segments that were deleted, and that a restart needs.
    pub(crate) deleted_too_early: usize,
    /// Rows that differ from the log.
    pub(crate) wrong_rows: usize,
    pub(crate) seconds: f64,
    pub(crate) equal: bool,
    pub(crate) faults: Vec<String>,
}

/// A run in progress.
struct Run<'a> {
    args: &'a RunArgs,
    dir: &'a Path,
    leader: Leader,
    report: Report,
}

/// Runs until the logs are followed to their ends, or until a check finds a fault.
pub(crate) fn run(args: &RunArgs, dir: &Path, seed: u64) -> Result<Report, Box<dyn Error>> {
    let began = Instant::now();
    let report = Report { seed, ..Report::default() };
    let mut run = Run { args, dir, leader: Leader::create(dir, seed)?, report };
    for _ in 0..SEGMENTS {
        run.leader.write_next()?;
    }
    let mut faults = Vec::new();
    while faults.is_empty() && run.report.kills < args.kills {
        run.run_until_killed()?;
        if run.report.kills.is_multiple_of(DAMAGED_EVERY) && damage_newest(dir)? {
            run.report.fallbacks += 1;
        }
        let found = verify::check(dir, &run.leader, false)?;
        run.report.needed += found.needed;
        run.report.deleted_before_last_kill = found.deleted;
        faults = found.faults;
    }
    if faults.is_empty() {
        run.run_to_the_end()?;
        faults = run.check_the_end()?;
    }
    let count = |is: fn(&Fault) -> bool| faults.iter().filter(|fault| is(fault)).count();
    let mut report = run.report;
    report.segments = run.leader.last() * SHARDS.len() as u64;
    report.deleted_too_early = count(|fault| matches!(fault, Fault::Deleted { .. }));
    report.wrong_rows = count(|fault| matches!(fault, Fault::Row { .. }));
    report.equal = faults.is_empty();
    report.faults = faults.iter().take(FAULTS_SHOWN).map(Fault::to_string).collect();
    report.seconds = began.elapsed().as_secs_f64();
    Ok(report)
}

impl Run<'_> {
    /// Starts a process, and kills it at a random instant while the logs grow.
    fn run_until_killed(&mut self) -> Result<(), Box<dyn Error>> {
        let Report { seed, kills, checkpoints, .. } = self.report;
        let after = checkpoints + below(CHECKPOINTS, &[seed, kills, 1]);
        let wait = Duration::from_micros(below(MICROS, &[seed, kills, 2]));
        let mut due = None;
        let mut child = self.start(SeqNo::MAX)?;
        while due.is_none_or(|due| Instant::now() < due) {
            self.leader.write_next()?;
            self.note(child.next_event());
            if let Some(status) = child.ended()? {
                return Err(stopped(status));
            }
            if due.is_none() && self.report.checkpoints >= after {
                due = Some(Instant::now() + wait);
            }
        }
        child.kill()?;
        self.report.kills += 1;
        self.note(child.rest());
        Ok(())
    }

    /// Starts a process that follows the logs to their ends.
    fn run_to_the_end(&mut self) -> Result<(), Box<dyn Error>> {
        let began = Instant::now();
        let mut child = self.start(self.leader.last())?;
        while began.elapsed() < LIMIT {
            self.note(child.next_event());
            if let Some(status) = child.ended()? {
                self.note(child.rest());
                return if status.success() { Ok(()) } else { Err(stopped(status)) };
            }
        }
        Err(format!("the follower did not reach the end of the logs in {LIMIT:?}").into())
    }

    fn check_the_end(&mut self) -> Result<Vec<Fault>, Box<dyn Error>> {
        let Found { deleted, faults, .. } = verify::check(self.dir, &self.leader, true)?;
        self.report.deleted = deleted;
        Ok(faults)
    }

    /// Starts this executable again as the follower.
    fn start(&self, until: SeqNo) -> io::Result<Child<Event>> {
        let mut args: Vec<OsString> = vec!["follow".into(), "--dir".into(), self.dir.into()];
        args.push(format!("--until={until}").into());
        if let Some(mutant) = self.args.mutant.and_then(|mutant| mutant.to_possible_value()) {
            args.push(format!("--mutant={}", mutant.get_name()).into());
        }
        Child::start(args)
    }

    fn note(&mut self, events: impl IntoIterator<Item = Event>) {
        for Event::Saved in events {
            self.report.checkpoints += 1;
        }
    }
}

/// Cuts the newest checkpoint off in the middle. Returns false if the one before would not do.
///
/// A follower survives one damaged checkpoint, so nothing is damaged while the newest is damaged
/// already, nor while it is the only one.
fn damage_newest(dir: &Path) -> Result<bool, Box<dyn Error>> {
    let marks = dir.join("marks");
    if !marks.exists() {
        return Ok(false);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(&marks)? {
        files.push(entry?.path());
    }
    files.retain(|file| file.extension().is_some_and(|end| end == "checkpoint"));
    files.sort();
    let Some(newest) = files.pop() else { return Ok(false) };
    if files.is_empty() || peek(&marks)?.path != newest {
        return Ok(false);
    }
    let file = fs::OpenOptions::new().write(true).open(newest)?;
    file.set_len(file.metadata()?.len() / 2)?;
    Ok(true)
}

impl Report {
    /// Writes the table.
    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let mut row = |name: &str, value: String| writeln!(out, "{name:<24}{value}");
        row("seed", self.seed.to_string())?;
        row("segments", format!("{} in {:.1} s", self.segments, self.seconds))?;
        row("kills", self.kills.to_string())?;
        row("checkpoints", self.checkpoints.to_string())?;
        row("damaged checkpoints", self.fallbacks.to_string())?;
        row("needed at restarts", format!("{} segments", self.needed))?;
        let before = self.deleted_before_last_kill;
        row("deleted", format!("{} segments, {before} before the last kill", self.deleted))?;
        row("deleted too early", self.deleted_too_early.to_string())?;
        row("wrong rows", self.wrong_rows.to_string())?;
        let verdict = if self.equal { "equal to the logs" } else { "NOT equal to the logs" };
        row("tables", verdict.to_owned())
    }
}

fn stopped(status: ExitStatus) -> Box<dyn Error> {
    format!("the follower stopped with {status}: see its error above").into()
}
