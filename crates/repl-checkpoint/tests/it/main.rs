//! The guarantees of repl-checkpoint, one file each.

#![cfg(all(feature = "json", unix))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod support;

mod attempts;
mod background;
mod background_requests;
mod bad_input;
mod checkpoint_bytes;
mod checkpointer;
mod codecs;
mod completed;
mod delta_saves;
mod deltas;
mod directories;
mod envelope;
mod environment;
mod epochs;
mod errors;
mod file_store;
mod floors;
mod floors_in_bulk;
mod given_back;
mod golden;
mod health;
mod hints;
#[cfg(target_os = "linux")]
mod hostile;
mod huge;
mod incarnations;
mod io_errors;
mod json;
#[cfg(target_os = "linux")]
mod lives;
mod lock;
#[cfg(feature = "metrics")]
mod metrics;
mod next_bytes;
mod no_sync;
mod opening;
mod orphaned;
mod peeking;
mod peeking_beside;
mod protocol;
mod real_bugs;
mod recovery;
mod remote;
mod reopening;
mod replaced;
mod rest;
mod retention;
mod rows;
mod runtimes;
mod schedule;
mod shutdown;
mod sizes;
mod slot_file;
mod slots;
#[cfg(feature = "tracing")]
mod spans;
#[cfg(feature = "bincode")]
mod surveys;
mod takeovers;
mod track;
mod until_saved;
mod vanished;
