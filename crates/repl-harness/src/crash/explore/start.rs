//! The situation in which a process begins, and what it is to do.

use std::sync::Arc;

use super::config::Config;
use super::script::Step;
use crate::crash::disk::State;
use crate::crash::history::History;
use crate::crash::process::Plan;

/// The situation in which a process begins.
pub(super) struct Start {
    pub(super) state: State,
    pub(super) history: History,
    /// The number of crashes and reopens before it.
    pub(super) depth: usize,
    pub(super) faults: usize,
    pub(super) after_cut: bool,
    pub(super) before: Option<Arc<Step>>,
}

impl Start {
    /// An empty disk.
    pub(super) fn first(config: &Config) -> Self {
        Start {
            state: State::with_sectors(config.sector),
            history: History::new(config.shards),
            depth: 0,
            faults: config.faults,
            after_cut: true,
            before: None,
        }
    }

    /// What the process is to do, without a failing call.
    pub(super) fn plan(&self, config: &Config) -> Plan {
        let depth = self.depth;
        let saves = if depth == 0 { config.saves } else { config.later_saves };
        let plan = Plan::of(config, depth as u64 + 1, saves, 2);
        Plan { turn: depth, after_cut: self.after_cut, ..plan }
    }
}
