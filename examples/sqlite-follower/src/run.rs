//! One run of the program.
//!
//! 1. Read the progress of the databases.
//! 2. Start the leader and the follower as child processes.
//! 3. While the leader writes, kill either at random instants and start it again. Meanwhile clients
//!    write on the leader and read their writes on the follower.
//! 4. When all writes, reads and kills are done, end the leader, by a kill like any other.
//! 5. Order the follower to finish. The logs no longer change, and it follows each to its end.
//! 6. Compare each replica with its database.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use example_support::{Bar, Child, Context, End, Error, Kills, rng};
use repl_core::ShardId;
use serde::{Deserialize, Serialize};

use crate::cli::{Mutant, RunArgs};
use crate::clients::Clients;
use crate::database::open_existing;
use crate::events::{self, Event, Order};
use crate::layout::Layout;
use crate::report::{FollowerStart, Report};
use crate::verify::compare;
use crate::{Task, database, follower, leader};

const DATABASES: u64 = 4;
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A due kill waits a random time up to this. Kills that are due together then hit the child at its
/// start, in a base copy or in a save.
const KILLS_WAIT_UP_TO: Duration = Duration::from_millis(60);

type PathOf = fn(&Layout, ShardId) -> PathBuf;

/// What a folder was made for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Settings {
    is_load: bool,
    seed: u64,
    /// The store id of the checkpoints of this folder. It prevents the use of those of another.
    store: u128,
}

impl Settings {
    pub(crate) fn new(args: &RunArgs) -> Settings {
        let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
        Settings { is_load: args.load.is_some(), seed, store: fastrand::u128(..) }
    }

    pub(crate) fn check(&self, args: &RunArgs, root: &Path) -> Result<(), Error> {
        if self.is_load == args.load.is_some() {
            return Ok(());
        }
        let found = if self.is_load { "--load" } else { "a workload" };
        Err(format!("{} was made for {found}: give another --dir", root.display()).into())
    }
}

/// A run in progress.
pub(crate) struct Run<'a> {
    args: &'a RunArgs,
    leader: leader::Task,
    follower: follower::Task,
    report: Report,
    clients: Clients,
    follower_kills: Kills,
    leader_kills: Kills,
    events: (Sender<Event>, Receiver<Event>),
    began: Instant,
    bar: Bar,
}

