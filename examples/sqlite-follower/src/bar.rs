//! The progress bar of a run.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::report::Report;

/// A progress bar on standard error, hidden if that is not a terminal.
#[derive(Debug)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new(hidden: bool) -> Bar {
        let target = if hidden || !io::stderr().is_terminal() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let bar = ProgressBar::with_draw_target(Some(1000), target);
        let style = "{elapsed_precise} {bar:40} {percent:>3}% {msg}";
        bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| {
            ProgressStyle::default_bar() // unreachable: the template above is valid
        }));
        Bar(bar)
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
    pub(crate) fn show(&self, fraction: f64, report: &Report, all_kills: u64) {
        self.0.set_position((fraction * 1000.0) as u64);
        let (done, kills) = (report.transactions_done(), report.kills);
        let restarts = report.log_restarts;
        self.0.set_message(format!(
            "{done} transactions, {kills} of {all_kills} kills, {restarts} log restarts"
        ));
    }

    pub(crate) fn set_message(&self, message: &'static str) {
        self.0.set_message(message);
    }

    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }
}
