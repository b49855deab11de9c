//! A proxy on loopback that refuses, cuts, holds and drops what passes through it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the proxy does from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Pass,
    /// Cuts the connections that there are.
    Cut,
    /// The next bytes of a client are cut off in their middle, with the connection.
    CutRequest,
    /// Requests pass; answers do not, and their connections are cut.
    DropAnswers,
    /// The next answer is dropped, with its connection; then all passes.
    DropAnswer,
    /// The next request becomes late: it waits for another mode than `Holding`, and arrives then,
    /// even if its client is gone.
    HoldRequest,
    /// A request is late; others pass.
    Holding,
}

pub(crate) struct Proxy {
    pub(crate) port: u16,
    server: u16,
    mode: Arc<watch::Sender<Mode>>,
    listening: JoinHandle<()>,
}

impl Proxy {
    pub(crate) async fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mode = Arc::new(watch::channel(Mode::Pass).0);
        let listening = tokio::spawn(listen(listener, server, Arc::clone(&mode)));
        Proxy { port, server, mode, listening }
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Refuses connections, and cuts those that there are.
    pub(crate) async fn refuse(&mut self) {
        self.listening.abort();
        drop((&mut self.listening).await);
        self.set(Mode::Cut);
        tokio::time::sleep(Duration::from_millis(50)).await; // the ends of the connections arrive
    }

    /// Accepts connections again.
    pub(crate) async fn accept(&mut self) {
        self.set(Mode::Pass);
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let listener = TcpListener::bind(address).await.unwrap();
        self.listening = tokio::spawn(listen(listener, self.server, Arc::clone(&self.mode)));
    }
}

async fn listen(listener: TcpListener, port: u16, mode: Arc<watch::Sender<Mode>>) {
    while let Ok((client, _)) = listener.accept().await {
        if let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await {
            client.set_nodelay(true).unwrap();
            server.set_nodelay(true).unwrap();
            tokio::spawn(pass(client, server, Arc::clone(&mode)));
        }
    }
}

async fn pass(client: TcpStream, server: TcpStream, mode: Arc<watch::Sender<Mode>>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mut down = mode.subscribe();
    let (at_request, at_answer) = (Arc::clone(&mode), mode);
    let requests = async move {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(n @ 1..) = from_client.read(&mut buffer).await {
            let is_late = at_request.send_if_modified(|mode| {
                let is_late = *mode == Mode::HoldRequest;
                *mode = if is_late { Mode::Holding } else { *mode };
                is_late
            });
            if is_late {
                drop(at_request.subscribe().wait_for(|mode| *mode != Mode::Holding).await);
            }
            let cut = *at_request.borrow() == Mode::CutRequest;
            let n = if cut { n / 2 } else { n };
            if to_server.write_all(&buffer[..n]).await.is_err() {
                break;
            }
            if cut {
                return; // before an answer
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
                at_answer.send_replace(Mode::Pass);
                break;
            }
            if *at_answer.borrow() == Mode::DropAnswers {
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
        _ = down.wait_for(|mode| *mode == Mode::Cut) => {}
    }
}
