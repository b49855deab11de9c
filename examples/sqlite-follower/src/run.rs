//! One run of the program.
//!
//! 1. Lock the folder, and read the progress of the databases.
//! 2. Start the leader and the follower as child processes.
//! 3. While the leader writes, kill either at random instants and start it again. Meanwhile clients
//!    write on the leader and read their writes on the follower.
//! 4. When all writes, reads and kills are done, order the leader to finish.
//! 5. Then order the follower to finish. The logs no longer change, and it follows each to its end.
//! 6. Compare each replica with its database.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use crate::bar::Bar;
use crate::child::Process;
use crate::cli::{Mutant, RunArgs};
use crate::clients::Clients;
use crate::events::{self, Event, Order};
use crate::folder::{Folder, FolderError};
use crate::kills::Kills;
use crate::launch;
use crate::power_cut;
use crate::progress::Kind;
use crate::report::Report;
use crate::run_error::{RunError, failed};
use crate::verify::compare;

const DATABASES: u64 = 4;
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// After this many kills by others the run fails.
const FOREIGN_KILLS: u64 = 1000;

/// A run in progress.
pub(crate) struct Run<'a> {
    args: &'a RunArgs,
    folder: &'a Folder,
    until: Vec<u64>,
    report: Report,
    clients: Clients,
    follower_kills: Kills,
    leader_kills: Kills,
    events: (Sender<Event>, Receiver<Event>),
    began: Instant,
    rebase: bool,
    foreign_kills: u64,
    bar: Bar,
}

/// Locks the folder that the arguments name.
pub(crate) fn take_folder(args: &RunArgs) -> Result<Folder, FolderError> {
    let (kind, databases) = match &args.load {
        Some(_) => (Kind::Load, 1),
        None => (Kind::Workload, DATABASES),
    };
    Folder::take(args.dir.as_deref(), kind, databases, args.seed)
}

