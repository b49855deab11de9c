//! The progress bar of a run, and its report.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::error::Error;
use crate::folder::Folder;

/// A failed run may have thousands of faults. The first ones are enough.
const FAULTS_SHOWN: usize = 10;

/// A progress bar on standard error, hidden if that is not a terminal.
#[derive(Debug)]
pub struct Bar(ProgressBar);

impl Bar {
    /// Creates a bar, hidden or not.
    pub fn new(hidden: bool) -> Bar {
        let bar = if hidden { ProgressBar::hidden() } else { ProgressBar::new(1000) };
        let style = ProgressStyle::with_template("{elapsed_precise} {bar:40} {percent:>3}% {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Bar(bar)
    }

    /// Shows how much of the work is done, from 0 to 1, and a message.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
    pub fn show(&self, done: f64, message: String) {
        self.0.set_position((done * 1000.0) as u64);
        self.0.set_message(message);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// The report of a run.
pub trait Report: Serialize {
    /// Returns the lines of the table, each a [`row`].
    fn table(&self) -> Vec<String>;

    /// Returns what is wrong, if anything.
    fn faults(&self) -> Vec<String>;
}

/// Returns a line of the table.
pub fn row(name: impl Display, value: impl Display) -> String {
    format!("{name:<24}{value}")
}

/// Runs, and prints the report as a table or as JSON. Keeps the folder of a run that fails.
pub fn run<R: Report>(
    program: &str,
    json: bool,
    folder: Folder,
    run: impl FnOnce(&Folder) -> Result<R, Error>,
) -> Result<ExitCode, Error> {
    let result = run(&folder);
    let faults = result.as_ref().map_or_else(|_| Vec::new(), R::faults);
    let failed = result.is_err() || !faults.is_empty();
    if let Ok(report) = &result {
        let mut out = io::stdout().lock();
        if json {
            serde_json::to_writer_pretty(&mut out, report)?;
            writeln!(out)?;
        } else {
            for row in report.table() {
                writeln!(out, "{row}")?;
            }
        }
    }
    for fault in faults.iter().take(FAULTS_SHOWN) {
        eprintln!("{program}: {fault}");
    }
    if failed {
        eprintln!("{program}: everything is kept in {}", folder.keep().display());
    }
    result.map(|_| if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
