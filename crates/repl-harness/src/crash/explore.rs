//! Enumerates every crash point and every image. What recovery cannot tell apart is tried once.

mod config;
mod report;
mod script;
mod visited;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::disk::{FileNode, State, hash128};
use super::fault::{Fault, FaultKind};
use super::history::History;
use super::invariant::{Broken, Violation};
use super::layout::DIR;
use super::mutants::Mutant;
use super::process::{Plan, Trace, run_process};
use super::protocol::{OpenStore, Protocol};
use crate::locked::locked;

pub use self::config::Config;
pub use self::report::{Progress, Report};
use self::script::{Step, script};
use self::visited::{FileContents, Visited};

/// The situation in which a process begins.
struct Start {
    state: State,
    history: History,
    faults: usize,
    after_cut: bool,
    before: Option<Arc<Step>>,
}

/// Enumerates every crash within the bounds of `config`, of the real protocol or of a mutant.
///
/// `on_progress` is called ten times a second.
pub fn explore(
    config: &Config,
    mutant: Option<Mutant>,
    on_progress: impl FnMut(&Progress),
) -> Report {
    run(*config, Protocol::of(config.store, mutant), on_progress)
}

/// Enumerates every crash of a store of your own, which must reach its disk through
/// [`Disk`](repl_checkpoint::Disk).
///
/// Ignores `config.store` and `config.prune`: what the store makes of bytes is not known, so every
/// image is tried. Keep `config.shards` small: each sector that a save leaves unsynced multiplies
/// the images by three or more.
///
/// The store is held to the promises in docs/crash-model.md. It must lock its directory and refuse
/// a second open with [`OpenStoreError::Locked`](repl_checkpoint::OpenStoreError::Locked). After
/// an open, no file with `.temp-` in its name may exist.
/// ```
/// use repl_checkpoint::FileStore;
/// use repl_harness::crash::{Config, explore_own};
///
/// let small = Config { saves: 2, later_saves: 1, shards: 2, crashes: 1, ..Config::default() };
/// let open = |disk, dir: &_, id| Ok(Box::new(FileStore::open_on(disk, dir, id)?) as Box<_>);
/// let report = explore_own(&small, open, |_| ());
/// assert!(report.violation.is_none(), "{report}");
/// ```
pub fn explore_own(config: &Config, open: OpenStore, on_progress: impl FnMut(&Progress)) -> Report {
    let protocol = Protocol { own: Some(open), ..Protocol::of(config.store, None) };
    run(Config { prune: false, ..*config }, protocol, on_progress)
}

fn run(config: Config, protocol: Protocol, mut on_progress: impl FnMut(&Progress)) -> Report {
    let started = Instant::now();
    let explorer = Explorer::new(config, protocol);
    let mut frontier = vec![Start {
        state: State::with_sectors(config.sector),
        history: History::new(config.shards),
        faults: config.faults,
        after_cut: true,
        before: None,
    }];
    let mut depth = 0;
    while depth <= config.crashes && !frontier.is_empty() && !explorer.has_violation() {
        frontier = explorer.level(depth, &frontier, &mut |done| {
            let (images, distinct) = explorer.counts();
            let of = frontier.len();
            on_progress(&Progress { crashes: depth, done, of, images, distinct });
        });
        depth += 1;
    }
    explorer.report(started.elapsed())
}

struct Explorer {
    config: Config,
    protocol: Protocol,
    points: Visited,
    images_seen: Visited,
    choices: FileContents,
    images: AtomicU64,
    processes: AtomicU64,
    not_enumerated: AtomicU64,
    /// The violation with the fewest crashes and calls, and their numbers.
    shortest: Mutex<Option<((usize, usize), Violation)>>,
}

impl Explorer {
    fn new(config: Config, protocol: Protocol) -> Self {
        Explorer {
            config,
            protocol,
            points: Visited::default(),
            images_seen: Visited::default(),
            choices: FileContents::new(protocol, config.prune),
            images: AtomicU64::new(0),
            processes: AtomicU64::new(0),
            not_enumerated: AtomicU64::new(0),
            shortest: Mutex::default(),
        }
    }

