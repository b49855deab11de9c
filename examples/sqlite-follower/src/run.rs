//! What happens in one run?
//!
//! 1. Take the folder, and ask the databases how far they are.
//! 2. Start the leader and the follower, as processes of their own.
//! 3. While the leader writes: kill either at random instants, and start it again; and have clients
//!    write on the leader and read that on the follower.
//! 4. When all is written and read and all kills are done, have the leader finish.
//! 5. Then have the follower finish: the logs stand still, and it follows each to its end.
//! 6. Compare each replica with its database.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use crate::bar::Bar;
use crate::child::Process;
use crate::cli::{RunArgs, Sabotage};
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

/// Deaths by a signal that was not ours, after which something is wrong with the machine.
const FOREIGN_KILLS: u64 = 1000;

/// One run on its way.
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

/// Takes the folder that the arguments ask for.
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
            until: launch::how_far_to_go(args, folder)?, // 1
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

    /// Runs to the end.
    pub(crate) fn run(mut self) -> Result<Report, RunError> {
        let mut leader = Some(self.start_leader()?); // 2
        let mut follower = self.start_follower()?;
        let mut told_to_finish = false;
        while !(self.report.leader_is_done() || leader.is_none())
            || !self.follower_kills.are_done()
            || !self.clients.are_done()
        {
            self.hear(LOOK_EVERY)?;
            let seconds = self.args.seconds;
            let time_is_up = seconds.is_some_and(|s| self.began.elapsed().as_secs() >= s);
            if let Some(process) = leader.as_mut() {
                if time_is_up && self.clients.are_done() && !told_to_finish {
                    told_to_finish = true;
                    // If it cannot be told it has ended, which is seen next.
                    let _ = process.finish();
                }
                if let Some(status) = process.ended().map_err(failed("watch", "leader"))? {
                    self.hear_all()?;
                    leader = if told_to_finish && status.success() {
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
            if !told_to_finish
                && leader.is_some()
                && self.leader_kills.is_due(fraction)
                && let Some(process) = leader.take()
            {
                let (process, other) = self.kill_leader(process, follower)?;
                (leader, follower) = (Some(process), other);
            }
            self.ask_for_clients(fraction, leader.as_mut(), &mut follower);
            self.bar.show(fraction, &self.report, self.args.kills());
        }
        if let Some(mut leader) = leader {
            leader.finish().map_err(failed("stop", "leader"))?; // 4
            let status = leader.wait().map_err(failed("wait for", "leader"))?;
            if !status.success() {
                return Err(RunError::Stopped { who: "leader", status });
            }
        }
        self.finish_follower(follower)?; // 5
        self.close()
    }

    /// Compares, and sums up.
    fn close(mut self) -> Result<Report, RunError> {
        self.bar.say("comparing");
        let shards = events::shards(self.folder.run.databases);
        let compared = shards.map(|shard| compare(&self.folder.layout, shard)); // 6
        let verdicts = compared.collect::<Result<_, _>>()?;
        self.bar.end();
        let seconds = self.began.elapsed().as_secs_f64();
        self.report.close(seconds, self.clients.seen(), verdicts);
        let (done, asked) = (self.report.read_your_writes, self.args.reads);
        if done < asked {
            return Err(RunError::TooFewReads { done, asked });
        }
        Ok(self.report)
    }

    /// What clients ask for goes to those who answer. Where one has ended that is seen next, and
    /// the clients ask again.
    fn ask_for_clients(
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

    /// Kills the leader and starts another; where power cuts are played, the follower too.
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
            self.hear_all()?;
            power_cut::strike_logs(self.folder)?;
            power_cut::strike_replicas(self.folder)?;
            self.clients.writes_were_lost();
            follower = self.start_follower()?;
        }
        self.hear_all()?;
        Ok((self.start_leader()?, follower))
    }

    /// Has the follower reach the end of every log; one that is killed meanwhile begins again.
    fn finish_follower(&mut self, mut follower: Process) -> Result<(), RunError> {
        loop {
            // If it cannot be told it has ended, which is seen next.
            let _ = follower.finish();
            let status = follower.wait().map_err(failed("wait for", "follower"))?;
            self.hear_all()?;
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

    fn hear(&mut self, patience: Duration) -> Result<(), RunError> {
        if let Ok(event) = self.events.1.recv_timeout(patience) {
            self.note(event)?;
        }
        self.hear_all()
    }

    fn hear_all(&mut self) -> Result<(), RunError> {
        while let Ok(event) = self.events.1.try_recv() {
            self.note(event)?;
        }
        if self.report.follower_has_begun() {
            // From here on the same trouble is a new one.
            self.rebase = false;
        }
        Ok(())
    }

    fn note(&mut self, event: Event) -> Result<(), RunError> {
        self.report.note(event);
        Ok(self.clients.note(event)?)
    }

    /// Somebody else may kill a child as well as we; one that ends by itself has something to say.
    fn foreign_kill(&mut self, who: &'static str, status: ExitStatus) -> Result<(), RunError> {
        if status.signal().is_none() {
            return Err(RunError::Stopped { who, status });
        }
        self.foreign_kills += 1;
        if self.foreign_kills > FOREIGN_KILLS {
            return Err(RunError::KilledTooOften { who });
        }
        match who {
            "leader" => self.report.leader_kills += 1,
            _ => self.report.kills += 1,
        }
        Ok(())
    }

    /// Kills the follower and starts another.
    fn start_again(&mut self, follower: Process) -> Result<Process, RunError> {
        follower.kill().map_err(failed("kill", "follower"))?;
        self.hear_all()?;
        if self.args.drop_page_cache {
            power_cut::strike_replicas(self.folder)?;
        }
        if self.args.sabotage == Some(Sabotage::IgnoreFloor) {
            // Long enough for frames to vanish behind it.
            let (restarts, deadline) =
                (self.report.log_restarts + 8, Instant::now() + Duration::from_secs(5));
            while self.report.log_restarts < restarts
                && !self.report.leader_is_done()
                && Instant::now() < deadline
            {
                self.hear(LOOK_EVERY)?;
            }
        }
        self.start_follower()
    }

    fn start_leader(&mut self) -> Result<Process, RunError> {
        self.clients.leader_died();
        let told = self.events.0.clone();
        launch::leader(self.args, self.folder, &self.until, told).map_err(failed("start", "leader"))
    }

    fn start_follower(&mut self) -> Result<Process, RunError> {
        self.report.follower_started();
        self.clients.follower_died();
        let told = self.events.0.clone();
        launch::follower(self.args, self.folder, self.rebase, told)
            .map_err(failed("start", "follower"))
    }
}
