//! The store: it sends a line, yields once, and waits for the answer.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::SystemTime;

use repl_checkpoint::{
    Acquire, Generation, Held, Kept, Lease, RemoteFailure, RemoteSave, RemoteStore, StoreId,
};

use super::Fault;
use super::data::Row;

/// What this process knows of the leases: it does not know of other processes.
static LEASES: Mutex<BTreeMap<u128, Lease>> = Mutex::new(BTreeMap::new());

pub(crate) struct Client {
    address: String,
    fault: Fault,
    record: StoreId,
    connection: Option<BufReader<TcpStream>>,
    calls: u64,
}

/// A request without its answer. One that waits has been carried out before it is dropped.
struct Sent {
    connection: Option<BufReader<TcpStream>>,
    waits: bool,
}

impl Drop for Sent {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.as_mut().filter(|_| self.waits) {
            let _ = connection.read_line(&mut String::new());
        }
    }
}

fn cause(error: io::Error) -> Arc<dyn std::error::Error + Send + Sync> {
    Arc::new(error)
}

impl Client {
    pub(crate) fn open(url: &str, record: StoreId) -> Result<Self, String> {
        let (address, name) = url.split_once(' ').ok_or("no fault is named")?;
        let fault = Fault::ALL.into_iter().find(|fault| format!("{fault:?}") == name);
        let fault = fault.ok_or_else(|| format!("there is no fault {name}"))?;
        Ok(Client { address: address.to_owned(), fault, record, connection: None, calls: 0 })
    }

    /// One request and its answer. If the future is dropped, so is the connection.
    async fn ask(&mut self, request: String) -> Result<String, RemoteFailure> {
        self.calls += 1;
        assert!(self.fault != Fault::Panics || self.calls != 30, "the thirtieth call");
        if self.fault == Fault::Ends && self.calls == 30 {
            std::process::exit(3);
        }
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().map_err(|error| RemoteFailure::Unavailable(cause(error)))?,
        };
        let in_doubt = |error| RemoteFailure::InDoubt(cause(error));
        connection.get_ref().write_all(format!("{request}\n").as_bytes()).map_err(in_doubt)?;
        if self.fault == Fault::MixesAnswersUp {
            self.connection =
                Some(BufReader::new(connection.get_ref().try_clone().map_err(in_doubt)?));
        }
        // Such a store takes a late call for a new one, which one process can see too.
        let waits = matches!(self.fault, Fault::LosesUpdates | Fault::FencesInItsProcess);
        let mut sent = Sent { connection: Some(connection), waits };
        yield_once().await;
        let missing = || in_doubt(io::ErrorKind::NotConnected.into());
        let mut connection = sent.connection.take().ok_or_else(missing)?;
        let mut answer = String::new();
        connection.read_line(&mut answer).map_err(in_doubt)?;
        if answer.pop() != Some('\n') {
            return Err(in_doubt(io::ErrorKind::UnexpectedEof.into()));
        }
        self.connection = Some(connection);
        Ok(answer)
    }

    fn connect(&self) -> io::Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        Ok(BufReader::new(stream))
    }

    async fn written(&mut self, request: String) -> Result<Held, RemoteFailure> {
        let answer = self.ask(request).await?;
        let (what, row) = answer.split_once(' ').unwrap();
        let held = row_of(row).map(held);
        match what {
            "is" => Ok(held.unwrap()),
            _ => Err(RemoteFailure::Refused(held)),
        }
    }

    fn record(&self) -> u128 {
        self.record.0
    }

    /// Reads, compares, and writes: for one writer at a time.
    async fn save_without_condition(&mut self, save: RemoteSave<'_>) -> Result<(), RemoteFailure> {
        let answer = self.ask(format!("read {}", self.record())).await?;
        let held = answer.strip_prefix("is ").and_then(row_of).map(held);
        let is_ours = |held: &Held| held.lease == save.lease && held.generation == save.previous;
        if !held.as_ref().is_some_and(is_ours) {
            return Err(RemoteFailure::Refused(held));
        }
        let bytes = hex(save.bytes);
        self.ask(format!("put {} {} {bytes}", self.record(), save.generation)).await.map(drop)
    }
}

