//! A PostgreSQL server of its own, on loopback.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;
use tokio_postgres::{Client, Config, NoTls};

/// The user `nobody`: PostgreSQL does not run as root.
const NOBODY: u32 = 65534;

pub(crate) struct Server {
    dir: TempDir,
    bin: PathBuf,
    pub(crate) port: u16,
    child: Option<Child>,
}

impl Server {
    /// Starts a server, or says why there is none. In CI there must be one.
    pub(crate) async fn start() -> Option<Self> {
        let Some(bin) = programs() else {
            assert!(std::env::var_os("CI").is_none(), "CI needs the package postgresql");
            println!("skipped: initdb and postgres are not installed (the package postgresql)");
            return None;
        };
        let dir = TempDir::new().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Server { dir, bin, port, child: None };
        if geteuid().is_root() {
            chown(server.dir.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let mut initdb = server.command("initdb");
        initdb.args(["--no-sync", "--auth=trust", "--username=test", "--encoding=UTF8", "-D"]);
        let output = initdb.arg(server.data()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        server.run().await;
        Some(server)
    }

    pub(crate) async fn run(&mut self) {
        let mut postgres = self.command("postgres");
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join("log"))
            .unwrap();
        postgres.arg("-D").arg(self.data());
        for setting in [
            format!("port={}", self.port),
            "listen_addresses=127.0.0.1".to_owned(),
            "unix_socket_directories=".to_owned(),
            "shared_buffers=16MB".to_owned(),
            "max_connections=40".to_owned(),
            "max_wal_senders=2".to_owned(),
        ] {
            postgres.arg("-c").arg(setting);
        }
        postgres.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(postgres.spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(120);
        while let Err(error) = self.config().connect(NoTls).await {
            let log = fs::read_to_string(self.dir.path().join("log")).unwrap();
            assert!(Instant::now() < deadline, "{error}: {log}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends the server at once, as a crash would; the files stay.
    pub(crate) fn crash(&mut self) {
        if let Some(mut child) = self.child.take() {
            let pid = Pid::from_child(&child);
            kill_process(pid, Signal::QUIT).unwrap(); // "immediate": no checkpoint
            child.wait().unwrap();
        }
    }

    /// A copy of its files, while it does not run.
    pub(crate) fn copy(&self, name: &str) {
        assert!(self.child.is_none());
        copy(&self.data(), &self.dir.path().join(name));
    }

    /// Puts a copy in the place of its files.
    pub(crate) fn restore(&self, name: &str) {
        assert!(self.child.is_none());
        fs::remove_dir_all(self.data()).unwrap();
        copy(&self.dir.path().join(name), &self.data());
    }

    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).user("test").dbname("postgres");
        config
    }

    /// A connection past the store under test.
    pub(crate) async fn client(&self) -> Client {
        let (client, connection) = self.config().connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// Runs a line of a shell, in the directory of the server, with its programs in the path.
    pub(crate) fn shell(&self, line: &str) {
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", self.bin.display());
        let mut shell = Command::new("sh");
        shell.args(["-ec", line]).env("PATH", path).current_dir(self.dir.path());
        assert!(shell.status().unwrap().success(), "{line}");
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.current_dir(self.dir.path()).env("LC_ALL", "C");
        if geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.crash();
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

/// The directory of the newest server programs: that of the path, or Debian's.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut debian: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
    debian.sort();
    dirs.extend(debian.into_iter().rev());
    dirs.into_iter().find(|dir| dir.join("initdb").exists() && dir.join("postgres").exists())
}
