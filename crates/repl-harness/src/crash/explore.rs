//! Every crash point, every image, each told-apart one once.

mod config;
mod report;
mod script;
mod seen;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::disk::{FileNode, State, hash128};
use super::fault::{Fault, How};
use super::history::History;
use super::invariant::{Broken, Violation};
use super::life::{Life, Plan, live};
use super::protocol::{DIR, OpenStore, Protocol};
use super::sabotage::Sabotage;

pub use self::config::Config;
pub use self::report::{Progress, Report};
use self::script::{Step, script};
use self::seen::{Choices, Seen};

/// Where a process begins.
struct Node {
    state: State,
    history: History,
    faults: usize,
    after_cut: bool,
    before: Option<Arc<Step>>,
}

/// Enumerates all that `config` bounds, of the right protocol or a wrong one. `on_progress` is
/// called ten times a second.
pub fn explore(
    config: &Config,
    sabotage: Option<Sabotage>,
    on_progress: impl FnMut(&Progress),
) -> Report {
    run(*config, Protocol::of(config.store, sabotage), on_progress)
}

/// The same for a store of your own that reaches its disk through [`Disk`](repl_checkpoint::Disk).
/// `config.store` and `config.prune` do not count: what it makes of bytes is not known, so nothing
/// counts as one that differs. Keep `config.shards` small: each sector that a save leaves unsynced
/// multiplies the images by three or more.
///
/// It is held to what docs/crash-model.md lists, and must lock its directory: a second one is refused
/// with [`OpenStoreError::Locked`](repl_checkpoint::OpenStoreError::Locked). Files with `.temp-` in
/// their names must be gone after it is opened.
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
    let mut frontier = vec![Node {
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
    points: Seen,
    images_seen: Seen,
    choices: Choices,
    images: AtomicU64,
    lives: AtomicU64,
    not_enumerated: AtomicU64,
    /// The violation that the fewest crashes and calls lead to.
    shortest: Mutex<Option<((usize, usize), Violation)>>,
}

impl Explorer {
    fn new(config: Config, protocol: Protocol) -> Self {
        Explorer {
            config,
            protocol,
            points: Seen::default(),
            images_seen: Seen::default(),
            choices: Choices::new(protocol, config.prune),
            images: AtomicU64::new(0),
            lives: AtomicU64::new(0),
            not_enumerated: AtomicU64::new(0),
            shortest: Mutex::default(),
        }
    }

    /// Runs all processes that begin after so many crashes; gives those that begin after one more.
    fn level(
        &self,
        depth: usize,
        frontier: &[Node],
        on_progress: &mut dyn FnMut(usize),
    ) -> Vec<Node> {
        let next = AtomicUsize::new(0);
        let found = Mutex::new(Vec::new());
        let work = || {
            let mut mine = Vec::new();
            while let Some(node) = frontier.get(next.fetch_add(1, Relaxed)) {
                self.expand(node, depth, &mut mine);
            }
            found.lock().unwrap_or_else(PoisonError::into_inner).append(&mut mine);
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..self.config.threads.max(1)).map(|_| scope.spawn(work)).collect();
            let mut told = Instant::now();
            while !threads.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                std::thread::sleep(Duration::from_millis(1));
                if told.elapsed() >= Duration::from_millis(100) {
                    told = Instant::now();
                    on_progress(next.load(Relaxed).min(frontier.len()));
                }
            }
        });
        found.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lives all lives that begin at a node, and cuts each at every call.
    fn expand(&self, node: &Node, depth: usize, next: &mut Vec<Node>) {
        let plan = self.plan(node, depth);
        let Some(life) = self.run(node, &plan, depth) else {
            return;
        };
        if depth == self.config.crashes {
            return;
        }
        self.crash(node, &plan, &life, 0, depth, next);
        if node.faults == 0 {
            return;
        }
        for (call, made) in life.calls.iter().enumerate() {
            for how in How::of(made.verb, made.path.starts_with(DIR)) {
                let fault = Some(Fault { call, how: *how, lasting: false });
                let plan = Plan { fault, ..plan.clone() };
                if let Some(life) = self.run(node, &plan, depth) {
                    self.crash(node, &plan, &life, call + 1, depth, next);
                }
            }
        }
    }

    fn plan(&self, node: &Node, depth: usize) -> Plan {
        let saves = if depth == 0 { self.config.saves } else { self.config.later_saves };
        let mark = |save: usize, shard: usize| {
            // As long as marks get, and above all of the lives before.
            (depth as u64 + 1) * 1_000_000_000_000_000_000 + (save * 1000 + shard) as u64
        };
        let marks = |save| (0..self.config.shards).map(|shard| mark(save, shard)).collect();
        let (saves, completed) = ((1..=saves).map(marks).collect(), self.config.completed);
        Plan { saves, completed, fault: None, after_cut: node.after_cut }
    }

    /// One life; `None` where it breaks a promise.
    fn run(&self, node: &Node, plan: &Plan, depth: usize) -> Option<Life> {
        self.lives.fetch_add(1, Relaxed);
        let life = live(self.protocol, &node.state, &node.history, plan);
        match &life.broken {
            Some(broken) => {
                self.broken(node, broken, &life, depth);
                None
            }
            None => Some(life),
        }
    }

    /// Ends a life before each of its calls from `first` on, and after the last.
    fn crash(
        &self,
        node: &Node,
        plan: &Plan,
        life: &Life,
        first: usize,
        depth: usize,
        next: &mut Vec<Node>,
    ) {
        let faults = node.faults - usize::from(plan.fault.is_some());
        let key = |file: &FileNode, temporary| self.choices.key(file, temporary);
        for (calls, state) in life.states.iter().enumerate().skip(first) {
            let Some(history) = life.history(calls) else {
                continue;
            };
            let known = (history.key(), depth, faults);
            if !self.points.insert(hash128(&(state.key(&key), known, node.after_cut))) {
                continue;
            }
            let step = Arc::new(Step {
                before: node.before.clone(),
                start: node.state.clone(),
                history: node.history.clone(),
                plan: plan.clone(),
                calls,
            });
            let child = |state: State, after_cut| Node {
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
            let cuts = images.into_iter().map(|(image, alike)| (image, alike, true));
            for (image, alike, after_cut) in died.into_iter().chain(cuts) {
                self.images.fetch_add(alike, Relaxed);
                if self.images_seen.insert(hash128(&(image.key(&key), known, after_cut))) {
                    let child = child(image, after_cut);
                    if depth + 1 == self.config.crashes {
                        // Nothing comes after it: it need not wait for its level.
                        self.run(&child, &self.plan(&child, depth + 1), depth + 1);
                    } else {
                        next.push(child);
                    }
                }
            }
        }
    }

    fn broken(&self, node: &Node, broken: &Broken, life: &Life, depth: usize) {
        let before = node.before.as_deref().map_or(0, Step::all_calls);
        let rank = (depth, before + life.calls.len());
        let mut shortest = self.shortest();
        if shortest.as_ref().is_none_or(|(other, _)| rank < *other) {
            let script = script(self.protocol, node.before.as_ref(), &node.state, life);
            let Broken { invariant, what } = broken.clone();
            *shortest = Some((rank, Violation { invariant, what, script }));
        }
    }

    fn shortest(&self) -> MutexGuard<'_, Option<((usize, usize), Violation)>> {
        self.shortest.lock().unwrap_or_else(PoisonError::into_inner)
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
            lives: self.lives.load(Relaxed),
            not_enumerated: self.not_enumerated.load(Relaxed),
            elapsed,
            violation: self.shortest().clone().map(|(_, violation)| violation),
        }
    }
}
