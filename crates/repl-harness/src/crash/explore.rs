//! Enumerates every crash point and every image. What recovery cannot tell apart is tried once.

mod config;
mod report;
mod script;
mod start;
mod visited;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::disk::{FileNode, State, hash128};
use super::fault::{Fault, FaultKind};
use super::invariant::Violation;
use super::layout::DIR;
use super::mutants::Mutant;
use super::process::{Plan, Trace, run_process};
use super::protocol::{OpenStore, Protocol};
use crate::locked::locked;

pub use self::config::Config;
pub use self::report::{Progress, Report};
use self::script::{Step, script};
use self::start::Start;
use self::visited::{FileContents, Visited};

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
/// an open, no file with `.temp-` in its name may exist. After a save in doubt a process drops the
/// store and opens it again.
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
    let mut frontier = vec![Start::first(&config)];
    let mut crashes = 0;
    while !frontier.is_empty() && !explorer.has_violation() {
        frontier = explorer.level(&frontier, &mut |done| {
            let (images, distinct) = explorer.counts();
            let of = frontier.len();
            on_progress(&Progress { crashes, done, of, images, distinct });
        });
        crashes += 1;
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
    deltas: AtomicU64,
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
            deltas: AtomicU64::new(0),
            not_enumerated: AtomicU64::new(0),
            shortest: Mutex::default(),
        }
    }

    /// Runs every process that begins after some number of crashes. Returns those that begin after
    /// one more.
    fn level(&self, frontier: &[Start], on_progress: &mut dyn FnMut(usize)) -> Vec<Start> {
        let next = AtomicUsize::new(0);
        let found = Mutex::new(Vec::new());
        let work = || {
            let mut mine = Vec::new();
            while let Some(start) = frontier.get(next.fetch_add(1, Relaxed)) {
                self.expand(start, &mut mine);
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
    fn expand(&self, start: &Start, next: &mut Vec<Start>) {
        let plan = start.plan(&self.config);
        let Some(trace) = self.run(start, &plan) else {
            return;
        };
        self.crash(start, &plan, &trace, 0, next);
        if start.faults == 0 || start.depth == self.config.crashes {
            return;
        }
        for (call, made) in trace.calls.iter().enumerate() {
            for kind in FaultKind::of(made.verb, made.path.starts_with(DIR)) {
                let fault = Some(Fault { call, kind: *kind, permanent: false });
                let plan = Plan { fault, ..plan.clone() };
                let Some(trace) = self.run(start, &plan) else { continue };
                self.crash(start, &plan, &trace, call + 1, next);
                let Some(first) = trace.in_doubt else { continue };
                let plan = Plan { other: true, ..plan };
                if let Some(trace) = self.run(start, &plan) {
                    self.crash(start, &plan, &trace, first, next);
                }
            }
        }
    }

    /// Runs one process; `None` if it breaks a promise.
    fn run(&self, start: &Start, plan: &Plan) -> Option<Trace> {
        self.processes.fetch_add(1, Relaxed);
        let trace = run_process(self.protocol, &start.state, &start.history, plan);
        self.deltas.fetch_add(trace.deltas, Relaxed);
        match &trace.broken {
            Some(broken) => {
                self.broken(start, broken, &trace);
                None
            }
            None => Some(trace),
        }
    }

    /// Ends a process before each of its calls from `first` on, and after the last. A reopen counts
    /// as a crash.
    fn crash(
        &self,
        start: &Start,
        plan: &Plan,
        trace: &Trace,
        first: usize,
        next: &mut Vec<Start>,
    ) {
        let faults = start.faults - usize::from(plan.fault.is_some());
        let key = |file: &FileNode, temporary| self.choices.key(file, temporary);
        for (calls, state) in trace.states.iter().enumerate().skip(first) {
            let Some(history) = trace.history(calls) else {
                continue;
            };
            let reopens = usize::from(trace.in_doubt.is_some_and(|doubt| calls > doubt));
            let depth = start.depth + 1 + reopens;
            if depth > self.config.crashes {
                continue;
            }
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
                depth,
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
                    if depth == self.config.crashes {
                        // It is the last process of its chain and need not wait for its level.
                        self.run(&child, &child.plan(&self.config));
                    } else {
                        next.push(child);
                    }
                }
            }
        }
    }

    fn broken(&self, start: &Start, broken: &Violation, trace: &Trace) {
        let before = start.before.as_deref().map_or(0, Step::all_calls);
        let rank = (start.depth, before + trace.calls.len());
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
            deltas: self.deltas.load(Relaxed),
            not_enumerated: self.not_enumerated.load(Relaxed),
            elapsed,
            violation: self.shortest().clone().map(|(_, violation)| violation),
        }
    }
}
