use std::fs;

use super::*;
use crate::database::open_to_write;
use crate::fixture::{Fixture, SHARD};

fn log(database: &Fixture) -> PathBuf {
    database.layout.log(SHARD)
}

fn expect_transaction(step: Step<'_>) -> (LogPoint, u32, usize) {
    match step {
        Step::Transaction(t) => (t.end, t.commit_size, t.frame_count()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn uncommitted_frames_are_ignored_and_what_overwrites_them_is_read_whole() {
    let database = Fixture::new(1024);
    let (mut tail, at) = database.tail();
    let header = tail.header().unwrap().unwrap();
    database.spill("SELECT 1");
    let in_file = fs::metadata(log(&database)).unwrap().len();
    assert!(in_file > header.offset_after(at.frame + 20), "it did not spill");
    assert!(matches!(tail.step(&at).unwrap(), Step::Idle), "while it is open");
    database.run("ROLLBACK");
    assert!(matches!(tail.step(&at).unwrap(), Step::Idle), "rolled back");

    database.run("INSERT INTO t VALUES (1)");
    assert_eq!(fs::metadata(log(&database)).unwrap().len(), in_file, "not overwritten");
    let (end, _, frames) = expect_transaction(tail.step(&at).unwrap());
    assert_eq!((end.salts, end.frame as usize), (at.salts, at.frame as usize + frames));
    assert!(frames < 5);
    assert!(matches!(tail.step(&end).unwrap(), Step::Idle), "stale frames after it");

    database.spill("COMMIT");
    let (last, size, frames) = expect_transaction(tail.step(&end).unwrap());
    assert!(frames > 100 && size > 100, "more than one read");
    assert_eq!(last, database.tail().1);
}

#[test]
fn a_rewritten_frame_under_the_same_salts_is_detected() {
    let database = Fixture::new(1024);
    let copy = tempfile::tempdir().unwrap();
    fs::copy(database.layout.database(SHARD), copy.path().join("db")).unwrap();
    fs::copy(log(&database), copy.path().join("db-wal")).unwrap();
    let other = open_to_write(&copy.path().join("db"), 1024).unwrap();
    other.execute_batch("INSERT INTO t VALUES ('other')").unwrap();
    database.run("INSERT INTO t VALUES ('this')");
    let (_, at) = database.tail();

    let mut tail = Tail::new(&copy.path().join("db-wal"));
    assert_eq!(tail.header().unwrap().unwrap().salts, at.salts);
    assert!(matches!(tail.step(&at).unwrap(), Step::Reset(REWRITTEN)));
}

#[test]
fn a_log_cut_at_any_byte_ends_after_its_last_whole_transaction() {
    let database = Fixture::new(512);
    let (_, start) = database.tail();
    let mut ends = vec![start];
    for _ in 0..3 {
        database.run("INSERT INTO t VALUES (randomblob(700))");
        ends.push(database.tail().1);
    }
    let whole = fs::read(log(&database)).unwrap();
    let header = WalHeader::parse(&whole).unwrap();
    let path = database.layout.database(SHARD).with_extension("cut");
    for length in 0..=whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let mut tail = Tail::new(&path);
        let fits = |end: &&LogPoint| header.offset_after(end.frame) <= length as u64;
        assert_eq!(tail.end(None).unwrap(), ends.iter().rfind(fits).copied(), "{length}");
    }
}

#[test]
fn a_log_file_that_is_replaced_is_opened_again() {
    let database = Fixture::new(512);
    let (mut tail, at) = database.tail();
    let moved = database.layout.database(SHARD).with_extension("moved");
    fs::rename(log(&database), &moved).unwrap();
    assert!(matches!(tail.step(&at).unwrap(), Step::Reset(NO_LOG)));
    fs::copy(&moved, log(&database)).unwrap();
    assert!(matches!(tail.step(&at).unwrap(), Step::Idle), "the same log again");
}
