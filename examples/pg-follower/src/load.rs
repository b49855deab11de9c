//! The load: `pgbench`, which fails at each crash of the server, and is started again.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use example_support::{Context, Error};

use crate::server::{Server, finish};
use crate::source::{DATABASE, PUBLICATION, USER};

/// The connections of `pgbench`.
const CLIENTS: u64 = 8;

/// How long a failed `pgbench` waits before it is started again.
const WAIT: Duration = Duration::from_millis(200);

/// `pgbench` makes no key for its history.
const PREPARE: &str = "alter table pgbench_history
    add column id bigint generated always as identity primary key";

/// Creates the tables, and the publication of them.
pub(crate) fn prepare(server: &Server, scale: u32, target: Option<&str>) -> Result<(), Error> {
    let run = |program: &str, database: &str, args: &[&str]| {
        let mut command = client(server, program);
        command.args(args).arg(database);
        finish(command, program)
    };
    run("createdb", DATABASE, &[])?;
    run("pgbench", DATABASE, &["-i", "-q", "-s", &scale.to_string()])?;
    let publication = format!("create publication {PUBLICATION} for tables in schema public");
    run("psql", DATABASE, &["-v", "ON_ERROR_STOP=1", "-q", "-c", PREPARE, "-c", &publication])?;
    target.map_or(Ok(()), |target| run("createdb", target, &[]))
}

fn client(server: &Server, program: &str) -> Command {
    let mut command = server.program(program);
    let port = server.address.port.to_string();
    command.args(["-h", "127.0.0.1", "-U", USER, "-p", &port]);
    command
}

/// The load of a run. Dropping it stops `pgbench`.
pub(crate) struct Load {
    running: Option<Child>,
    again_at: Instant,
    target: u64,
    rate: Option<u32>,
}

impl Load {
    /// A load of so many transactions, and of so many a second.
    pub(crate) fn new(target: u64, rate: Option<u32>) -> Load {
        Load { running: None, again_at: Instant::now(), target, rate }
    }

    /// Starts `pgbench` if it does not run and there is more to do. `done` is how many transactions
    /// are committed. Most of it waits for the copy. Returns whether all is done.
    pub(crate) fn drive(
        &mut self,
        server: &Server,
        done: Option<u64>,
        is_copied: bool,
        log: &Path,
    ) -> Result<bool, Error> {
        if let Some(running) = &mut self.running {
            let ended = running.try_wait().context(|| "cannot watch pgbench".to_owned())?;
            if ended.is_none() {
                return Ok(false);
            }
            self.running = None;
            self.again_at = Instant::now() + WAIT; // the count of what is done is then newer
            return Ok(false);
        }
        let Some(done) = done.filter(|_| Instant::now() >= self.again_at) else { return Ok(false) };
        if done >= self.target {
            return Ok(true);
        }
        let until = if is_copied { self.target } else { self.target.div_ceil(10) };
        if done >= until {
            return Ok(false);
        }
        let each = (until - done).div_ceil(CLIENTS).to_string();
        let errors = std::fs::File::options().create(true).append(true).open(log);
        let mut pgbench = client(server, "pgbench");
        pgbench.args(["-n", "-M", "prepared", "-b", "tpcb-like@1", "-b", "simple-update@4"]);
        pgbench.args(["-c", &CLIENTS.to_string(), "-t", &each]).arg(DATABASE);
        if let Some(rate) = self.rate {
            pgbench.args(["-R", &rate.to_string()]);
        }
        pgbench.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors.at("open", log)?);
        self.running = Some(pgbench.spawn().context(|| "cannot start pgbench".to_owned())?);
        Ok(false)
    }
}

impl Drop for Load {
    /// Errors are ignored: it may have ended already.
    fn drop(&mut self) {
        if let Some(running) = &mut self.running {
            let _ = running.kill();
            let _ = running.wait();
        }
    }
}
