//! Random chains of crashes: more shards, saves and processes than can be enumerated.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::disk::State;
use super::fault::{Fault, FaultKind};
use super::history::History;
use super::invariant::Violation;
use super::kind::StoreKind;
use super::layout::{DIR, short};
use super::mutants::Mutant;
use super::process::{Plan, Trace, run_process};
use super::protocol::Protocol;
use crate::seed::{one_in, stream};

/// The result of random chains of crashes.
#[derive(Debug, Clone)]
pub struct RandomReport {
    /// The kind of store.
    pub store: StoreKind,
    /// The seed.
    pub seed: u64,
    /// The number of chains, each on a disk of its own.
    pub chains: u64,
    /// The number of processes in all chains.
    pub processes: u64,
    /// The duration of the run.
    pub elapsed: Duration,
    /// The broken promise that was found, with every call that leads to it.
    pub violation: Option<Violation>,
}

impl fmt::Display for RandomReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RandomReport { store, seed, chains, processes, elapsed, .. } = self;
        write!(f, "{store}: seed {seed}: {chains} chains, {processes} processes; ")?;
        write!(f, "{:.1} s", elapsed.as_secs_f64())?;
        match &self.violation {
            Some(violation) => write!(f, "\n{violation}"),
            None => write!(f, "; no violation"),
        }
    }
}

/// Runs a number of random chains of crashes. Equal seeds give equal chains.
pub fn random(store: StoreKind, seed: u64, chains: u64, mutant: Option<Mutant>) -> RandomReport {
    let started = Instant::now();
    let (elapsed, violation) = (Duration::ZERO, None);
    let mut report = RandomReport { store, seed, chains: 0, processes: 0, elapsed, violation };
    let protocol = Protocol::of(store, mutant);
    while report.chains < chains && report.violation.is_none() {
        let rng = stream(seed, report.chains);
        report.chains += 1;
        Chain::new(rng).run(protocol, &mut report);
    }
    report.elapsed = started.elapsed();
    report
}

struct Chain {
    rng: Rng,
    /// The highest mark of each shard so far.
    marks: Vec<u64>,
    state: State,
    history: History,
    after_cut: bool,
    script: Vec<String>,
}

impl Chain {
    fn new(mut rng: Rng) -> Self {
        let shards = rng.usize(1..=30);
        Chain {
            rng,
            marks: vec![0; shards],
            state: State::new(),
            history: History::new(shards),
            after_cut: true,
            script: Vec::new(),
        }
    }

    fn run(mut self, protocol: Protocol, report: &mut RandomReport) {
        for _ in 0..self.rng.usize(2..12) {
            let plan = self.plan(protocol);
            let trace = run_process(protocol, &self.state, &self.history, &plan);
            report.processes += 1;
            if let Some(broken) = &trace.broken {
                self.add_to_script(&trace, trace.calls.len());
                report.violation = Some(broken.clone().after(self.script));
                return;
            }
            self.crash(&trace);
        }
    }

    fn plan(&mut self, protocol: Protocol) -> Plan {
        let mut saves = Vec::new();
        let count = self.rng.usize(1..=5);
        for _ in 0..count + 2 {
            for shard in 0..self.marks.len() {
                // Some marks stay, some move far, and the first one always moves.
                let by = if shard == 0 || one_in(&mut self.rng, 3) {
                    self.rng.u64(1..=1 << 30)
                } else {
                    0
                };
                self.marks[shard] += by;
            }
            saves.push(Arc::from(self.marks.clone()));
        }
        let spare = saves.split_off(count);
        let (turn, other) = (self.rng.usize(..3), one_in(&mut self.rng, 4));
        let (completed, lengths, deltas) = ([0; 3], [0; 3], [0; 3]);
        let (fault, after_cut) = (None, self.after_cut);
        let plan = Plan {
            saves,
            spare,
            guest: None,
            completed,
            lengths,
            deltas,
            turn,
            other,
            fault,
            after_cut,
        };
        if one_in(&mut self.rng, 2) {
            return plan;
        }
        let calls = run_process(protocol, &self.state, &self.history, &plan).calls;
        if calls.is_empty() {
            return plan;
        }
        let call = self.rng.usize(..calls.len());
        let made = &calls[call];
        let kinds = FaultKind::of(made.verb, made.path.starts_with(DIR));
        let kind = kinds[self.rng.usize(..kinds.len())];
        Plan { fault: Some(Fault { call, kind, permanent: false }), ..plan }
    }

    /// Ends the process at a random call, and continues on one of the disks that may be left.
    fn crash(&mut self, trace: &Trace) {
        let calls = self.rng.usize(..trace.states.len());
        let state = &trace.states[calls];
        if let Some(history) = trace.history(calls) {
            self.history = history.clone();
        }
        self.add_to_script(trace, calls);
        let rng = RefCell::new(&mut self.rng);
        let below = |n: usize| rng.borrow_mut().usize(..n);
        let images = state.after_power_cut(&|file, _| {
            Arc::new(vec![(file.draw_after_power_cut(&mut |n| below(n)), 1)])
        });
        // If there are too many images to choose from, the process dies and the cache survives.
        let mut images = images.unwrap_or_default();
        let chosen = (!images.is_empty()).then(|| below(images.len()));
        let cut = chosen.map(|chosen| images.swap_remove(chosen).0);
        self.after_cut = cut.is_some() && !one_in(&mut self.rng, 3);
        self.state = cut.filter(|_| self.after_cut).unwrap_or_else(|| state.clone());
        self.script.push(
            if self.after_cut { "-- the power is cut" } else { "-- the process dies" }.into(),
        );
    }

    fn add_to_script(&mut self, trace: &Trace, calls: usize) {
        self.script.extend(trace.calls.iter().take(calls).map(|call| {
            let fault = call.fault.map_or(String::new(), |fault| format!(": {fault}"));
            format!("{} {}{fault}", call.verb, short(&call.path))
        }));
    }
}
