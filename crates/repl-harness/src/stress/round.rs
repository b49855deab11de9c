//! The state that the threads of one round share.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use repl_core::{SeqNo, ShardId};

use super::checker::Checker;
use super::config::Config;
use super::error::StressError;
use super::faults::Faults;
use super::held::Held;
use super::ledger::Ledger;
use super::marks::{Gone, LastRound, marks, on_disk};
use super::recovered::between;
use super::saves::{Begun, Saves, stays_gone};
use super::shards::shards;
use super::subject::Subject;
use super::watch::{OpenWait, Watch, Watched};
use super::windows::Open;
use crate::locked::locked;

/// The shared state of one round.
pub(crate) struct Round<F: Faults> {
    pub(crate) config: Config,
    pub(crate) dir: PathBuf,
    pub(crate) number: u64,
    pub(crate) subject: Subject<F>,
    pub(crate) ledger: Ledger,
    pub(crate) saves: Mutex<Saves>,
    /// Checkpoints that have begun, for any thread to continue.
    pub(crate) attempts: Mutex<Vec<Begun>>,
    /// The open window of each shard. Only shards of [`WINDOWS`](super::shards::WINDOWS) have one.
    pub(crate) windows: Vec<Mutex<Option<Arc<Open>>>>,
    pub(crate) watch: Watch,
    /// The first error.
    pub(crate) broken: Mutex<Option<StressError>>,
    pub(crate) stop: AtomicBool,
    pub(crate) operations: AtomicU64,
    pub(crate) acknowledged: AtomicU64,
}

impl<F: Faults> Round<F> {
    /// Recovers, and checks that this finds what the round before saved.
    pub(crate) fn open(
        config: &Config,
        dir: &Path,
        number: u64,
        last: &LastRound,
    ) -> Result<Arc<Self>, StressError> {
        let kinds = shards();
        let shards: Vec<ShardId> = kinds.iter().map(|(shard, _)| *shard).collect();
        let seed = config.seed;
        let subject = Subject::open(dir, &shards, seed)?;
        let ledger = Ledger::new(&kinds);
        let checker = Checker { subject: &subject, ledger: &ledger, seed };
        for (_, saved) in on_disk(dir)? {
            stays_gone(checker, &last.gone, &saved)?;
        }
        let recovered = subject.state.snapshot();
        let found = marks(&recovered);
        between(checker, last, &found)?;
        for (shard, (incarnation, completed)) in &found {
            let Some(shard) = ledger.shard(*shard) else { continue };
            locked(&shard.changing).newest = Some(*incarnation);
            shard.change_begins();
            shard.change_ends(Some(*incarnation));
            checker.recovered(shard, *incarnation, completed)?;
        }
        Ok(Arc::new(Round {
            config: config.clone(),
            dir: dir.to_owned(),
            number,
            subject,
            ledger,
            // An incarnation that was never saved may be used again by this process.
            saves: Mutex::new(Saves::after(LastRound { gone: Gone::new(), ..last.clone() })),
            attempts: Mutex::default(),
            windows: kinds.iter().map(|_| Mutex::default()).collect(),
            watch: Watch::new(config.hung_after),
            broken: Mutex::default(),
            stop: AtomicBool::new(false),
            operations: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
        }))
    }

    pub(crate) fn checker(&self) -> Checker<'_, F> {
        Checker { subject: &self.subject, ledger: &self.ledger, seed: self.config.seed }
    }

    pub(crate) fn close(&self) {
        self.ledger.closing.store(true, Ordering::SeqCst);
        self.subject.state.close();
        self.ledger.closed.store(true, Ordering::SeqCst);
    }

    /// Returns how many waits should have ended by now. Fails the round if one has hung too long.
    pub(crate) fn look(&self) -> usize {
        let due = self.watch.look(&self.ledger, self.config.seed);
        due.unwrap_or_else(|violation| {
            self.fail(violation.into());
            0
        })
    }

    pub(crate) fn is_broken(&self) -> bool {
        locked(&self.broken).is_some()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Ends the round for all threads.
    pub(crate) fn fail(&self, error: StressError) {
        locked(&self.broken).get_or_insert(error);
        self.stop.store(true, Ordering::Relaxed);
    }

    /// The seed of a thread, and a stream of it that no other thread of any round uses.
    pub(crate) fn stream(&self, thread: u64) -> (u64, u64) {
        (self.config.seed, self.number << 16 | thread)
    }

    pub(crate) fn did(&self, operations: u64) {
        self.operations.fetch_add(operations, Ordering::Relaxed);
    }

    /// Watches a wait on one incarnation until the returned value is dropped. Must be called before
    /// the wait begins.
    pub(crate) fn watched(
        &self,
        doing: &'static str,
        held: &Held,
        seqno: SeqNo,
        timeout: Option<Duration>,
    ) -> Watched<'_> {
        self.watch.begins(OpenWait {
            doing,
            handle: Some(held.handle.clone()),
            record: Arc::clone(&held.record),
            seqno,
            until: timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
        })
    }
}
