//! Events that the applier sends to its parent, and the applier's end when the parent ends.
//!
//! An event is one JSON document per line on standard output. A line that was written survives a
//! kill of the applier.

use std::io::{self, Read, Write};
use std::process;
use std::thread;

use repl_core::SeqNo;
use serde::{Deserialize, Serialize};

/// An event. The counts of `Committed` are those since the process started.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub(crate) enum Event {
    Started { mark: SeqNo, above: u64 },
    Committed { done: u64, passed_over: u64, waits: u64, failed: u64 },
}

/// Sends an event to the parent. Errors are ignored: without a parent, the end of input ends the
/// process.
pub(crate) fn send(event: Event) {
    if let Ok(mut line) = serde_json::to_vec(&event) {
        line.push(b'\n');
        let _ = io::stdout().lock().write_all(&line);
    }
}

/// Ends this process when the parent ends, which closes standard input.
pub(crate) fn end_with_parent() {
    thread::spawn(|| {
        let _ = io::stdin().lock().read(&mut [0]);
        // As abrupt as a kill, which the applier must survive anyway.
        process::exit(1);
    });
}
