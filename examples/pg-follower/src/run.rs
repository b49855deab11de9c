//! One run: the server, the load, the follower, their kills and crashes, and the comparison.

use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use example_support::{Child, Context, Error, Kills, Run, fraction, rng};
use pgwire_replication::Lsn;

use crate::events::Event;
use crate::load::{Load, prepare};
use crate::postgres::TARGET;
use crate::probe::{Probe, Seen};
use crate::report::Report;
use crate::server::Server;
use crate::source::DATABASE;
use crate::sqlite::Sqlite;
use crate::verify::Copy;
use crate::{Args, Keep, Setup};

/// How often the server is asked how far all is.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A due kill waits a random time up to this: the first ones then hit the copy, or a start.
const KILLS_WAIT_UP_TO: Duration = Duration::from_millis(400);

/// The server crashes under load, after this fraction of it.
const NO_CRASH_BEFORE: f64 = 0.2;

/// One kill in so many may hit a follower that has just started.
const EARLY_KILLS: u64 = 4;

/// How long the follower may take to confirm the end of the log.
const CONFIRMS_WITHIN: Duration = Duration::from_secs(120);

/// A follower that copies says nothing meanwhile. One that is silent for longer hangs.
const SILENT: Duration = Duration::from_secs(600);

/// How long the comparison may take.
const COMPARES_WITHIN: Duration = Duration::from_secs(600);

/// The parent of the server, the load and the follower.
pub(crate) struct Parent<'a> {
    setup: Setup,
    run: &'a Run,
    server: Server,
    probe: Probe,
    load: Load,
    kills: Kills,
    crashes: Kills,
    events: (Sender<Event>, Receiver<Event>),
    /// When the last event came.
    heard: Instant,
    report: Report,
    /// The streams and commits of the followers before this one.
    streams_before: u64,
    commits_before: u64,
}

impl<'a> Parent<'a> {
    /// Starts the server, and creates what is followed.
    pub(crate) fn new(args: Args, run: &'a Run) -> Result<Self, Error> {
        let root = run.folder.root.clone();
        run.bar.show(0.0, "creates the server".to_owned());
        let server = Server::create(&root, args.postgres.as_deref())?;
        run.bar.show(0.0, "creates the tables".to_owned());
        prepare(&server, args.scale, (args.keep == Keep::Postgres).then_some(TARGET))?;
        let address = server.address.clone();
        let probe = Probe::new(&address).context(|| "cannot start a runtime".to_owned())?;
        let load = Load::new(&root, &args)?;
        let kills = |count, of| Kills::new(rng(&[run.seed, of]), count, KILLS_WAIT_UP_TO);
        Ok(Parent {
            run,
            server,
            probe,
            load,
            kills: kills(args.run.kills, 1),
            crashes: kills(args.server_crashes, 2),
            events: mpsc::channel(),
            heard: Instant::now(),
            report: Report::new(args.keep),
            streams_before: 0,
            commits_before: 0,
            setup: Setup { args, root, address },
        })
    }

    /// Runs until all is written, followed and compared.
    pub(crate) fn run(mut self) -> Result<(Report, Vec<String>), Error> {
        let mut follower = self.start_follower()?;
        let (mut seen, mut looked_at) = (None, Instant::now());
        let log = self.setup.root.join("pgbench.log");
        loop {
            self.read_events();
            if self.heard.elapsed() > SILENT {
                return Err(format!("the follower has reported nothing for {SILENT:?}").into());
            }
            if looked_at.elapsed() >= LOOK_EVERY {
                seen = self.probe.look();
                looked_at = Instant::now();
                self.show(seen);
            }
            let (written, is_copied) = (transactions(seen), self.report.has_copied());
            let is_written = self.load.drive(&self.server, written, is_copied, &log)?;
            let done = self.done(seen);
            if is_written && self.kills.are_done() && self.crashes.are_done() {
                break;
            }
            // Most kills wait until this follower has committed something: they hit its work.
            let is_early = self.report.follower_kills.is_multiple_of(EARLY_KILLS);
            let may_kill = is_early || is_written || self.report.commits > self.commits_before;
            if may_kill && self.kills.is_due(done) {
                follower.kill()?;
                self.report.follower_kills += 1;
                follower = self.start_follower()?;
            } else if follower.ended()?.is_some() {
                return Err("the follower ended by itself: see its error above".into());
            }
            if self.crashes.is_due((done - NO_CRASH_BEFORE) / (1.0 - NO_CRASH_BEFORE)) {
                self.server.crash()?;
                self.report.server_crashes += 1;
                seen = None;
            }
        }
        self.wait_until_confirmed(&mut follower)?;
        // Once more, now that the follower has confirmed what holds none of its transactions: it
        // must find that again, and drop a slot that no follower knows.
        follower.kill()?;
        if !self.probe.leave_slot() {
            return Err("the server makes no second slot".into());
        }
        follower = self.start_follower()?;
        let end = self.wait_until_confirmed(&mut follower)?;
        follower.kill()?; // it has no end of its own
        self.read_events();
        let seen = self.probe.look().ok_or("the server does not answer")?;
        (self.report.transactions, self.report.slots) = (seen.transactions, seen.slots);
        self.report.confirmed = end.to_string();
        self.compare()
    }

