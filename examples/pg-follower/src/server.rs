//! A PostgreSQL server of this run, on loopback.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use example_support::{Context, Error, try_for};
use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::source::{Address, USER};

/// How long the server may take to start, or to recover.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// What to do without a server.
const INSTALL: &str = "install it with `apt-get install postgresql`, or give --postgres DIR";

/// The file of the password, for this user alone.
const PASSWORD: &str = "password";

const SETTINGS: [&str; 9] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "wal_level=logical",
    "max_wal_senders=8",
    "max_replication_slots=8",
    "fsync=on",
    "synchronous_commit=on",
    "shared_buffers=64MB",
    "log_checkpoints=off",
];

/// A server. Dropping it stops it.
pub(crate) struct Server {
    bin: PathBuf,
    folder: PathBuf,
    pub(crate) address: Address,
    process: Option<Child>,
}

impl Server {
    /// Creates a database cluster in the folder of a run, and starts its server.
    pub(crate) fn create(root: &Path, programs: Option<&Path>) -> Result<Server, Error> {
        let bin = find(programs)?;
        let folder = root.join("server");
        if geteuid().is_root() {
            // PostgreSQL does not run as root. The folder of the run is passed through to its own.
            let open = fs::set_permissions(root, Permissions::from_mode(0o711));
            open.at("open", root)?;
            let mut install = Command::new("install");
            install.args(["-d", "-m", "700", "-o", USER]).arg(&folder);
            finish(install, "install")?;
        } else {
            DirBuilder::new().mode(0o700).create(&folder).at("create", &folder)?;
        }
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = port.context(|| "no port is free on loopback".to_owned())?.port();
        let password: String = std::iter::repeat_with(fastrand::alphanumeric).take(24).collect();
        let file = root.join(PASSWORD);
        save_password(&file, &password).at("write", &file)?;
        let address = Address { port, password };
        let mut server = Server { bin, folder, address, process: None };
        server.initialize()?;
        server.start()?;
        Ok(server)
    }

    fn initialize(&self) -> Result<(), Error> {
        let secret = self.folder.join(PASSWORD);
        let saved = save_password(&secret, &self.address.password).and_then(|file| {
            let owner = fs::metadata(&self.folder)?;
            fchown(file, Some(owner.uid()), Some(owner.gid()))
        });
        saved.at("write", &secret)?;
        let mut initdb = self.command("initdb");
        initdb.args(["--no-sync", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]);
        initdb.args(["--username", USER, "--pwfile"]).arg(&secret);
        initdb.arg("-D").arg(self.data());
        let made = finish(initdb, "initdb");
        let removed = fs::remove_file(&secret).at("remove", &secret);
        made.and(removed)
    }

    /// Starts the server, and waits until it answers.
    fn start(&mut self) -> Result<(), Error> {
        let path = self.folder.join("log");
        let log = File::options().create(true).append(true).open(&path).at("open", &path)?;
        let mut postgres = self.command("postgres");
        postgres.arg("-D").arg(self.data()).arg("-p").arg(self.address.port.to_string());
        for setting in SETTINGS {
            postgres.args(["-c", setting]);
        }
        let errors = log.try_clone().at("open", &path)?;
        postgres.stdin(Stdio::null()).stdout(log).stderr(errors);
        let mut ready = self.program("pg_isready");
        ready.args(["-q", "-h", "127.0.0.1", "-p"]).arg(self.address.port.to_string());
        let process = postgres.spawn().context(|| "cannot start postgres".to_owned())?;
        let process = self.process.insert(process);
        let is_ready = || -> Result<_, Error> {
            match process.try_wait()? {
                None => Ok(ready.status()?.success().then_some(())),
                Some(end) => Err(format!("it stopped with {end}: see {}", path.display()).into()),
            }
        };
        match try_for(STARTS_WITHIN, is_ready)? {
            Some(()) => Ok(()),
            None => Err(format!("the server does not start: see {}", path.display()).into()),
        }
    }

    /// Stops the server as a crash would, without a checkpoint, and starts it again.
    pub(crate) fn crash(&mut self) -> Result<(), Error> {
        let mut stop = self.command("pg_ctl");
        stop.arg("-D").arg(self.data()).args(["-m", "immediate", "-w", "stop"]);
        finish(stop, "pg_ctl")?;
        if let Some(mut process) = self.process.take() {
            process.wait().context(|| "cannot wait for the server".to_owned())?;
        }
        self.start()
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// A program of the server, for a client.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.env("PGPASSWORD", &self.address.password).env("LC_ALL", "C");
        command
    }

    /// The command of a program that runs as the user of the server, and ends with this process.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new("setpriv");
        if geteuid().is_root() {
            command.args(["--reuid", USER, "--regid", USER, "--init-groups"]);
        }
        command.args(["--pdeathsig", "QUIT"]).arg(self.bin.join(name));
        command.current_dir(&self.folder).env("LC_ALL", "C");
        command
    }
}

impl Drop for Server {
    /// Errors are ignored: the server may have ended already.
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = kill_process(Pid::from_child(&process), Signal::QUIT);
            let _ = process.wait();
        }
    }
}

fn save_password(path: &Path, password: &str) -> io::Result<File> {
    let mut file = File::options().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(password.as_bytes())?;
    Ok(file)
}

/// Returns the password of the server of a run.
pub(crate) fn load_password(root: &Path) -> Result<String, Error> {
    let path = root.join(PASSWORD);
    fs::read_to_string(&path).at("read", &path)
}

/// Runs a program to its end. Its output is in the error if it fails.
pub(crate) fn finish(mut command: Command, name: impl AsRef<OsStr>) -> Result<(), Error> {
    let name = name.as_ref().display();
    let output = command.output().context(|| format!("cannot run {name}"))?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("{name} stopped with {}: {}", output.status, errors.trim()).into())
}

/// The folder of the server's programs: the given one, or that of the newest version in the path or
/// where Debian has it.
fn find(given: Option<&Path>) -> Result<PathBuf, Error> {
    let has_programs =
        |dir: &PathBuf| ["initdb", "postgres", "pgbench"].iter().all(|p| dir.join(p).exists());
    if let Some(given) = given {
        let given = given.to_owned();
        let missing = || format!("PostgreSQL is not in {}: {INSTALL}", given.display());
        return if has_programs(&given) { Ok(given) } else { Err(missing().into()) };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let number = |dir: &PathBuf| dir.parent()?.file_name()?.to_str()?.parse::<u32>().ok();
    let mut debian: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
    debian.sort_by_key(number);
    let found = std::env::split_paths(&path).chain(debian.into_iter().rev()).find(has_programs);
    found.ok_or_else(|| format!("PostgreSQL is not installed: {INSTALL}").into())
}
