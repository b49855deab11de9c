//! One run: starts the applier, kills it and starts it again until the log is applied, then
//! compares the database with the log.

use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde::Serialize;
use thiserror::Error;

use crate::accounts::AccountsError;
use crate::applier::above_mark;
use crate::cli::{ApplyArgs, RunArgs};
use crate::events::Event;
use crate::folder::Folder;
use crate::random::below;
use crate::verify::{self, VerifyError};

/// A kill that is due waits a random time up to this.
const WAITS_UP_TO_MICROS: u64 = 30_000;
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
    /// The number of records applied when the run began.
    from: u64,
    done: u64,
    /// The counts of the current applier: passed over, waits, failed.
    counts: [u64; 3],
    kill_at: Option<Instant>,
    shown: Instant,
}

/// A child process that is killed on drop.
struct Process(Child);

/// Runs until the log is applied, and compares.
pub(crate) fn run(args: &RunArgs, folder: &Folder) -> Result<Report, RunError> {
    let began = Instant::now();
    let found = folder.open_accounts()?.applied()?;
    let from = found.mark().saturating_add(above_mark(&found));
    let (seed, records, threads) = (folder.log.seed, folder.log.records, args.apply.threads);
    let report = Report { seed, records, threads, ..Report::default() };
    let counts = [0; 3];
    let mut run =
        Run { args, folder, report, from, done: from, counts, kill_at: None, shown: began };
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
        let (mut child, events) = self.start().map_err(failed("start"))?;
        let ended = loop {
            if let Ok(event) = events.recv_timeout(Duration::from_millis(1)) {
                self.note(event);
            }
            if let Some(status) = child.0.try_wait().map_err(failed("watch"))? {
                break Some(status);
            }
            if self.is_time_to_kill() {
                child.0.kill().and_then(|()| child.0.wait()).map_err(failed("kill"))?;
                self.report.kills += 1;
                break None;
            }
            self.show();
        };
        for event in events {
            self.note(event); // until the end of the pipe
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
    fn start(&self) -> io::Result<(Process, Receiver<Event>)> {
        let ApplyArgs { threads, fail_one_in, mutant } = self.args.apply;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("apply").arg("--dir").arg(&self.folder.root);
        command.args(["--threads", &threads.to_string()]);
        command.args(["--fail-one-in", &fail_one_in.to_string()]);
        if let Some(mutant) = mutant.and_then(|m| m.to_possible_value()) {
            command.args(["--mutant", mutant.get_name()]);
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take();
        let child = Process(child);
        let lines = BufReader::new(stdout.ok_or(io::ErrorKind::BrokenPipe)?).split(b'\n');
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            // A killed applier may leave half a line.
            let events = lines.map_while(Result::ok).flat_map(|l| serde_json::from_slice(&l));
            events.take_while(|event| sender.send(*event).is_ok()).for_each(drop);
        });
        Ok((child, receiver))
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

    /// Whether to kill the applier now.
    ///
    /// The kills are spread over the first nine tenths of the records. Each is due at a random
    /// record of its share, and happens a random time later. The first may hit the applier's start.
    fn is_time_to_kill(&mut self) -> bool {
        let (kill, kills, seed) = (self.report.kills, self.args.kills, self.report.seed);
        let share =
            |parts: u64| self.report.records.saturating_sub(self.from) * parts / (kills * 1000);
        if kill >= kills || self.done >= self.report.records {
            return false;
        }
        let within = if kill == 0 { 0 } else { below(900, &[seed, kill, 5]) };
        if self.done < self.from + share((kill * 1000 + within) * 9 / 10) {
            return false;
        }
        let wait = Duration::from_micros(below(WAITS_UP_TO_MICROS, &[seed, kill, 6]));
        let is_time = *self.kill_at.get_or_insert_with(|| Instant::now() + wait) <= Instant::now();
        if is_time {
            self.kill_at = None;
        }
        is_time
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

impl Drop for Process {
    /// Errors are ignored: the process may have ended already.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn failed(act: &'static str) -> impl FnOnce(io::Error) -> RunError {
    move |source| RunError::Process { act, source }
}
