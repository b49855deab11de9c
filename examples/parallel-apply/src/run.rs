//! One run: starts the applier, kills it and starts it again until the log is applied, then
//! compares the database with the log.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use kill_loop::{Child, Kills};
use serde::Serialize;
use thiserror::Error;

use crate::accounts::AccountsError;
use crate::applier::above_mark;
use crate::cli::{ApplyArgs, RunArgs};
use crate::events::Event;
use crate::folder::Folder;
use crate::verify::{self, VerifyError};

/// A kill that is due waits a random time up to this.
const WAITS_UP_TO: Duration = Duration::from_millis(30);
/// A failed run may have thousands of faults. The first ones are enough.
const FAULTS_SHOWN: usize = 10;

/// An error that ends the run.
#[derive(Debug, Error)]
pub(crate) enum RunError {
    #[error("cannot {act} the applier")]
    Process { act: &'static str, source: io::Error },
    #[error("the applier stopped with {0}: see its error above")]
    Stopped(ExitStatus),
    #[error(transparent)]
    Accounts(#[from] AccountsError),
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

/// The report of a run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) records: u64,
    pub(crate) threads: u64,
    pub(crate) kills: u64,
    /// Starts that found records applied.
    pub(crate) resumes: u64,
    /// Starts that found completed ranges above the mark.
    pub(crate) resumes_above_mark: u64,
    /// Records committed before an earlier one was, over all runs in this folder.
    pub(crate) out_of_order: u64,
    pub(crate) passed_over: u64,
    pub(crate) waits_for_room: u64,
    pub(crate) failed_batches: u64,
    pub(crate) seconds: f64,
    pub(crate) exactly_once: bool,
    /// False if a run from the first record on had fewer kills than requested, or if no start found
    /// completed ranges above the mark.
    pub(crate) shows_what_it_claims: bool,
    pub(crate) faults: Vec<String>,
}

/// A run in progress.
struct Run<'a> {
    args: &'a RunArgs,
    folder: &'a Folder,
    report: Report,
    done: u64,
    /// The counts of the current applier: passed over, waits, failed.
    counts: [u64; 3],
    kills: Kills,
    shown: Instant,
}

/// Runs until the log is applied, and compares.
pub(crate) fn run(args: &RunArgs, folder: &Folder) -> Result<Report, RunError> {
    let began = Instant::now();
    let found = folder.open_accounts()?.applied()?;
    let from = found.mark().saturating_add(above_mark(&found));
    let (seed, records, threads) = (folder.log.seed, folder.log.records, args.apply.threads);
    let report = Report { seed, records, threads, ..Report::default() };
    let counts = [0; 3];
    let kills = Kills::new(seed, args.kills, from, records, WAITS_UP_TO);
    let mut run = Run { args, folder, report, done: from, counts, kills, shown: began };
    while !run.run_applier()? {}
    let verdict = verify::compare(&folder.log, &folder.open_accounts()?)?;
    let mut report = run.report;
    report.exactly_once = verdict.faults.is_empty();
    // A run that continues another may be too short to show anything.
    let killed = report.kills == args.kills && report.resumes_above_mark > 0;
    report.shows_what_it_claims = args.kills == 0 || from > 0 || killed;
    report.out_of_order = verdict.out_of_order;
    report.faults = verdict.faults;
    report.faults.truncate(FAULTS_SHOWN);
    report.seconds = began.elapsed().as_secs_f64();
    Ok(report)
}

impl Run<'_> {
    /// Runs one applier process. Returns whether it reached the end of the log.
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
        let [passed_over, waits, failed] = std::mem::take(&mut self.counts);
        self.report.passed_over += passed_over;
        self.report.waits_for_room += waits;
        self.report.failed_batches += failed;
        match ended {
            Some(status) if !status.success() => Err(RunError::Stopped(status)),
            ended => Ok(ended.is_some()),
        }
    }

    /// Starts this executable again as the applier.
    fn start(&self) -> io::Result<Child<Event>> {
        let ApplyArgs { threads, fail_one_in, mutant } = self.args.apply;
        let mut args: Vec<OsString> = vec!["apply".into(), "--dir".into()];
        args.push(self.folder.root.as_os_str().to_owned());
        args.push(format!("--threads={threads}").into());
        args.push(format!("--fail-one-in={fail_one_in}").into());
        if let Some(mutant) = mutant.and_then(|m| m.to_possible_value()) {
            args.push(format!("--mutant={}", mutant.get_name()).into());
        }
        Child::start(args)
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Started { mark, above } => {
                self.report.resumes += u64::from(mark > 0 || above > 0);
                self.report.resumes_above_mark += u64::from(above > 0);
            }
            Event::Committed { done, passed_over, waits, failed } => {
                self.done = done;
                self.counts = [passed_over, waits, failed];
            }
        }
    }

    fn show(&mut self) {
        if !self.args.json
            && self.shown.elapsed() >= Duration::from_secs(1)
            && io::stderr().is_terminal()
        {
            self.shown = Instant::now();
            let (done, Report { records, kills, .. }) = (self.done, &self.report);
            eprintln!("{done} of {records} records, killed {kills} times");
        }
    }
}

impl Report {
    /// Writes the table.
    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let mut row = |name: &str, value: String| writeln!(out, "{name:<24}{value}");
        row("seed", self.seed.to_string())?;
        row("records", format!("{} in {:.1} s", self.records, self.seconds))?;
        row("threads", self.threads.to_string())?;
        row("kills", self.kills.to_string())?;
        let above = self.resumes_above_mark;
        row("resumes", format!("{}, {above} with records above the mark", self.resumes))?;
        row("out of order", format!("{} records", self.out_of_order))?;
        row("passed over", format!("{} records, already completed", self.passed_over))?;
        row("waits for room", self.waits_for_room.to_string())?;
        row("failed batches", format!("{}, applied again", self.failed_batches))?;
        let verdict = if self.exactly_once { "each record" } else { "NOT each record" };
        row("exactly once", verdict.to_owned())
    }
}

fn failed(act: &'static str) -> impl FnOnce(io::Error) -> RunError {
    move |source| RunError::Process { act, source }
}
