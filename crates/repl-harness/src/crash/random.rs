//! Long chains of crashes that a seed decides: more shards, more saves, more of everything than can
//! be enumerated.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::disk::State;
use super::fault::{Fault, How};
use super::history::History;
use super::invariant::Violation;
use super::life::{Life, Plan, live, short};
use super::protocol::{DIR, Protocol, Store};
use super::sabotage::Sabotage;
use crate::rng::Rng;

/// What random chains of crashes saw.
#[derive(Debug, Clone)]
pub struct RandomReport {
    /// Which store.
    pub store: Store,
    /// What decided them.
    pub seed: u64,
    /// How many chains, each on a disk of its own.
    pub chains: u64,
    /// How many processes in all.
    pub lives: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// The broken promise that was found, with all calls that lead to it.
    pub violation: Option<Violation>,
}

impl fmt::Display for RandomReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RandomReport { store, seed, chains, lives, elapsed, .. } = self;
        write!(f, "{store}: seed {seed}: {chains} chains, {lives} processes; ")?;
        write!(f, "{:.1} s", elapsed.as_secs_f64())?;
        match &self.violation {
            Some(violation) => write!(f, "\n{violation}"),
            None => write!(f, "; no violation"),
        }
    }
}

/// Runs so many chains of crashes. Equal seeds give equal chains.
pub fn random(store: Store, seed: u64, chains: u64, sabotage: Option<Sabotage>) -> RandomReport {
    let started = Instant::now();
    let (elapsed, violation) = (Duration::ZERO, None);
    let mut report = RandomReport { store, seed, chains: 0, lives: 0, elapsed, violation };
    let protocol = Protocol::of(store, sabotage);
    while report.chains < chains && report.violation.is_none() {
        let rng = Rng::new(seed, report.chains);
        report.chains += 1;
        Chain::new(rng).run(protocol, &mut report);
    }
    report.elapsed = started.elapsed();
    report
}

struct Chain {
    rng: Rng,
    /// The highest mark that each shard was ever given.
    marks: Vec<u64>,
    state: State,
    history: History,
    after_cut: bool,
    script: Vec<String>,
}

impl Chain {
    fn new(mut rng: Rng) -> Self {
        let shards = 1 + usize::try_from(rng.below(30)).unwrap_or(0);
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
        for _ in 0..2 + self.rng.below(10) {
            let plan = self.plan(protocol);
            let life = live(protocol, &self.state, &self.history, &plan);
            report.lives += 1;
            if let Some(broken) = &life.broken {
                self.tell(&life, life.calls.len());
                let (invariant, what) = (broken.invariant, broken.what.clone());
                report.violation = Some(Violation { invariant, what, script: self.script });
                return;
            }
            self.crash(&life);
        }
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.rng.below(n as u64)).unwrap_or(0)
    }

    fn plan(&mut self, protocol: Protocol) -> Plan {
        let mut saves = Vec::new();
        for _ in 0..=self.below(5) {
            for shard in 0..self.marks.len() {
                // Some stand still, some leap, and one always moves.
                let by =
                    if shard == 0 || self.rng.one_in(3) { 1 + self.rng.below(1 << 30) } else { 0 };
                self.marks[shard] += by;
            }
            saves.push(Arc::from(self.marks.clone()));
        }
        let completed = [0; 3];
        let plan = Plan { saves, completed, fault: None, after_cut: self.after_cut };
        if self.rng.one_in(2) {
            return plan;
        }
        let calls = live(protocol, &self.state, &self.history, &plan).calls;
        if calls.is_empty() {
            return plan;
        }
        let call = self.below(calls.len());
        let made = &calls[call];
        let hows = How::of(made.verb, made.path.starts_with(DIR));
        let how = hows[self.below(hows.len())];
        Plan { fault: Some(Fault { call, how, lasting: false }), ..plan }
    }

    /// Ends the life somewhere, and goes on from one of the disks that may be left.
    fn crash(&mut self, life: &Life) {
        let calls = self.below(life.states.len());
        let state = &life.states[calls];
        if let Some(history) = life.history(calls) {
            self.history = history.clone();
        }
        self.tell(life, calls);
        let rng = RefCell::new(&mut self.rng);
        let below = |n: usize| usize::try_from(rng.borrow_mut().below(n as u64)).unwrap_or(0);
        let images = state.after_power_cut(&|file, _| {
            Arc::new(vec![(file.draw_after_power_cut(&mut |n| below(n)), 1)])
        });
        // Where there are too many to choose from, the process dies and the cache survives.
        let mut images = images.unwrap_or_default();
        let chosen = (!images.is_empty()).then(|| below(images.len()));
        let cut = chosen.map(|chosen| images.swap_remove(chosen).0);
        self.after_cut = cut.is_some() && !self.rng.one_in(3);
        self.state = cut.filter(|_| self.after_cut).unwrap_or_else(|| state.clone());
        self.script.push(if self.after_cut { "-- the power is cut" } else { "-- it dies" }.into());
    }

    fn tell(&mut self, life: &Life, calls: usize) {
        self.script.extend(life.calls.iter().take(calls).map(|call| {
            let how = call.fault.map_or(String::new(), |how| format!(": {how}"));
            format!("{} {}{how}", call.verb, short(&call.path))
        }));
    }
}