impl RemoteStore for Client {
    fn store_id(&self) -> StoreId {
        self.record
    }

    fn place(&self) -> String {
        format!("record {} at {}", self.record, self.address)
    }

    async fn acquire(&mut self, acquire: Acquire) -> Result<Held, RemoteFailure> {
        let record = self.record();
        let request = match acquire {
            Acquire::TakeOver { at_least: None } => format!("take {record}"),
            Acquire::TakeOver { at_least: Some(least) } => {
                format!("take-from {record} {} {}", least.token, least.generation)
            }
            Acquire::Renew { lease, token } => {
                format!("renew {record} {} {token}", lease.holder)
            }
        };
        let held = self.written(request).await?;
        if self.fault == Fault::LosesAnswersAtTimes && self.calls % 400 >= 370 {
            return Err(RemoteFailure::InDoubt(cause(io::ErrorKind::ConnectionReset.into())));
        }
        if self.fault == Fault::FencesInItsProcess {
            let mut leases = LEASES.lock().unwrap();
            let known = leases.entry(self.record()).or_insert(held.lease);
            if known.token < held.lease.token {
                *known = held.lease;
            }
        }
        Ok(held)
    }

    async fn save(&mut self, save: RemoteSave<'_>) -> Result<(), RemoteFailure> {
        if self.fault == Fault::LosesUpdates {
            return self.save_without_condition(save).await;
        }
        if self.fault == Fault::LosesAnswers {
            return Err(RemoteFailure::InDoubt(cause(io::ErrorKind::ConnectionReset.into())));
        }
        let is_fenced = LEASES.lock().unwrap().get(&self.record()) != Some(&save.lease);
        if self.fault == Fault::FencesInItsProcess && is_fenced {
            let read = self.ask(format!("read {}", self.record())).await?;
            return Err(RemoteFailure::Refused(
                read.strip_prefix("is ").and_then(row_of).map(held),
            ));
        }
        let RemoteSave { lease, previous, generation, bytes } = save;
        let cut = usize::from(self.fault == Fault::CutsBytes && bytes.len() > 200);
        let bytes = hex(&bytes[..bytes.len() - cut]);
        let Lease { holder, token } = lease;
        let record = self.record();
        self.written(format!("save {record} {holder} {token} {previous} {generation} {bytes}"))
            .await
            .map(drop)
    }

    async fn load(&mut self, at_most: Generation) -> Result<Option<Kept>, RemoteFailure> {
        let answer = self.ask(format!("load {} {at_most}", self.record())).await?;
        let mut words = answer.split(' ').skip(1);
        let (Some(generation), Some(bytes)) = (words.next(), words.next()) else {
            return Ok(None);
        };
        let bytes = bytes.as_bytes()[1..].chunks(2); // after the quote
        let byte = |digits| u8::from_str_radix(str::from_utf8(digits).unwrap(), 16).unwrap();
        Ok(Some(Kept { generation: generation.parse().unwrap(), bytes: bytes.map(byte).collect() }))
    }
}

fn row_of(text: &str) -> Option<Row> {
    let mut words = text.split(' ');
    let holder = words.next()?.parse().ok()?;
    let mut number = || words.next()?.parse().ok();
    Some(Row { holder, token: number()?, generation: number()? })
}

fn held(row: Row) -> Held {
    let Row { holder, token, generation } = row;
    let lease = Lease { holder, token };
    Held { lease, generation, by: String::new(), since: SystemTime::UNIX_EPOCH }
}

/// After a quote, so that no bytes are a word too.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = "'".to_owned();
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

async fn yield_once() {
    let mut is_ready = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut is_ready, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Runs a future on this thread.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}
