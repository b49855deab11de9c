//! How does the leader process write its databases?
//!
//! A thread and a connection a database, held open from start to end:
//! 1. open, while nobody else has the database open (`base_copy.rs` says why), and put a restart
//!    record for the log as it is found (`leader_log.rs`);
//! 2. commit once, which makes the tables and a log where there is none, and settles that record;
//! 3. one transaction after the other, those that clients ask for first; where the log has grown
//!    long, end it;
//! 4. when all is done hold the connection, for clients, until told to finish.

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
use crate::events::{self, Event, Order, tell};
use crate::layout::Layout;
use crate::leader_log::{LeaderLog, LeaderLogError};
use crate::load::{Load, LoadError};
use crate::progress::ProgressError;
use crate::source::{SourceError, open_to_write};
use crate::wal::LogPoint;
use crate::workload::Workload;

/// How long a predecessor may take to die.
const LOCKED_FOR: Duration = Duration::from_secs(10);

const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Page sizes of the databases in turn, so that every run meets several.
const PAGE_SIZES: [u32; 4] = [4096, 1024, 8192, 512];

/// What a leader is told when it starts.
#[derive(Debug, Clone)]
pub(crate) struct LeaderOptions {
    pub(crate) layout: Layout,
    pub(crate) seed: u64,
    /// How many transactions each database is to have in the end.
    pub(crate) until: Vec<u64>,
    /// The length in frames at which a log is ended.
    pub(crate) log_frames: u32,
    pub(crate) load: Option<PathBuf>,
    pub(crate) ignore_floor: bool,
}

/// The leader had to end.
#[derive(Debug, Error)]
pub(crate) enum LeaderError {
    #[error("{} is held by another leader", path.display())]
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
    #[error("shard {shard}: the row of client {client} cannot be written")]
    Client { shard: ShardId, client: u64, source: rusqlite::Error },
    #[error("a writer's thread panicked")]
    Panicked,
}

/// What a database is written with.
enum Work {
    Made(Workload),
    Loaded(Load),
}

/// What a client asks a leader for.
#[derive(Debug, Clone, Copy)]
struct ClientWrite {
    client: u64,
    request: u64,
}

/// Writes until told to finish.
pub(crate) fn run(options: LeaderOptions) -> Result<(), LeaderError> {
    let databases = if options.load.is_some() { 1 } else { options.until.len() as u64 };
    let (asked, asks): (Vec<_>, Vec<_>) = (0..databases).map(|_| mpsc::channel()).unzip();
    let finish = events::listen(move |order| {
        if let Order::Write { shard, client, request } = order
            && let Some(asked) = usize::try_from(shard).ok().and_then(|s| asked.get(s))
        {
            let _ = asked.send(ClientWrite { client, request });
        }
    });
    let _lock = lock(options.layout.leader_lock())?;
    let options = Arc::new(options);
    let write = |(shard, asks)| {
        let (options, finish) = (Arc::clone(&options), Arc::clone(&finish));
        thread::spawn(move || Writer::open(&options, shard, asks)?.run(&finish))
    };
    let mut threads: Vec<_> = events::shards(databases).zip(asks).map(write).collect();
    // The first to fail ends all.
    while !threads.is_empty() {
        let ended = threads.extract_if(.., |t| t.is_finished()).collect::<Vec<_>>();
        for thread in ended {
            thread.join().map_err(|_| LeaderError::Panicked)??;
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// Locks out a second leader, waiting for a predecessor that is about to end.
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

/// One database, and what is to be written to it.
struct Writer {
    id: ShardId,
    db: Connection,
    log: LeaderLog,
    log_frames: u32,
    work: Work,
    done: u64,
    until: u64,
    asks: Receiver<ClientWrite>,
}

impl Writer {
    fn open(
        options: &LeaderOptions,
        id: ShardId,
        asks: Receiver<ClientWrite>,
    ) -> Result<Writer, LeaderError> {
        let shard = id.0;
        let turn = usize::try_from(shard).unwrap_or(0);
        let page_size = PAGE_SIZES[turn % PAGE_SIZES.len()];
        let alone = lock_copies(&options.layout, id, File::lock)?; // 1
        let mut db = open_to_write(&options.layout.database(id), page_size)?;
        drop(alone);
        let mut log = LeaderLog::open(&options.layout, id, options.ignore_floor)?;
        let (work, done, until) = if let Some(file) = &options.load {
            let load = Load::open(&mut db, file)?; // 2
            let (done, lines) = (load.done(), load.len());
            (Work::Loaded(load), done, lines)
        } else {
            let workload = Workload::open(&mut db, options.seed, id)?; // 2
            let done = workload.done();
            let until = options.until.get(turn).copied().unwrap_or(0);
            (Work::Made(workload), done, until)
        };
        let end = log.after_commit()?;
        tell(Event::Writing { shard, done, until });
        tell(Event::Committed { shard, done, end });
        let log_frames = options.log_frames;
        Ok(Writer { id, db, log, log_frames, work, done, until, asks })
    }

    fn run(mut self, finish: &AtomicBool) -> Result<(), LeaderError> {
        let shard = self.id.0;
        let mut told = false;
        while !finish.load(Ordering::Acquire) {
            let end = if let Ok(ask) = self.asks.try_recv() {
                self.write_for(ask)?
            } else if self.done < self.until {
                self.commit_next()? // 3
            } else {
                if !told {
                    told = true;
                    tell(Event::Done { shard });
                }
                match self.asks.recv_timeout(LOOK_EVERY) {
                    Ok(ask) => self.write_for(ask)?, // 4
                    Err(_) => continue,
                }
            };
            if end.frame >= self.log_frames && self.log.end(&self.db, finish)? {
                tell(Event::LogEnded { shard });
            }
        }
        Ok(())
    }

    /// Makes the next transaction; returns the log's end.
    fn commit_next(&mut self) -> Result<LogPoint, LeaderError> {
        let (shard, number) = (self.id, self.done + 1);
        match &mut self.work {
            Work::Made(workload) => workload
                .commit_next(&mut self.db)
                .map_err(|source| LeaderError::Transaction { shard, number, source })?,
            Work::Loaded(load) => load.commit_next(&mut self.db)?,
        }
        self.done = number;
        self.committed()
    }

    /// Writes the row of a client; returns the log's end, which is where that transaction ends.
    fn write_for(&mut self, ask: ClientWrite) -> Result<LogPoint, LeaderError> {
        let (shard, ClientWrite { client, request }) = (self.id, ask);
        let written = client_row::write(&mut self.db, client);
        let written = written.map_err(|source| LeaderError::Client { shard, client, source })?;
        let end = self.committed()?;
        tell(Event::Written { client, request, written, end });
        Ok(end)
    }

    fn committed(&mut self) -> Result<LogPoint, LeaderError> {
        let end = self.log.after_commit()?;
        tell(Event::Committed { shard: self.id.0, done: self.done, end });
        Ok(end)
    }
}
