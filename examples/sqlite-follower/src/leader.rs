//! The leader process, which writes the databases.
//!
//! Each database has a thread, and a connection that stays open from start to end:
//! 1. Open the database while no other connection exists (`base_copy.rs` says why), and write a
//!    restart record for the log that is there (`leader_log.rs`).
//! 2. Commit once. This creates missing tables and a missing log, and decides whether that record
//!    stays.
//! 3. Commit transactions, those of clients first. End the log when it has grown long.
//! 4. When all work is done, keep the connection for clients until the order to finish.

use std::fs::{File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use repl_core::ShardId;
use rusqlite::Connection;
use thiserror::Error;

use crate::base_copy::{BaseCopyError, lock_copies};
use crate::client_row;
use crate::events::{self, Event, Order, send};
use crate::layout::Layout;
use crate::leader_log::{LeaderLog, LeaderLogError};
use crate::load::{Load, LoadError};
use crate::progress::ProgressError;
use crate::source::{SourceError, open_to_write};
use crate::wal::LogPoint;
use crate::workload::Workload;

/// How long a predecessor may take to end.
const LOCKED_FOR: Duration = Duration::from_secs(10);

const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The page sizes of the databases, in turn, so that every run covers several.
const PAGE_SIZES: [u32; 4] = [4096, 1024, 8192, 512];

/// The options of a leader.
#[derive(Debug, Clone)]
pub(crate) struct LeaderOptions {
    pub(crate) layout: Layout,
    pub(crate) seed: u64,
    /// The number of transactions that each database shall reach.
    pub(crate) until: Vec<u64>,
    /// The length in frames at which a log is restarted.
    pub(crate) log_frames: u32,
    pub(crate) load: Option<PathBuf>,
    pub(crate) ignore_floor: bool,
}

/// An error that ends the leader.
#[derive(Debug, Error)]
pub(crate) enum LeaderError {
    #[error("{} is locked by another leader", path.display())]
    Locked { path: PathBuf },
    #[error("cannot lock {}", path.display())]
    Lock { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    CopiesLock(#[from] BaseCopyError),
    #[error(transparent)]
    Log(#[from] LeaderLogError),
    #[error(transparent)]
    Progress(#[from] ProgressError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("shard {shard}: transaction {number} failed")]
    Transaction { shard: ShardId, number: u64, source: rusqlite::Error },
    #[error("shard {shard}: cannot write the row of client {client}")]
    Client { shard: ShardId, client: u64, source: rusqlite::Error },
    #[error("a thread of the leader panicked")]
    Panicked,
}

/// The transactions to commit to a database.
enum Work {
    Generated(Workload),
    Loaded(Load),
}

/// A write that a client requests.
#[derive(Debug, Clone, Copy)]
struct ClientWrite {
    client: u64,
    request: u64,
}

/// Runs the leader until the order to finish.
pub(crate) fn run(options: LeaderOptions) -> Result<(), LeaderError> {
    let databases = if options.load.is_some() { 1 } else { options.until.len() as u64 };
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..databases).map(|_| mpsc::channel()).unzip();
    let finish = events::listen(move |order| {
        if let Order::Write { shard, client, request } = order
            && let Some(sender) = usize::try_from(shard).ok().and_then(|s| senders.get(s))
        {
            let _ = sender.send(ClientWrite { client, request });
        }
    });
    let _lock = lock(options.layout.leader_lock())?;
    let options = Arc::new(options);
    let write = |(shard, requests)| {
        let (options, finish) = (Arc::clone(&options), Arc::clone(&finish));
        thread::spawn(move || Writer::open(&options, shard, requests)?.run(&finish))
    };
    let mut threads: Vec<_> = events::shards(databases).zip(receivers).map(write).collect();
    // The first error ends the leader.
    while !threads.is_empty() {
        let ended = threads.extract_if(.., |t| t.is_finished()).collect::<Vec<_>>();
        for thread in ended {
            thread.join().map_err(|_| LeaderError::Panicked)??;
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Locks out a second leader, waiting for a predecessor to end.
fn lock(path: PathBuf) -> Result<File, LeaderError> {
    let file = File::create(&path);
    let file = file.map_err(|source| LeaderError::Lock { path: path.clone(), source })?;
    let deadline = Instant::now() + LOCKED_FOR;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(10));
            }
            Err(TryLockError::WouldBlock) => return Err(LeaderError::Locked { path }),
            Err(TryLockError::Error(source)) => return Err(LeaderError::Lock { path, source }),
        }
    }
}

/// The writer of one database.
struct Writer {
    id: ShardId,
    db: Connection,
    log: LeaderLog,
    log_frames: u32,
    work: Work,
    done: u64,
    until: u64,
    requests: Receiver<ClientWrite>,
}

impl Writer {
    fn open(
        options: &LeaderOptions,
        id: ShardId,
        requests: Receiver<ClientWrite>,
    ) -> Result<Writer, LeaderError> {
        let shard = id.0;
        let index = usize::try_from(shard).unwrap_or(0);
        let page_size = PAGE_SIZES[index % PAGE_SIZES.len()];
        let lock = lock_copies(&options.layout, id, File::lock)?; // 1
        let mut db = open_to_write(&options.layout.database(id), page_size)?;
        drop(lock);
        let mut log = LeaderLog::open(&options.layout, id, options.ignore_floor)?;
        let (work, done, until) = if let Some(file) = &options.load {
            let load = Load::open(&mut db, file)?; // 2
            let (done, lines) = (load.done(), load.len());
            (Work::Loaded(load), done, lines)
        } else {
            let workload = Workload::open(&mut db, options.seed, id)?; // 2
            let done = workload.done();
            let until = options.until.get(index).copied().unwrap_or(0);
            (Work::Generated(workload), done, until)
        };
        let end = log.after_commit()?;
        send(Event::Writing { shard, done, until });
        send(Event::Committed { shard, done, end });
        let log_frames = options.log_frames;
        Ok(Writer { id, db, log, log_frames, work, done, until, requests })
    }

    fn run(mut self, finish: &AtomicBool) -> Result<(), LeaderError> {
        let shard = self.id.0;
        let mut sent_done = false;
        while !finish.load(Ordering::Acquire) {
            let end = if let Ok(request) = self.requests.try_recv() {
                self.write_for(request)?
            } else if self.done < self.until {
                self.commit_next()? // 3
            } else {
                if !sent_done {
                    sent_done = true;
                    send(Event::Done { shard });
                }
                match self.requests.recv_timeout(LOOK_EVERY) {
                    Ok(request) => self.write_for(request)?, // 4
                    Err(_) => continue,
                }
            };
            if end.frame >= self.log_frames && self.log.end(&self.db, finish)? {
                send(Event::LogEnded { shard });
            }
        }
        Ok(())
    }

    /// Commits the next transaction. Returns the end of the log.
    fn commit_next(&mut self) -> Result<LogPoint, LeaderError> {
        let (shard, number) = (self.id, self.done + 1);
        match &mut self.work {
            Work::Generated(workload) => workload
                .commit_next(&mut self.db)
                .map_err(|source| LeaderError::Transaction { shard, number, source })?,
            Work::Loaded(load) => load.commit_next(&mut self.db)?,
        }
        self.done = number;
        self.committed()
    }

    /// Writes the row of a client. Returns the end of the log, where that transaction ends.
    fn write_for(&mut self, write: ClientWrite) -> Result<LogPoint, LeaderError> {
        let (shard, ClientWrite { client, request }) = (self.id, write);
        let written = client_row::write(&mut self.db, client);
        let written = written.map_err(|source| LeaderError::Client { shard, client, source })?;
        let end = self.committed()?;
        send(Event::Written { client, request, written, end });
        Ok(end)
    }

    fn committed(&mut self) -> Result<LogPoint, LeaderError> {
        let end = self.log.after_commit()?;
        send(Event::Committed { shard: self.id.0, done: self.done, end });
        Ok(end)
    }
}
