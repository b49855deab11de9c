//! The stores on real servers pass the race.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod races_on_postgres;
mod races_on_seaweedfs;

use repl_harness::race::Report;

/// Shows every hundredth round.
#[expect(clippy::print_stdout, reason = "a thousand rounds take an hour")]
fn show(report: &Report) {
    if report.rounds.is_multiple_of(100) {
        println!("{report}");
    }
}
