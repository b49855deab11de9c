//! The leader process, which writes the databases.
//!
//! Each database has a thread, and a connection that stays open from start to end:
//! 1. Open the database while no other connection exists (README.md says why), and write a
//!    restart record for the log that is there (`leader_log.rs`).
//! 2. Commit once. This creates missing tables and a missing log, and decides whether that record
//!    stays.
//! 3. Commit transactions, those of clients first. End the log when it has grown long.
//! 4. When all work is done, keep the connection for clients. The parent ends the process.

use std::fs::File;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use example_support::{Context, Error, files, join_ended, listen, send};
use repl_core::ShardId;
use rusqlite::Connection;

use crate::base_copy::lock_copies;
use crate::cli::Mutant;
use crate::database::open_to_write;
use crate::events::{Event, Order};
use crate::leader_log::LeaderLog;
use crate::load::Load;
use crate::wal::LogPoint;
use crate::{Setup, database, workload};

/// How long a predecessor may take to end.
const LOCKED_FOR: Duration = Duration::from_secs(10);

const LOOK_EVERY: Duration = Duration::from_millis(3);

/// The page sizes of the databases, in turn, so that every run covers several.
const PAGE_SIZES: [u32; 4] = [4096, 1024, 8192, 512];

/// Runs the leader until it is killed.
pub(crate) fn run(setup: Setup, until: Vec<u64>) -> Result<(), Error> {
    let (senders, receivers): (Vec<_>, Vec<_>) = until.iter().map(|_| mpsc::channel()).unzip();
    listen(move |order| {
        if let Order::Write { shard, client } = order
            && let Some(sender) = usize::try_from(shard).ok().and_then(|s| senders.get(s))
        {
            let _ = sender.send(client);
        }
    });
    let _lock = files::lock(&setup.layout.leader_lock(), LOCKED_FOR)?;
    let setup = Arc::new(setup);
    let write = |((shard, until), clients)| {
        let setup = Arc::clone(&setup);
        thread::spawn(move || Writer::open(setup, shard, until, clients)?.run())
    };
    let mut threads: Vec<_> = setup.shards().zip(until).zip(receivers).map(write).collect();
    while !threads.is_empty() {
        join_ended(&mut threads)?;
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// The writer of one database.
struct Writer {
    setup: Arc<Setup>,
    id: ShardId,
    db: Connection,
    log: LeaderLog,
    load: Option<Load>,
    done: u64,
    until: u64,
    clients: Receiver<u64>,
}

impl Writer {
    fn open(
        setup: Arc<Setup>,
        id: ShardId,
        until: u64,
        clients: Receiver<u64>,
    ) -> Result<Writer, Error> {
        let page_size = PAGE_SIZES[usize::try_from(id.0)? % PAGE_SIZES.len()];
        let (args, layout) = (&setup.args, &setup.layout);
        let lock = lock_copies(layout, id, File::lock)?; // 1
        let mut db = open_to_write(&layout.database(id), page_size)?;
        drop(lock);
        let log = LeaderLog::open(layout, id, args.mutant == Some(Mutant::IgnoreFloor))?;
        let load = args.load.as_deref().map(Load::read).transpose()?;
        let is_generated = load.is_none();
        let prepare =
            |db: &Connection| if is_generated { workload::make_tables(db) } else { Ok(()) };
        let progress = database::begin_work(&mut db, prepare); // 2
        let progress = progress.context(|| format!("shard {id}: cannot prepare the database"))?;
        load.as_ref().map_or(Ok(()), |load| load.check(progress))?;
        let until = load.as_ref().map_or(until, Load::len);
        let mut writer = Writer { setup, id, db, log, load, done: progress.done, until, clients };
        writer.committed()?;
        Ok(writer)
    }

    fn run(mut self) -> Result<(), Error> {
        loop {
            let has_work = self.done < self.until;
            let patience = if has_work { Duration::ZERO } else { LOOK_EVERY };
            let end = match self.clients.recv_timeout(patience) {
                Ok(client) => self.write_for(client)?,
                Err(RecvTimeoutError::Timeout) if has_work => self.commit_next()?, // 3
                Err(RecvTimeoutError::Timeout) => continue,                        // 4
                Err(RecvTimeoutError::Disconnected) => return Ok(()), // the parent is gone
            };
            if end.frame >= self.setup.args.log_frames {
                while !self.log.try_end(&self.db)? {
                    thread::sleep(LOOK_EVERY);
                }
                send(Event::LogEnded);
            }
        }
    }

    /// Commits the next transaction. Returns the end of the log.
    fn commit_next(&mut self) -> Result<LogPoint, Error> {
        let (shard, number) = (self.id, self.done + 1);
        if let Some(load) = &self.load {
            load.commit(&mut self.db, number)?;
        } else {
            let committed = workload::commit(&mut self.db, self.setup.seed, shard, number);
            committed.context(|| format!("shard {shard}: transaction {number} failed"))?;
        }
        self.done = number;
        self.committed()
    }

    /// Writes the row of a client. Returns the end of the log, where that transaction ends.
    fn write_for(&mut self, client: u64) -> Result<LogPoint, Error> {
        let written = database::write_row(&mut self.db, client);
        let failed = || format!("shard {}: cannot write the row of client {client}", self.id);
        let written = written.context(failed)?;
        let end = self.committed()?;
        send(Event::Written { client, written, end });
        Ok(end)
    }

    fn committed(&mut self) -> Result<LogPoint, Error> {
        let end = self.log.after_commit()?;
        let (shard, done, until) = (self.id.0, self.done, self.until);
        send(Event::Committed { shard, done, until, end });
        Ok(end)
    }
}
