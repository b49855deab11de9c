//! A proxy on loopback that cuts, holds and drops what passes through it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_postgres::Config;

/// What the proxy does from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Pass,
    /// Refuses connections, and cuts those that there are.
    Down,
    /// The next bytes of a client are cut off in their middle, with the connection.
    CutRequest,
    /// Requests pass; the next answer does not, and its connection is cut.
    DropAnswer,
    /// Requests on the connections that there are wait for another mode, and arrive then, even if
    /// their client is gone. New connections pass.
    HoldRequests,
}

pub(crate) struct Proxy {
    address: SocketAddr,
    mode: Arc<watch::Sender<Mode>>,
}

impl Proxy {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mode = Arc::new(watch::channel(Mode::Pass).0);
        let modes = Arc::clone(&mode);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *modes.borrow() == Mode::Down {
                    continue;
                }
                if let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await {
                    client.set_nodelay(true).unwrap();
                    server.set_nodelay(true).unwrap();
                    tokio::spawn(pass(client, server, Arc::clone(&modes)));
                }
            }
        });
        Proxy { address, mode }
    }

    pub(crate) fn config(&self, mut config: Config) -> Config {
        let mut through = Config::new();
        through.host("127.0.0.1").port(self.address.port()).user("test").dbname("postgres");
        std::mem::swap(&mut config, &mut through);
        config
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

async fn pass(client: TcpStream, server: TcpStream, mode: Arc<watch::Sender<Mode>>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mut down = mode.subscribe();
    let is_new = *mode.borrow() == Mode::HoldRequests;
    let (at_request, at_answer) = (Arc::clone(&mode), mode);
    let requests = async move {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(n @ 1..) = from_client.read(&mut buffer).await {
            let mut now = at_request.subscribe();
            let is_held = *now.borrow() == Mode::HoldRequests;
            if is_held && !is_new {
                drop(now.wait_for(|mode| *mode != Mode::HoldRequests).await);
            }
            let cut = *now.borrow() == Mode::CutRequest;
            let n = if cut { n / 2 } else { n };
            if to_server.write_all(&buffer[..n]).await.is_err() || cut {
                break;
            }
        }
        // What was sent is still carried out: the server reads it before the end of the stream.
        drop(to_server.shutdown().await);
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    let answers = async move {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(n @ 1..) = from_server.read(&mut buffer).await {
            if *at_answer.borrow() == Mode::DropAnswer {
                // It may answer an earlier request: the one that is meant still passes.
                tokio::time::sleep(Duration::from_millis(500)).await;
                break;
            }
            if to_client.write_all(&buffer[..n]).await.is_err() {
                // The client is gone, and what it sent is not.
                tokio::time::sleep(Duration::from_secs(5)).await;
                break;
            }
        }
    };
    tokio::select! {
        () = requests => {}
        () = answers => {}
        _ = down.wait_for(|mode| *mode == Mode::Down) => {}
    }
}
