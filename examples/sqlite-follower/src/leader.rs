//! How does the leader process write its databases?
//!
//! A thread and a connection a database, held open from start to end:
//! 1. open, while nobody else has the database open (`base_copy.rs` says why), and put a restart
//!    record for the log as it is found (`leader_log.rs`);
//! 2. commit once, which makes the tables and a log where there is none, and settles that record;
//! 3. one transaction after the other; where the log has grown long, end it;
//! 4. when all is done hold the connection until told to finish.

use std::fs::{File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use repl_core::ShardId;
use thiserror::Error;

use crate::base_copy::{BaseCopyError, lock_copies};
use crate::events::{self, Event, tell};
use crate::layout::Layout;
use crate::leader_log::{LeaderLog, LeaderLogError};
use crate::load::{Load, LoadError};
use crate::progress::ProgressError;
use crate::source::{SourceError, open_to_write};
use crate::workload::Workload;

/// How long a predecessor may take to die.
const LOCKED_FOR: Duration = Duration::from_secs(10);

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
    #[error("a writer's thread panicked")]
    Panicked,
}

/// What a database is written with.
enum Work {
    Made(Workload),
    Loaded(Load),
}

/// Writes until told to finish.
pub(crate) fn run(options: LeaderOptions) -> Result<(), LeaderError> {
    let finish = events::listen();
    let _lock = lock(options.layout.leader_lock())?;
    let options = Arc::new(options);
    let write = |shard| {
        let (options, finish) = (Arc::clone(&options), Arc::clone(&finish));
        thread::spawn(move || write(&options, shard, &finish))
    };
    let databases = if options.load.is_some() { 1 } else { options.until.len() as u64 };
    let mut threads: Vec<_> = events::shards(databases).map(write).collect();
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

/// Writes one database.
fn write(options: &LeaderOptions, id: ShardId, finish: &AtomicBool) -> Result<(), LeaderError> {
    let shard = id.0;
    let turn = usize::try_from(shard).unwrap_or(0);
    let page_size = PAGE_SIZES[turn % PAGE_SIZES.len()];
    let alone = lock_copies(&options.layout, id, File::lock)?; // 1
    let mut db = open_to_write(&options.layout.database(id), page_size)?;
    drop(alone);
    let mut log = LeaderLog::open(&options.layout, id, options.ignore_floor)?;
    let (mut work, mut done, until) = if let Some(file) = &options.load {
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
    while done < until && !finish.load(Ordering::Acquire) {
        // 3
        match &mut work {
            Work::Made(workload) => workload.commit_next(&mut db).map_err(|source| {
                LeaderError::Transaction { shard: id, number: done + 1, source }
            })?,
            Work::Loaded(load) => load.commit_next(&mut db)?,
        }
        done += 1;
        let end = log.after_commit()?;
        tell(Event::Committed { shard, done, end });
        if end.frame >= options.log_frames && log.end(&db, finish)? {
            tell(Event::LogEnded { shard });
        }
    }
    tell(Event::Done { shard });
    while !finish.load(Ordering::Acquire) {
        // 4
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
