//! Runs the suites of remote stores on a server, with records of their own.

mod bucket;
mod postgres;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use repl_checkpoint::{RemoteStore, StoreId};
use repl_harness::race::{self, Config, RaceError};
use repl_harness::suites::{RemoteStorePromise, remote_store_suite};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use self::bucket::Bucket;
use self::postgres::Postgres;
use super::{Check, Examined};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::wording::with_causes;

/// Tells a process of the race which kind of server it has to open.
const VARIABLE: &str = "REPLCTL_DOCTOR_SERVER";

/// A port of another program may take a connection and never answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// A kind of server. To add one, implement this trait, and add a line each to [`examine`] and to
/// [`work_for_a_race`].
trait Server: Sized {
    const NAME: &str;
    /// Where to look if that is not known.
    const LOOK_AT: &str;
    type Store: RemoteStore;

    /// Connects, looks at the settings, and makes a place for the records.
    ///
    /// # Errors
    /// Why it is not known whether the server can be trusted.
    async fn prepare(url: &str) -> Result<(Self, Vec<Check>), String>;

    /// What [`open`](Server::open) needs to know, in one line without a break.
    fn target(&self) -> String;

    /// Opens a store of a record. Called in other processes too.
    fn open(target: &str, record: StoreId) -> Result<Self::Store, String>;

    /// Removes everything that was made.
    async fn clean_up(self) -> Result<(), String>;
}

/// Examines the server at a URL.
pub(super) fn examine(url: &str, shown: &Path, rounds: u64) -> Result<Examined, Failure> {
    let (scheme, _) = url.split_once("://").unwrap_or_default();
    let (checks, look_at) = match scheme {
        "postgres" | "postgresql" => (suites::<Postgres>(url, rounds), Postgres::LOOK_AT),
        "s3" => (suites::<Bucket>(url, rounds), Bucket::LOOK_AT),
        _ => {
            let reason = format!("\"{scheme}\" is no kind of server that is known");
            return Err(Failure::new(Exit::Usage, shown, reason)
                .then("replctl doctor postgres://USER:PASSWORD@HOST/DATABASE")
                .then("replctl doctor s3://BUCKET/PREFIX"));
        }
    };
    let failed = |reason| Failure::new(Exit::Unknown, shown, reason).then(look_at);
    Ok(Examined::new(shown.to_owned(), checks.map_err(failed)?))
}

/// Does the work of a writer and ends, if this process was started for a race.
pub(crate) fn work_for_a_race() {
    match std::env::var(VARIABLE) {
        Ok(kind) if race::is_worker() && kind == Postgres::NAME => work::<Postgres>(),
        Ok(kind) if race::is_worker() && kind == Bucket::NAME => work::<Bucket>(),
        _ => {}
    }
}

fn work<S: Server>() {
    let Ok(runtime) = Runtime::new() else { return };
    race::work(S::open, |task| runtime.block_on(task));
}

/// Runs both suites. However they end, what was made on the server is removed.
fn suites<S: Server>(url: &str, rounds: u64) -> Result<Vec<Check>, String> {
    let runtime = Runtime::new().map_err(|error| format!("failed to start threads: {error}"))?;
    let prepared = runtime.block_on(async { timeout(ANSWERS_WITHIN, S::prepare(url)).await });
    let (server, mut checks) =
        prepared.map_err(|_| format!("no answer within {ANSWERS_WITHIN:?}"))??;
    let target = server.target();
    let found = one_process::<S>(&target, &runtime).and_then(|check| {
        let is_good = check.verdict == super::Verdict::Good;
        checks.push(check);
        // A store that breaks a promise alone need not race.
        if is_good { raced::<S>(&target, rounds).map(Some) } else { Ok(None) }
    });
    let cleaned = runtime.block_on(server.clean_up());
    checks.extend(found?);
    if let Err(error) = cleaned {
        checks.push(Check::warning("cleanup", error));
    }
    Ok(checks)
}

fn one_process<S: Server>(target: &str, runtime: &Runtime) -> Result<Check, String> {
    let records = [(); 2].map(|()| Config::default().record);
    let open = |record| S::open(target, record);
    let name = "one process";
    match remote_store_suite(records, open, |task| runtime.block_on(task)) {
        Ok(_) => Ok(Check::good(name, "every promise held")),
        Err(found) if found.promise == RemoteStorePromise::Works => Err(found.what),
        Err(found) => Ok(Check::broken(name, found.to_string())),
    }
}

fn raced<S: Server>(target: &str, rounds: u64) -> Result<Check, String> {
    let config = Config { rounds, hung_after: Duration::from_secs(60), ..Config::default() };
    let program =
        std::env::current_exe().map_err(|error| format!("no path to replctl: {error}"))?;
    let (writers, processes) = (config.writers, config.processes);
    let command = || {
        let mut command = Command::new(&program);
        command.env(VARIABLE, S::NAME);
        command
    };
    // Drawn on stderr, where that is a terminal.
    let bar = ProgressBar::new(rounds).with_message("rounds of the race");
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos} of {len} {msg}, {eta} left") {
        bar.set_style(style);
    }
    let raced = race::run(&config, target, command, |report| bar.set_position(report.rounds));
    bar.finish_and_clear();
    match raced {
        Ok(report) if report.unclear * 10 > rounds => Err(report.to_string()),
        Ok(report) => {
            let held = format!("{} of {rounds} rounds held", report.rounds);
            let found = format!("{writers} writers in {processes} processes: {held}");
            let more = format!("{found}, and {} more were too much in doubt", report.unclear);
            Ok(Check::good("race", if report.unclear > 0 { more } else { found }))
        }
        Err(RaceError::Violation(found)) => Ok(Check::broken("race", found.to_string())),
        Err(error) => Err(with_causes(&error)),
    }
}