    /// How much of the load is written and may be followed. Until the copy is made, only the first
    /// kill is due.
    fn done(&self, seen: Option<Seen>) -> f64 {
        let written = transactions(seen);
        let written = written.map_or(0.0, |n| fraction(n, self.setup.args.transactions));
        if self.report.has_copied() { written.min(1.0) } else { 0.0 }
    }

    /// Waits until the follower has started a stream, and confirmed the end of the log: all that
    /// the load has written, and a checkpoint of the server above it.
    fn wait_until_confirmed(&mut self, follower: &mut Child) -> Result<Lsn, Error> {
        let deadline = Instant::now() + CONFIRMS_WITHIN;
        let (streams, mut end) = (self.streams_before, None);
        while Instant::now() < deadline {
            std::thread::sleep(LOOK_EVERY);
            self.read_events();
            if follower.ended()?.is_some() {
                return Err("the follower ended by itself: see its error above".into());
            }
            if end.is_none() && !self.probe.checkpoint() {
                continue;
            }
            let seen = self.probe.look();
            self.show(seen);
            let Some(seen) = seen else { continue };
            // In mode 2 the follower itself writes, so the end moves on.
            let is_confirmed = *end.get_or_insert(seen.end) <= seen.confirmed;
            if is_confirmed && self.report.streams > streams {
                return Ok(seen.confirmed);
            }
        }
        Err(format!("the follower has not confirmed the log within {CONFIRMS_WITHIN:?}").into())
    }

    fn compare(mut self) -> Result<(Report, Vec<String>), Error> {
        self.run.bar.show(1.0, "compares every row".to_owned());
        let address = &self.setup.address;
        let copy = match self.setup.args.keep {
            Keep::Sqlite => Copy::Sqlite(Sqlite::open(&self.setup.copy())?),
            Keep::Postgres => Copy::Postgres(address),
        };
        let compared = async {
            let mut client = address.connect(DATABASE).await?;
            copy.compare(&mut client).await
        };
        let timed = async { tokio::time::timeout(COMPARES_WITHIN, compared).await };
        let compared = self.probe.block_on(timed);
        self.report.tables = compared.map_err(|_| "the comparison takes too long")??;
        Ok(self.report.close(&self.setup.args))
    }

    fn start_follower(&mut self) -> Result<Child, Error> {
        self.read_events();
        (self.streams_before, self.commits_before) = (self.report.streams, self.report.commits);
        Child::start("follower", &self.setup, self.events.0.clone())
    }

    fn read_events(&mut self) {
        // A short wait, as the caller loops.
        let first = self.events.1.recv_timeout(Duration::from_millis(2)).ok();
        let events: Vec<Event> = first.into_iter().chain(self.events.1.try_iter()).collect();
        if !events.is_empty() {
            self.heard = Instant::now();
        }
        for event in events {
            self.report.note(event);
        }
    }

    fn show(&self, seen: Option<Seen>) {
        let Report { follower_kills: kills, server_crashes: crashes, .. } = self.report;
        let so_far = format!("{kills} kills, {crashes} server crashes");
        let Some(Seen { transactions, end, confirmed, .. }) = seen else {
            return self.run.bar.show(0.0, format!("the server is down, {so_far}"));
        };
        let behind = end.0.saturating_sub(confirmed.0) / 1024;
        let text = format!("{transactions} transactions, {behind} kB behind, {so_far}");
        self.run.bar.show(fraction(transactions, self.setup.args.transactions).min(1.0), text);
    }
}

fn transactions(seen: Option<Seen>) -> Option<u64> {
    seen.map(|seen| seen.transactions)
}

impl Setup {
    /// The SQLite file of mode 1.
    pub(crate) fn copy(&self) -> PathBuf {
        self.root.join("copy.sqlite")
    }
}
