//! The progress bar of a run, and its report.

use std::fmt::Display;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::error::Error;

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

/// The report of a run: in JSON, and as a table.
pub trait Report: Serialize {
    /// Returns the lines of the table, each a [`row`]: by default one for each number.
    fn table(&self) -> Result<Vec<String>, Error> {
        let document = serde_json::to_string_pretty(self)?;
        let numbers = document.lines().filter_map(|line| line.trim().split_once(": "));
        let named = numbers.map(|(name, number)| (name.replace('"', "").replace('_', " "), number));
        Ok(named.map(|(name, number)| row(name, number.trim_end_matches(','))).collect())
    }
}

/// Returns a line of the table.
pub fn row(name: impl Display, value: impl Display) -> String {
    format!("{name:<24}{value}")
}
