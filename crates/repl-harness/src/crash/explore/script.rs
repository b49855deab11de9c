//! The calls that lead to a broken promise, as text.

use std::path::PathBuf;
use std::sync::Arc;

use crate::crash::disk::{Call, Content, State};
use crate::crash::history::History;
use crate::crash::layout::short;
use crate::crash::process::{Plan, Trace, run_process};
use crate::crash::protocol::Protocol;

/// A process that was ended by a crash.
pub(super) struct Step {
    pub(super) before: Option<Arc<Step>>,
    pub(super) start: State,
    pub(super) history: History,
    pub(super) plan: Plan,
    /// The number of calls that it made.
    pub(super) calls: usize,
}

impl Step {
    pub(super) fn all_calls(&self) -> usize {
        self.calls + self.before.as_deref().map_or(0, Step::all_calls)
    }
}

/// The calls of all processes and the crashes between them. Runs each process once more.
pub(super) fn script(
    protocol: Protocol,
    last: Option<&Arc<Step>>,
    found: &State,
    trace: &Trace,
) -> Vec<String> {
    let mut steps = Vec::new();
    let mut at = last;
    while let Some(step) = at {
        steps.push(step);
        at = step.before.as_ref();
    }
    steps.reverse();
    let mut lines = Vec::new();
    for (i, step) in steps.iter().enumerate() {
        let trace = run_process(protocol, &step.start, &step.history, &step.plan);
        lines.extend(calls(&trace, step.calls));
        let left = steps.get(i + 1).map_or(found, |next| &next.start);
        lines.push(format!("-- a crash leaves {}", names(left)));
    }
    lines.extend(calls(trace, trace.calls.len()));
    lines
}

fn calls(trace: &Trace, count: usize) -> Vec<String> {
    let text = |made: &Call| match made.fault {
        Some(fault) => format!("{} {}: {fault}", made.verb, short(&made.path)),
        None => format!("{} {}", made.verb, short(&made.path)),
    };
    trace.calls.iter().take(count).map(text).collect()
}

fn names(state: &State) -> String {
    let pending = if state.is_settled() { "" } else { ", and more in the cache than on the disk" };
    let files = state.files();
    let text = |(path, content): (&PathBuf, &Content)| {
        format!("{} ({} bytes)", short(path), content.len())
    };
    let files: Vec<String> = files.iter().map(text).collect();
    if files.is_empty() { format!("no file{pending}") } else { files.join(", ") + pending }
}
