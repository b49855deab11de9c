//! The way to a broken promise, told call by call.

use std::path::PathBuf;
use std::sync::Arc;

use crate::crash::disk::{Call, Content, State};
use crate::crash::history::History;
use crate::crash::life::{Life, Plan, live, short};
use crate::crash::protocol::Protocol;

/// A process that was ended by a crash.
pub(super) struct Step {
    pub(super) before: Option<Arc<Step>>,
    pub(super) start: State,
    pub(super) history: History,
    pub(super) plan: Plan,
    /// How many calls it made.
    pub(super) calls: usize,
}

impl Step {
    pub(super) fn all_calls(&self) -> usize {
        self.calls + self.before.as_deref().map_or(0, Step::all_calls)
    }
}

/// The calls of all processes and the crashes between them. Each process is run once more for it.
pub(super) fn script(
    protocol: Protocol,
    last: Option<&Arc<Step>>,
    found: &State,
    life: &Life,
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
        let life = live(protocol, &step.start, &step.history, &step.plan);
        lines.extend(calls(&life, step.calls));
        let left = steps.get(i + 1).map_or(found, |next| &next.start);
        lines.push(format!("-- a crash leaves {}", names(left)));
    }
    lines.extend(calls(life, life.calls.len()));
    lines
}

fn calls(life: &Life, count: usize) -> Vec<String> {
    let told = |made: &Call| match made.fault {
        Some(how) => format!("{} {}: {how}", made.verb, short(&made.path)),
        None => format!("{} {}", made.verb, short(&made.path)),
    };
    life.calls.iter().take(count).map(told).collect()
}

fn names(state: &State) -> String {
    let pending = if state.is_settled() { "" } else { ", and more in the cache than on the disk" };
    let there = state.files();
    let told = |(path, content): (&PathBuf, &Content)| {
        format!("{} ({} bytes)", short(path), content.len())
    };
    let files: Vec<String> = there.iter().map(told).collect();
    if files.is_empty() { format!("no file{pending}") } else { files.join(", ") + pending }
}
