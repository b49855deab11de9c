//! What does the applier tell its parent, and how does it learn that the parent is gone?
//!
//! One JSON document a line on standard output. A line that is out survives the death of its
//! writer.

use std::io::{self, Read, Write};
use std::process;
use std::thread;

use repl_core::SeqNo;
use serde::{Deserialize, Serialize};

/// What it tells. The counts of `Committed` are those of its life so far.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub(crate) enum Event {
    Started { mark: SeqNo, above: u64 },
    Committed { done: u64, passed_over: u64, waits: u64, failed: u64 },
}

/// Tells the parent. Nothing is done where it cannot be told: the end of input says it sooner.
pub(crate) fn tell(event: Event) {
    if let Ok(mut line) = serde_json::to_vec(&event) {
        line.push(b'\n');
        let _ = io::stdout().lock().write_all(&line);
    }
}

/// Ends this process once the parent does, which holds the other end of standard input.
pub(crate) fn end_with_parent() {
    thread::spawn(|| {
        let _ = io::stdin().lock().read(&mut [0]);
        // As sudden as a kill, which all of this is made for.
        process::exit(1);
    });
}
