//! The suites pass what keeps its promises, and catch what does not.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod crash_deltas;
mod crash_disk;
mod crash_images;
mod crash_lengths;
mod crash_matrix;
mod crash_own;
mod crash_suite;
mod planted;
mod planted_bugs_are_caught;
mod planted_saves_are_caught;
mod planted_waits_are_caught;
mod races;
mod real_types;
mod remote_server;
mod remote_stores;
mod suites;
mod wrong_codecs;
mod wrong_stores;
