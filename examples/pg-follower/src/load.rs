//! The load: `pgbench`, which fails at each crash of the server, and is started again.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use example_support::{Context, Error};

use crate::Args;
use crate::server::{Server, finish};
use crate::source::{DATABASE, PUBLICATION, USER};

/// The connections of `pgbench`.
const CLIENTS: u64 = 8;

/// How long a failed `pgbench` waits before it is started again.
const WAIT: Duration = Duration::from_millis(200);

/// `pgbench` makes no key for its history. Each note has a text of 8 kB, which the server keeps
/// apart from the row, and which the log leaves out where an update has not changed it.
const PREPARE: &str = r#"
    alter table pgbench_history add column id bigint generated always as identity primary key;
    create table "load's notes" (id integer primary key, large text not null, "a ""note""" text);
    alter table "load's notes" alter column large set storage external;
    insert into "load's notes"
        select n, repeat(md5(n::text), 256), E'it''s\t"\\N"\n' from generate_series(1, 100) n"#;

/// What `pgbench` does not do: null, quotes, deletions, other keys, and now and then a truncation.
/// Each transaction adds a row to the history, as those of `pgbench` do.
const NOTES: &str = r#"
\set id random(1, 100)
\set moved :id + 100
\set any random(1, 200)
\set what random(1, 1000)
begin;
\if :what <= 350
insert into "load's notes" values (:id, repeat(md5(random()::text), 256), null)
    on conflict do nothing;
\elif :what <= 700
update "load's notes" set "a ""note""" =
    case when random() < 0.9 then E'it''s\t"\\N"\n' || random() end where id = :any;
\elif :what <= 850
update "load's notes" set id = :moved
    where id = :id and not exists (select from "load's notes" where id = :moved);
\elif :what <= 995
delete from "load's notes" where id = :any;
\else
truncate "load's notes";
\endif
insert into pgbench_history (tid, bid, aid, delta, mtime) values (1, 1, :id, 0, now());
commit;
"#;

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
    /// The script of [`NOTES`].
    notes: Option<PathBuf>,
}

impl Load {
    /// The load of a run in the folder `root`.
    pub(crate) fn new(root: &Path, args: &Args) -> Result<Load, Error> {
        // A mutant would stop where a row to delete is missing, before the comparison finds it.
        let notes = args.mutant.is_none().then(|| root.join("notes.sql"));
        if let Some(path) = &notes {
            std::fs::write(path, NOTES).at("write", path)?;
        }
        let (target, rate) = (args.transactions, args.rate);
        Ok(Load { running: None, again_at: Instant::now(), target, rate, notes })
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
        let errors = File::options().create(true).append(true).open(log);
        let mut pgbench = client(server, "pgbench");
        pgbench.args(["-n", "-M", "prepared", "-b", "tpcb-like@1", "-b", "simple-update@4"]);
        if let Some(notes) = &self.notes {
            let mut script = notes.clone().into_os_string();
            script.push("@1"); // one transaction in six
            pgbench.arg("-f").arg(script);
        }
        // Each with a thread of its own: where one waits for a lock, the others go on.
        let clients = CLIENTS.to_string();
        pgbench.args(["-c", &clients, "-j", &clients, "-t", &each]).arg(DATABASE);
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