impl<'a> Run<'a> {
    pub(crate) fn new(args: &'a RunArgs, folder: &'a Folder) -> Result<Run<'a>, RunError> {
        let (seed, databases) = (folder.run.seed, folder.run.databases);
        Ok(Run {
            args,
            folder,
            until: launch::targets(args, folder)?, // 1
            report: Report {
                seed,
                databases,
                threads: args.threads,
                store: args.store,
                ..Report::default()
            },
            clients: Clients::new(databases, args.reads),
            follower_kills: Kills::new(args.kills(), seed, 1),
            leader_kills: Kills::new(args.leader_kills(), seed, 2),
            events: mpsc::channel(),
            began: Instant::now(),
            rebase: args.rebase,
            foreign_kills: 0,
            bar: Bar::new(args.json),
        })
    }

    /// Runs until all is written, read, killed and compared.
    pub(crate) fn run(mut self) -> Result<Report, RunError> {
        let mut leader = Some(self.start_leader()?); // 2
        let mut follower = self.start_follower()?;
        let mut finishing = false;
        while !(self.report.leader_is_done() || leader.is_none())
            || !self.follower_kills.are_done()
            || !self.clients.are_done()
        {
            self.read_events(LOOK_EVERY)?;
            let seconds = self.args.seconds;
            let time_is_up = seconds.is_some_and(|s| self.began.elapsed().as_secs() >= s);
            if let Some(process) = leader.as_mut() {
                if time_is_up && self.clients.are_done() && !finishing {
                    finishing = true;
                    // If this fails the leader has ended, which the next check finds.
                    let _ = process.finish();
                }
                if let Some(status) = process.ended().map_err(failed("watch", "leader"))? {
                    self.read_all_events()?;
                    leader = if finishing && status.success() {
                        None
                    } else {
                        self.foreign_kill("leader", status)?;
                        Some(self.start_leader()?)
                    };
                }
            }
            if let Some(status) = follower.ended().map_err(failed("watch", "follower"))? {
                self.foreign_kill("follower", status)?;
                follower = self.start_again(follower)?;
            }
            let fraction = self.fraction();
            if self.follower_kills.is_due(fraction) {
                follower = self.start_again(follower)?; // 3
                self.report.kills += 1;
            }
            if !finishing
                && leader.is_some()
                && self.leader_kills.is_due(fraction)
                && let Some(process) = leader.take()
            {
                let (process, other) = self.kill_leader(process, follower)?;
                (leader, follower) = (Some(process), other);
            }
            self.send_requests(fraction, leader.as_mut(), &mut follower);
            self.bar.show(fraction, &self.report, self.args.kills());
        }
        if let Some(mut leader) = leader {
            leader.finish().map_err(failed("stop", "leader"))?; // 4
            let status = leader.wait().map_err(failed("wait for", "leader"))?;
            if !status.success() {
                return Err(RunError::Stopped { child: "leader", status });
            }
        }
        self.finish_follower(follower)?; // 5
        self.close()
    }

    /// Compares the replicas, and completes the report.
    fn close(mut self) -> Result<Report, RunError> {
        self.bar.set_message("comparing");
        let shards = events::shards(self.folder.run.databases);
        let compared = shards.map(|shard| compare(&self.folder.layout, shard)); // 6
        let verdicts = compared.collect::<Result<_, _>>()?;
        self.bar.end();
        let seconds = self.began.elapsed().as_secs_f64();
        self.report.close(seconds, self.clients.seen(), verdicts);
        let (done, requested) = (self.report.read_your_writes, self.args.reads);
        if done < requested {
            return Err(RunError::TooFewReads { done, requested });
        }
        Ok(self.report)
    }

    /// Sends the due requests of clients to the children. If this fails the child has ended, which
    /// the next check finds, and the clients repeat their requests.
    fn send_requests(
        &mut self,
        fraction: f64,
        mut leader: Option<&mut Process>,
        follower: &mut Process,
    ) {
        for order in self.clients.due(fraction) {
            let _ = match (order, leader.as_mut()) {
                (Order::Write { .. }, Some(leader)) => leader.order(order),
                (Order::Read { .. }, _) => follower.order(order),
                _ => Ok(()),
            };
        }
    }

    /// Kills the leader and starts another. With simulated power cuts, the follower too.
    fn kill_leader(
        &mut self,
        leader: Process,
        mut follower: Process,
    ) -> Result<(Process, Process), RunError> {
        leader.kill().map_err(failed("kill", "leader"))?;
        self.report.leader_kills += 1;
        if self.args.drop_page_cache {
            follower.kill().map_err(failed("kill", "follower"))?;
            self.report.kills += 1;
            self.read_all_events()?;
            power_cut::restore_logs(self.folder)?;
            power_cut::restore_replicas(self.folder)?;
            self.clients.writes_were_lost();
            follower = self.start_follower()?;
        }
        self.read_all_events()?;
        Ok((self.start_leader()?, follower))
    }

    /// Makes the follower reach the end of every log. If it is killed meanwhile, starts another.
    fn finish_follower(&mut self, mut follower: Process) -> Result<(), RunError> {
        loop {
            // If this fails the follower has ended, which the wait reports.
            let _ = follower.finish();
            let status = follower.wait().map_err(failed("wait for", "follower"))?;
            self.read_all_events()?;
            if status.success() {
                return Ok(());
            }
            self.foreign_kill("follower", status)?;
            follower = self.start_follower()?;
        }
    }

    fn fraction(&self) -> f64 {
        let time = self.args.seconds.map_or(0.0, |s| {
            let all = Duration::from_secs(s).as_secs_f64();
            self.began.elapsed().as_secs_f64() / all
        });
        self.report.fraction().max(time.min(1.0))
    }

    fn read_events(&mut self, patience: Duration) -> Result<(), RunError> {
        if let Ok(event) = self.events.1.recv_timeout(patience) {
            self.note(event)?;
        }
        self.read_all_events()
    }

    fn read_all_events(&mut self) -> Result<(), RunError> {
        while let Ok(event) = self.events.1.try_recv() {
            self.note(event)?;
        }
        if self.report.follower_has_started() {
            // A later start must not rebase: the same error then has a new cause.
            self.rebase = false;
        }
        Ok(())
    }

    fn note(&mut self, event: Event) -> Result<(), RunError> {
        self.report.note(event);
        Ok(self.clients.note(event)?)
    }

    /// Counts a kill by another process. A child that ended without a signal has failed.
    fn foreign_kill(&mut self, child: &'static str, status: ExitStatus) -> Result<(), RunError> {
        if status.signal().is_none() {
            return Err(RunError::Stopped { child, status });
        }
        self.foreign_kills += 1;
        if self.foreign_kills > FOREIGN_KILLS {
            return Err(RunError::KilledTooOften { child });
        }
        match child {
            "leader" => self.report.leader_kills += 1,
            _ => self.report.kills += 1,
        }
        Ok(())
    }

    /// Kills the follower and starts another.
    fn start_again(&mut self, follower: Process) -> Result<Process, RunError> {
        follower.kill().map_err(failed("kill", "follower"))?;
        self.read_all_events()?;
        if self.args.drop_page_cache {
            power_cut::restore_replicas(self.folder)?;
        }
        if self.args.mutant == Some(Mutant::IgnoreFloor) {
            // Waits until the log restarts without the follower.
            let (restarts, deadline) =
                (self.report.log_restarts + 8, Instant::now() + Duration::from_secs(5));
            while self.report.log_restarts < restarts
                && !self.report.leader_is_done()
                && Instant::now() < deadline
            {
                self.read_events(LOOK_EVERY)?;
            }
        }
        self.start_follower()
    }

    fn start_leader(&mut self) -> Result<Process, RunError> {
        self.clients.leader_died();
        let events = self.events.0.clone();
        launch::leader(self.args, self.folder, &self.until, events)
            .map_err(failed("start", "leader"))
    }

    fn start_follower(&mut self) -> Result<Process, RunError> {
        self.report.follower_started();
        self.clients.follower_died();
        let events = self.events.0.clone();
        launch::follower(self.args, self.folder, self.rebase, events)
            .map_err(failed("start", "follower"))
    }
}