impl<'a> Run<'a> {
    pub(crate) fn new(
        args: &'a RunArgs,
        root: &Path,
        settings: &Settings,
    ) -> Result<Run<'a>, Error> {
        let layout = Layout(root.to_owned());
        layout.create()?;
        let seed = args.seed.unwrap_or(settings.seed);
        let databases = if args.load.is_some() { 1 } else { DATABASES };
        let kills = |count, child| Kills::new(rng(&[seed, child]), count, KILLS_WAIT_UP_TO);
        let (threads, store) = (args.threads, args.store);
        let leader = leader::Task {
            layout: layout.clone(),
            seed,
            until: targets(args.transactions(), databases, &layout)?, // 1
            log_frames: args.log_frames,
            load: args.load.clone(),
            ignore_floor: args.mutant == Some(Mutant::IgnoreFloor),
        };
        let follower = follower::Task {
            layout,
            store,
            store_id: settings.store,
            databases,
            threads,
            is_generated: args.load.is_none(),
            rebase: args.rebase,
            keep_images: args.drop_page_cache,
            mutant: args.mutant,
        };
        Ok(Run {
            args,
            leader,
            follower,
            report: Report { seed, databases, threads, store, ..Report::default() },
            clients: Clients::new(databases, args.reads),
            follower_kills: kills(args.kills(), 1),
            leader_kills: kills(args.leader_kills(), 2),
            events: mpsc::channel(),
            began: Instant::now(),
            bar: Bar::new(args.json),
        })
    }

    /// Runs until all is written, read, killed and compared.
    pub(crate) fn run(mut self) -> Result<Report, Error> {
        let mut leader = self.start_leader()?; // 2
        let mut follower = self.start_follower()?;
        while !self.is_done() {
            self.read_events(LOOK_EVERY)?;
            // Another process may kill them too.
            if leader.ended()?.is_some() {
                self.report.leader_kills += 1;
                leader = self.start_leader()?;
            }
            if follower.ended()?.is_some() {
                self.report.kills += 1;
                follower = self.start_follower()?;
            }
            let fraction = self.fraction();
            if self.follower_kills.is_due(fraction) {
                follower = self.kill_follower(follower)?; // 3
            }
            if self.leader_kills.is_due(fraction) {
                (leader, follower) = self.kill_leader(leader, follower)?;
            }
            for order in self.clients.due(fraction) {
                let is_write = matches!(order, Order::Write { .. });
                if is_write { leader.order(order) } else { follower.order(order) }
            }
            let (done, kills) = (self.report.transactions_done(), self.report.kills);
            let restarts = self.report.log_restarts;
            let text = format!("{done} transactions, {kills} kills, {restarts} log restarts");
            self.bar.show(fraction, text);
        }
        leader.kill()?; // 4
        follower.order(Order::Finish); // 5
        while follower.wait()? == End::Killed {
            follower = self.start_follower()?;
            follower.order(Order::Finish);
        }
        self.read_events(Duration::ZERO)?;
        let shards = events::shards(self.report.databases);
        let verdicts = shards.map(|shard| compare(&self.leader.layout, shard)); // 6
        let verdicts = verdicts.collect::<Result<_, _>>()?;
        self.report.close(self.began.elapsed().as_secs_f64(), self.clients.seen, verdicts);
        Ok(self.report)
    }

    fn is_done(&self) -> bool {
        self.fraction() >= 1.0
            && self.follower_kills.are_done()
            && self.leader_kills.are_done()
            && self.clients.are_done()
    }

    /// The fraction of the work or of the time that is over.
    fn fraction(&self) -> f64 {
        let time = self.args.seconds.map(|s| Duration::from_secs(s).as_secs_f64());
        let time = time.map_or(0.0, |all| self.began.elapsed().as_secs_f64() / all);
        self.report.fraction().max(time.min(1.0))
    }

    /// Kills the follower and starts another.
    fn kill_follower(&mut self, follower: Child) -> Result<Child, Error> {
        follower.kill()?;
        self.report.kills += 1;
        if self.args.drop_page_cache {
            self.restore(Layout::replica_image, Layout::replica)?;
        }
        self.start_follower()
    }

    /// Kills the leader and starts another. A simulated power cut hits the follower too.
    fn kill_leader(&mut self, leader: Child, mut follower: Child) -> Result<(Child, Child), Error> {
        leader.kill()?;
        self.report.leader_kills += 1;
        if self.args.drop_page_cache {
            follower.kill()?;
            self.report.kills += 1;
            self.read_events(Duration::ZERO)?;
            // The leader also syncs its log before it ends it, but by then the follower has synced
            // and applied all of it.
            self.restore(Layout::log_image, Layout::log)?;
            self.restore(Layout::replica_image, Layout::replica)?;
            self.clients.writes_were_lost();
            follower = self.start_follower()?;
        }
        Ok((self.start_leader()?, follower))
    }

    /// Simulates a power cut: restores the copies of files as of their last sync by the follower.
    ///
    /// A kill alone does not reveal a missing sync. Of all states that a power cut may leave, this
    /// is the one where everything unsynced is lost.
    fn restore(&self, image: PathOf, file: PathOf) -> Result<(), Error> {
        for shard in events::shards(self.report.databases) {
            let (image, file) =
                (image(&self.leader.layout, shard), file(&self.leader.layout, shard));
            if image.exists() {
                let restored = fs::copy(&image, &file);
                restored.context(|| format!("cannot restore {}", file.display()))?;
            }
        }
        Ok(())
    }

    fn read_events(&mut self, patience: Duration) -> Result<(), Error> {
        let first = self.events.1.recv_timeout(patience).ok();
        let events: Vec<Event> = first.into_iter().chain(self.events.1.try_iter()).collect();
        for event in events {
            self.report.note(event);
            self.clients.note(event)?;
        }
        // A later start must not rebase: the same error then has a new cause.
        self.follower.rebase &= !self.report.follower_has_started();
        Ok(())
    }

    fn start_leader(&mut self) -> Result<Child, Error> {
        self.read_events(Duration::ZERO)?;
        self.clients.leader_died();
        Child::start("leader", &Task::Leader(self.leader.clone()), self.events.0.clone())
    }

    fn start_follower(&mut self) -> Result<Child, Error> {
        self.read_events(Duration::ZERO)?;
        self.report.starts.push(FollowerStart::default());
        self.clients.follower_died();
        Child::start("follower", &Task::Follower(self.follower.clone()), self.events.0.clone())
    }
}

/// The number of transactions that each database shall reach: those that it has, and its share.
fn targets(all: u64, databases: u64, layout: &Layout) -> Result<Vec<u64>, Error> {
    let target = |shard: ShardId| {
        let path = layout.database(shard);
        let mut done = 0;
        if path.exists() {
            let read = database::progress(&open_existing(&path)?);
            done = read.context(|| format!("cannot read {}", path.display()))?.done;
        }
        let share = all / databases + u64::from(shard.0 < all % databases);
        Ok(done.saturating_add(share))
    };
    events::shards(databases).map(target).collect()
}
