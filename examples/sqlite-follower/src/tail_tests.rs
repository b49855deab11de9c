use std::fs;

use rusqlite::Connection;

use super::*;
use crate::source::open_to_write;

struct Database {
    folder: tempfile::TempDir,
    db: Connection,
}

impl Database {
    fn new(page_size: u32) -> Database {
        let folder = tempfile::tempdir().unwrap();
        let db = open_to_write(&folder.path().join("db"), page_size).unwrap();
        db.execute_batch("CREATE TABLE t (x)").unwrap();
        Database { folder, db }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("db-wal")
    }

    fn tail(&self) -> (Tail, LogPoint) {
        let mut tail = Tail::new(&self.log());
        let header = tail.header().unwrap().unwrap();
        let end = tail.end_after(&header, header.start()).unwrap();
        (tail, end)
    }

    fn run(&self, sql: &str) {
        self.db.execute_batch(sql).unwrap();
    }

    /// Runs a transaction that spills, and ends it with `last`.
    fn spill(&self, last: &str) {
        self.run("PRAGMA cache_size = 5; BEGIN");
        for _ in 0..40 {
            self.run("INSERT INTO t VALUES (randomblob(3000))");
        }
        self.run(last);
    }
}

fn expect_transaction(step: Step<'_>) -> (LogPoint, u32, usize) {
    match step {
        Step::Transaction(t) => (t.end, t.commit_size, t.frame_count()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_transaction_is_read_once() {
    let database = Database::new(1024);
    let (mut tail, mut at) = database.tail();
    for rows in [1, 50, 3] {
        assert!(matches!(tail.step(&at).unwrap(), Step::Idle));
        let values = vec!["(randomblob(900))"; rows].join(",");
        database.run(&format!("INSERT INTO t VALUES {values}"));
        let (end, _, frames) = expect_transaction(tail.step(&at).unwrap());
        assert!(frames >= rows && end.frame as usize == at.frame as usize + frames);
        at = end;
    }
    assert_eq!(at, database.tail().1);
}

#[test]
fn uncommitted_frames_are_ignored_and_what_overwrites_them_is_read() {
    let database = Database::new(1024);
    let (mut tail, at) = database.tail();
    let header = tail.header().unwrap().unwrap();
    database.spill("SELECT 1");
    let in_file = fs::metadata(database.log()).unwrap().len();
    assert!(in_file > header.offset_after(at.frame + 20), "it did not spill");
    assert!(matches!(tail.step(&at).unwrap(), Step::Idle), "while it is open");
    database.run("ROLLBACK");
    assert!(matches!(tail.step(&at).unwrap(), Step::Idle), "rolled back");

    database.run("INSERT INTO t VALUES (1)");
    assert_eq!(fs::metadata(database.log()).unwrap().len(), in_file, "not overwritten");
    let (end, _, frames) = expect_transaction(tail.step(&at).unwrap());
    assert_eq!((end.salts, end.frame as usize), (at.salts, at.frame as usize + frames));
    assert!(frames < 5);
    assert!(matches!(tail.step(&end).unwrap(), Step::Idle), "stale frames after it");
}

#[test]
fn a_transaction_that_spills_is_read_whole() {
    let database = Database::new(1024);
    let (mut tail, at) = database.tail();
    database.spill("COMMIT");
    let (end, size, frames) = expect_transaction(tail.step(&at).unwrap());
    assert!(frames > 100 && size > 100);
    assert_eq!(end, database.tail().1);
}

#[test]
fn a_vacuum_commits_a_smaller_database() {
    let database = Database::new(1024);
    let (mut tail, at) = database.tail();
    database.spill("COMMIT");
    let (at, before, _) = expect_transaction(tail.step(&at).unwrap());
    database.run("DELETE FROM t WHERE rowid > 3");
    let (at, _, _) = expect_transaction(tail.step(&at).unwrap());
    database.run("VACUUM");
    let (_, after, _) = expect_transaction(tail.step(&at).unwrap());
    assert!(after < before / 4, "{before} to {after} pages");
}

#[test]
fn a_restart_shows_as_a_new_log_from_its_first_frame_on() {
    let database = Database::new(1024);
    let (mut tail, at) = database.tail();
    database.run("PRAGMA wal_checkpoint(RESTART)");
    assert!(matches!(tail.step(&at).unwrap(), Step::Idle));
    database.run("INSERT INTO t VALUES (1)");
    match tail.step(&at).unwrap() {
        Step::NewLog(header) => {
            assert_eq!(header.salts[0], at.salts[0].wrapping_add(1));
            expect_transaction(tail.step(&header.start()).unwrap());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_rewritten_frame_under_the_same_salts_is_detected() {
    let database = Database::new(1024);
    let copy = tempfile::tempdir().unwrap();
    for name in ["db", "db-wal"] {
        fs::copy(database.folder.path().join(name), copy.path().join(name)).unwrap();
    }
    let other = open_to_write(&copy.path().join("db"), 1024).unwrap();
    other.execute_batch("INSERT INTO t VALUES ('other')").unwrap();
    database.run("INSERT INTO t VALUES ('this')");
    let (_, at) = database.tail();

    let mut tail = Tail::new(&copy.path().join("db-wal"));
    assert_eq!(tail.header().unwrap().unwrap().salts, at.salts);
    assert!(matches!(tail.step(&at).unwrap(), Step::Rewritten));
}

#[test]
fn a_log_cut_at_any_byte_ends_after_its_last_whole_transaction() {
    let database = Database::new(512);
    let (_, start) = database.tail();
    let mut ends = vec![start];
    for _ in 0..3 {
        database.run("INSERT INTO t VALUES (randomblob(700))");
        ends.push(database.tail().1);
    }
    let whole = fs::read(database.log()).unwrap();
    let path = database.folder.path().join("cut");
    for length in 0..=whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let mut tail = Tail::new(&path);
        match tail.header() {
            Ok(None) => assert_eq!(length, 0),
            Ok(Some(header)) => {
                let end = tail.end_after(&header, header.start()).unwrap();
                let fits = |end: &&LogPoint| header.offset_after(end.frame) <= length as u64;
                let expected = ends.iter().rfind(fits).copied();
                assert_eq!(end, expected.unwrap_or(header.start()), "{length}");
            }
            Err(e) => assert!(length < HEADER_SIZE, "{e}"),
        }
    }
}

#[test]
fn a_log_file_that_is_replaced_is_opened_again() {
    let database = Database::new(512);
    let (mut tail, at) = database.tail();
    assert!(matches!(tail.step(&at).unwrap(), Step::Idle));
    let moved = database.folder.path().join("moved");
    fs::rename(database.log(), &moved).unwrap();
    assert!(matches!(tail.step(&at).unwrap(), Step::Idle), "finds it replaced");
    assert!(matches!(tail.step(&at).unwrap(), Step::NoLog));
    fs::copy(&moved, database.log()).unwrap();
    assert!(matches!(tail.step(&at).unwrap(), Step::Idle), "the same log again");
}
