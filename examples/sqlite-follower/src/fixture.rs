//! For tests: a leader's database with one table, in the folders of a run.

use repl_core::ShardId;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::database::open_to_write;
use crate::layout::Layout;
use crate::tail::Tail;
use crate::wal::LogPoint;

pub(crate) const SHARD: ShardId = ShardId(0);

pub(crate) struct Fixture {
    pub(crate) _folder: TempDir,
    pub(crate) layout: Layout,
    pub(crate) db: Connection,
}

impl Fixture {
    pub(crate) fn new(page_size: u32) -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout(folder.path().to_owned());
        layout.create().unwrap();
        let db = open_to_write(&layout.database(SHARD), page_size).unwrap();
        db.execute_batch("CREATE TABLE t (x)").unwrap();
        Fixture { _folder: folder, layout, db }
    }

    /// Closes the database and opens it again, as after a kill of the leader.
    pub(crate) fn reopened(self) -> Fixture {
        drop(self.db);
        let db = open_to_write(&self.layout.database(SHARD), 1024).unwrap();
        Fixture { db, ..self }
    }

    pub(crate) fn run(&self, sql: &str) {
        self.db.execute_batch(sql).unwrap();
    }

    /// Runs a transaction that spills, and ends it with `last`.
    pub(crate) fn spill(&self, last: &str) {
        self.run("PRAGMA cache_size = 5; BEGIN");
        for _ in 0..40 {
            self.run("INSERT INTO t VALUES (randomblob(3000))");
        }
        self.run(last);
    }

    /// A reader of the log, and the end of the log.
    pub(crate) fn tail(&self) -> (Tail, LogPoint) {
        let mut tail = Tail::new(&self.layout.log(SHARD));
        let end = tail.end(None).unwrap().unwrap();
        (tail, end)
    }
}
