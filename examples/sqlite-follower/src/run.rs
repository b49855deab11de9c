//! One run of the program.
//!
//! 1. Read the progress of the databases.
//! 2. Start the leader and the follower as child processes.
//! 3. While the leader writes, kill either at random instants and start it again. Meanwhile clients
//!    write on the leader and read their writes on the follower.
//! 4. When all writes, reads and kills are done, end the leader, by a kill like any other.
//! 5. Order the follower to finish. The logs no longer change, and it follows each to its end.
//! 6. Compare each replica with its database.

use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;
use std::{fs, iter};

use example_support::{Child, Context, End, Error, Kills, Run, rng};
use repl_core::ShardId;

use crate::clients::Clients;
use crate::database::{self, open_existing};
use crate::events::{Event, Order};
use crate::report::{FollowerStart, Report};
use crate::verify::compare;
use crate::{Setup, Task};

const LOOK_EVERY: Duration = Duration::from_millis(2);

/// A due kill waits a random time up to this. Kills that are due together then hit the child at its
/// start, in a base copy or in a save.
const KILLS_WAIT_UP_TO: Duration = Duration::from_millis(60);

/// The parent of the leader and the follower.
pub(crate) struct Parent<'a> {
    setup: Setup,
    /// The number of transactions that each database shall reach.
    until: Vec<u64>,
    run: &'a Run,
    report: Report,
    clients: Clients,
    follower_kills: Kills,
    leader_kills: Kills,
    events: (Sender<Event>, Receiver<Event>),
}

impl<'a> Parent<'a> {
    pub(crate) fn new(setup: Setup, run: &'a Run) -> Result<Parent<'a>, Error> {
        setup.layout.create()?;
        let until = targets(&setup)?; // 1
        let (args, databases) = (&setup.args, setup.shards().count() as u64);
        let (threads, store) = (args.threads, args.store);
        let kills = |count, child| Kills::new(rng(&[setup.seed, child]), count, KILLS_WAIT_UP_TO);
        Ok(Parent {
            until,
            run,
            report: Report { databases, threads, store, ..Report::default() },
            clients: Clients::new(databases, args.reads),
            follower_kills: kills(args.run.kills, 1),
            leader_kills: kills(args.leader_kills, 2),
            events: mpsc::channel(),
            setup,
        })
    }

    /// Runs until all is written, read, killed and compared.
    pub(crate) fn run(mut self) -> Result<(Report, Vec<String>), Error> {
        let mut leader = self.start_leader()?; // 2
        let mut follower = self.start_follower()?;
        let cuts_power = self.setup.args.drop_page_cache;
        while !self.is_done() {
            self.read_events(LOOK_EVERY)?;
            let fraction = self.fraction();
            if self.follower_kills.is_due(fraction) {
                follower.kill()?; // 3
            }
            if self.leader_kills.is_due(fraction) {
                leader.kill()?;
            }
            // Another process may kill them too.
            let leader_ended = leader.ended()?.is_some();
            if leader_ended && cuts_power {
                follower.kill()?; // a power cut of the leader hits both
            }
            let follower_ended = follower.ended()?.is_some();
            if follower_ended && cuts_power {
                self.undo_unsynced(leader_ended)?;
            }
            if follower_ended {
                self.report.kills += 1;
                follower = self.start_follower()?;
            }
            if leader_ended {
                self.report.leader_kills += 1;
                leader = self.start_leader()?;
            }
            for order in self.clients.due(fraction) {
                let is_write = matches!(order, Order::Write { .. });
                if is_write { leader.order(order) } else { follower.order(order) }
            }
            let (done, kills) = (self.report.transactions_done(), self.report.kills);
            let restarts = self.report.log_restarts;
            let text = format!("{done} transactions, {kills} kills, {restarts} log restarts");
            self.run.bar.show(fraction, text);
        }
        leader.kill()?; // 4
        follower.order(Order::Finish); // 5
        while follower.wait()? == End::Killed {
            follower = self.start_follower()?;
            follower.order(Order::Finish);
        }
        self.read_events(Duration::ZERO)?;
        let comparisons = self.setup.shards().map(|shard| compare(&self.setup.layout, shard)); // 6
        let comparisons = comparisons.collect::<Result<_, _>>()?;
        Ok(self.report.close(self.clients.seen, comparisons))
    }

    fn is_done(&self) -> bool {
        self.fraction() >= 1.0
            && self.follower_kills.are_done()
            && self.leader_kills.are_done()
            && self.clients.are_done()
    }

    /// The fraction of the work or of the time that is over.
    fn fraction(&self) -> f64 {
        let time = self.setup.args.seconds.map(|s| Duration::from_secs(s).as_secs_f64());
        let time = time.map_or(0.0, |all| self.run.began.elapsed().as_secs_f64() / all);
        self.report.fraction().max(time.min(1.0))
    }

    /// Simulates a power cut: restores the copies of files as of their last sync by the follower.
    ///
    /// A kill alone does not reveal a missing sync. Of all states that a power cut may leave, this
    /// is the one where everything unsynced is lost. The leader also syncs its log before it ends
    /// it, but by then the follower has synced and applied all of it.
    fn undo_unsynced(&mut self, leader_too: bool) -> Result<(), Error> {
        self.read_events(Duration::ZERO)?;
        let layout = &self.setup.layout;
        for shard in self.setup.shards() {
            let replica = (layout.replica_image(shard), layout.replica(shard));
            let log = (layout.log_image(shard), layout.log(shard));
            for (image, file) in iter::once(replica).chain(leader_too.then_some(log)) {
                if image.exists() {
                    fs::copy(&image, &file).at("restore", &file)?;
                }
            }
        }
        if leader_too {
            self.clients.writes_were_lost();
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
        self.setup.args.rebase &= !self.report.follower_has_started();
        Ok(())
    }

    fn start_leader(&mut self) -> Result<Child, Error> {
        self.read_events(Duration::ZERO)?;
        self.clients.leader_died();
        Child::start(
            "leader",
            &Task::Leader(self.setup.clone(), self.until.clone()),
            self.events.0.clone(),
        )
    }

    fn start_follower(&mut self) -> Result<Child, Error> {
        self.read_events(Duration::ZERO)?;
        self.report.starts.push(FollowerStart::default());
        self.clients.follower_died();
        Child::start("follower", &Task::Follower(self.setup.clone()), self.events.0.clone())
    }
}

/// Adds to the transactions that each database has its share of this run.
fn targets(setup: &Setup) -> Result<Vec<u64>, Error> {
    let (all, databases) = (setup.args.transactions, setup.shards().count() as u64);
    let target = |shard: ShardId| {
        let path = setup.layout.database(shard);
        let mut done = 0;
        if path.exists() {
            done = database::progress(&open_existing(&path)?).at("read", &path)?.done;
        }
        let share = all / databases + u64::from(shard.0 < all % databases);
        Ok(done.saturating_add(share))
    };
    setup.shards().map(target).collect()
}