    /// Runs every process that begins after `depth` crashes. Returns those that begin after one
    /// more.
    fn level(
        &self,
        depth: usize,
        frontier: &[Start],
        on_progress: &mut dyn FnMut(usize),
    ) -> Vec<Start> {
        let next = AtomicUsize::new(0);
        let found = Mutex::new(Vec::new());
        let work = || {
            let mut mine = Vec::new();
            while let Some(start) = frontier.get(next.fetch_add(1, Relaxed)) {
                self.expand(start, depth, &mut mine);
            }
            locked(&found).append(&mut mine);
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..self.config.threads.max(1)).map(|_| scope.spawn(work)).collect();
            let mut reported = Instant::now();
            while !threads.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                std::thread::sleep(Duration::from_millis(1));
                if reported.elapsed() >= Duration::from_millis(100) {
                    reported = Instant::now();
                    on_progress(next.load(Relaxed).min(frontier.len()));
                }
            }
        });
        found.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs every process that begins in this situation, and ends each at every call.
    fn expand(&self, start: &Start, depth: usize, next: &mut Vec<Start>) {
        let plan = self.plan(start, depth);
        let Some(trace) = self.run(start, &plan, depth) else {
            return;
        };
        if depth == self.config.crashes {
            return;
        }
        self.crash(start, &plan, &trace, 0, depth, next);
        if start.faults == 0 {
            return;
        }
        for (call, made) in trace.calls.iter().enumerate() {
            for kind in FaultKind::of(made.verb, made.path.starts_with(DIR)) {
                let fault = Some(Fault { call, kind: *kind, permanent: false });
                let plan = Plan { fault, ..plan.clone() };
                if let Some(trace) = self.run(start, &plan, depth) {
                    self.crash(start, &plan, &trace, call + 1, depth, next);
                }
            }
        }
    }

    fn plan(&self, start: &Start, depth: usize) -> Plan {
        let saves = if depth == 0 { self.config.saves } else { self.config.later_saves };
        let mark = |save: usize, shard: usize| {
            // As long as marks get, and above those of every process before.
            (depth as u64 + 1) * 1_000_000_000_000_000_000 + (save * 1000 + shard) as u64
        };
        let marks = |save| (0..self.config.shards).map(|shard| mark(save, shard)).collect();
        let (saves, completed) = ((1..=saves).map(marks).collect(), self.config.completed);
        Plan { saves, completed, fault: None, after_cut: start.after_cut }
    }

    /// Runs one process; `None` if it breaks a promise.
    fn run(&self, start: &Start, plan: &Plan, depth: usize) -> Option<Trace> {
        self.processes.fetch_add(1, Relaxed);
        let trace = run_process(self.protocol, &start.state, &start.history, plan);
        match &trace.broken {
            Some(broken) => {
                self.broken(start, broken, &trace, depth);
                None
            }
            None => Some(trace),
        }
    }

    /// Ends a process before each of its calls from `first` on, and after the last.
    fn crash(
        &self,
        start: &Start,
        plan: &Plan,
        trace: &Trace,
        first: usize,
        depth: usize,
        next: &mut Vec<Start>,
    ) {
        let faults = start.faults - usize::from(plan.fault.is_some());
        let key = |file: &FileNode, temporary| self.choices.key(file, temporary);
        for (calls, state) in trace.states.iter().enumerate().skip(first) {
            let Some(history) = trace.history(calls) else {
                continue;
            };
            let known = (history.key(), depth, faults);
            if !self.points.insert(hash128(&(state.key(&key), known, start.after_cut))) {
                continue;
            }
            let step = Arc::new(Step {
                before: start.before.clone(),
                start: start.state.clone(),
                history: start.history.clone(),
                plan: plan.clone(),
                calls,
            });
            let child = |state: State, after_cut| Start {
                state,
                history: history.clone(),
                faults,
                after_cut,
                before: Some(Arc::clone(&step)),
            };
            let Ok(images) =
                state.after_power_cut(&|file, temporary| self.choices.of(file, temporary))
            else {
                self.not_enumerated.fetch_add(1, Relaxed);
                continue;
            };
            let died = (!state.is_settled()).then(|| (state.clone(), 1, false));
            let cuts = images.into_iter().map(|(image, count)| (image, count, true));
            for (image, count, after_cut) in died.into_iter().chain(cuts) {
                self.images.fetch_add(count, Relaxed);
                if self.images_seen.insert(hash128(&(image.key(&key), known, after_cut))) {
                    let child = child(image, after_cut);
                    if depth + 1 == self.config.crashes {
                        // It is the last process of its chain and need not wait for its level.
                        self.run(&child, &self.plan(&child, depth + 1), depth + 1);
                    } else {
                        next.push(child);
                    }
                }
            }
        }
    }

    fn broken(&self, start: &Start, broken: &Broken, trace: &Trace, depth: usize) {
        let before = start.before.as_deref().map_or(0, Step::all_calls);
        let rank = (depth, before + trace.calls.len());
        let mut shortest = self.shortest();
        if shortest.as_ref().is_none_or(|(other, _)| rank < *other) {
            let script = script(self.protocol, start.before.as_ref(), &start.state, trace);
            *shortest = Some((rank, broken.clone().after(script)));
        }
    }

    fn shortest(&self) -> MutexGuard<'_, Option<((usize, usize), Violation)>> {
        locked(&self.shortest)
    }

    fn has_violation(&self) -> bool {
        self.shortest().is_some()
    }

    fn counts(&self) -> (u64, u64) {
        (self.images.load(Relaxed), self.images_seen.len() as u64)
    }

    fn report(&self, elapsed: Duration) -> Report {
        let (images, distinct) = self.counts();
        Report {
            images,
            distinct,
            contents: self.choices.contents(),
            crash_points: self.points.len() as u64,
            processes: self.processes.load(Relaxed),
            not_enumerated: self.not_enumerated.load(Relaxed),
            elapsed,
            violation: self.shortest().clone().map(|(_, violation)| violation),
        }
    }
}
