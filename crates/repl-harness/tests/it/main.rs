//! What the stress and crash suites accept and what they must not.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod crash_disk;
mod crash_left;
mod crash_matrix;
mod crash_own;
mod crash_shutdown;
mod crash_suite;
mod honest;
mod planted;
mod planted_bugs_are_caught;
mod planted_life;
mod planted_recovery;
mod planted_window;
mod suites;
mod wrong_codecs;
mod wrong_stores;
