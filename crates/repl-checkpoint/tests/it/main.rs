//! The guarantees of repl-checkpoint, one file each.

#![cfg(all(feature = "json", unix))]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod support;

mod background;
mod bad_input;
mod checkpoint_bytes;
mod checkpointer;
mod codecs;
mod completed;
mod envelope;
mod environment;
mod file_store;
mod floors;
mod golden;
mod io_errors;
mod json;
mod lock;
mod protocol;
mod real_bugs;
mod recovery;
mod retention;
mod shutdown;
mod sizes;
mod slots;
mod unnamed;
