//! Rows and mark are committed together, once.

use std::future::Future;
use std::pin::pin;
use std::task::{Poll, Waker};

use repl_core::LogId;
use tempfile::TempDir;

use super::*;
use crate::changes::Transaction;
use crate::pgoutput::{Column, Relation, Value};

/// A commit to SQLite waits for nothing.
fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut std::task::Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

fn columns() -> Vec<Column> {
    let column = |name: &str, is_key, type_id| {
        let name = name.to_owned();
        Column { name, is_key, type_id, modifier: -1 }
    };
    vec![column("k", true, 23), column("v", false, 1042)]
}

fn table() -> Table {
    let sql_types = ["integer", "character(3)"].map(str::to_owned).to_vec();
    Table { name: "t".to_owned(), columns: columns(), sql_types }
}

/// A file with an empty table, and the shard at 10.
fn sink() -> (TempDir, Sqlite, Arc<ReplicationState>) {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = Sqlite::open(&folder.path().join("copy")).unwrap();
    assert!(matches!(ready(sink.stored()), Ok(Stored::Nothing)));
    sink.connection.execute_batch(&create(&table())).unwrap();
    assert!(matches!(ready(sink.stored()), Ok(Stored::DataWithoutMarks)));
    let marks = ReplicationState::new(&[]);
    marks.add_shard(NewShard::new(SHARD).with_mark(10)).unwrap();
    let bytes = marks.to_checkpoint_bytes();
    sink.connection.execute_batch(MARKS).unwrap();
    sink.connection.execute("insert into follower_marks values (?, 0)", [bytes]).unwrap();
    (folder, sink, Arc::new(marks))
}

fn stored(sink: &mut Sqlite) -> (Option<SeqNo>, Vec<String>) {
    let Ok(Stored::Marks(marks)) = ready(sink.stored()) else { panic!("no marks") };
    let mut lines = sink.read(&table()).unwrap();
    lines.sort();
    let lines = lines.into_iter().map(|line| String::from_utf8(line).unwrap()).collect();
    (marks.applied_seqno(SHARD), lines)
}

fn transaction(end: SeqNo, kinds: Vec<Kind>) -> Transaction {
    let (table, columns) = ("t".to_owned(), columns());
    let relation = Arc::new(Relation { id: 1, table, identity: b'd', columns });
    let change = |kind| Change { relation: Arc::clone(&relation), kind };
    Transaction { changes: kinds.into_iter().map(change).collect(), end }
}

fn row(k: &str, v: &str) -> Vec<Value> {
    vec![Value::Text(k.to_owned()), Value::Text(v.to_owned())]
}

#[test]
fn rows_and_mark_are_committed_together_and_a_repeated_commit_changes_nothing() {
    let (_folder, mut sink, marks) = sink();
    let live = marks.shard(SHARD).unwrap();
    let insert = |k, v| Kind::Insert(row(k, v));
    let first = [transaction(20, vec![insert("5", "a  "), insert("-6", "b"), insert("7", "c")])];
    let change = Kind::Update(row("5", ""), row("8", "\t"));
    let second = [transaction(30, vec![change, Kind::Delete(row("7", ""))])];
    for work in [&first, &first, &second, &second, &first] {
        let work = Work { transactions: work, mark: Some(work[0].end) };
        ready(sink.commit(&live, work)).unwrap();
        live.advance(work.transactions[0].end);
    }
    let rows = ["-6\tb", "8\t\\t"].map(str::to_owned).to_vec();
    assert_eq!(stored(&mut sink), (Some(30), rows));
    let truncate = [transaction(40, vec![Kind::Truncate])];
    ready(sink.commit(&live, Work { transactions: &truncate, mark: Some(40) })).unwrap();
    assert_eq!(stored(&mut sink), (Some(40), Vec::new()));
}

#[test]
fn a_follower_whose_mark_another_has_moved_commits_nothing() {
    let (_folder, mut sink, marks) = sink();
    let live = marks.shard(SHARD).unwrap();
    let insert = |k, end| [transaction(end, vec![Kind::Insert(row(k, "a"))])];
    let first = insert("1", 20);
    ready(sink.commit(&live, Work { transactions: &first, mark: Some(20) })).unwrap();
    // A second follower, whose mark is still 10, or that follows another log.
    let other_log = ReplicationState::new(&[]);
    let new = NewShard::new(SHARD).with_mark(20).with_log(LogId(9));
    for behind in [live, other_log.add_shard(new).unwrap()] {
        let second = insert("2", 30);
        let failed = ready(sink.commit(&behind, Work { transactions: &second, mark: Some(30) }));
        assert!(matches!(failed, Err(Failure::Overtaken { .. })), "{failed:?}");
    }
    assert_eq!(stored(&mut sink), (Some(20), vec!["1\ta".to_owned()]));
}

#[test]
fn a_second_follower_of_the_file_is_refused() {
    let (folder, sink, _) = sink();
    let path = folder.path().join("copy");
    let failed = Sqlite::open(&path).map(|_| ());
    assert!(matches!(failed, Err(Failure::Locked { .. })), "{failed:?}");
    drop(sink);
    Sqlite::open(&path).unwrap();
}

#[test]
fn a_change_of_a_row_that_is_missing_fails_and_commits_nothing() {
    let (_folder, mut sink, marks) = sink();
    let live = marks.shard(SHARD).unwrap();
    let kinds = vec![Kind::Insert(row("1", "a")), Kind::Delete(row("2", ""))];
    let broken = [transaction(20, kinds)];
    let failed = ready(sink.commit(&live, Work { transactions: &broken, mark: Some(20) }));
    assert!(matches!(&failed, Err(Failure::MissingRow { table }) if table == "t"), "{failed:?}");
    assert_eq!(stored(&mut sink), (Some(10), Vec::new()));
}

#[test]
fn damaged_marks_are_an_error_and_never_a_new_start() {
    let (_folder, mut sink, _) = sink();
    let damage = "update follower_marks set bytes = x'00'";
    sink.connection.execute_batch(damage).unwrap();
    let failed = ready(sink.stored());
    assert!(matches!(failed, Err(Failure::CorruptMarks { .. })), "{failed:?}");
    sink.connection.execute_batch("delete from follower_marks").unwrap();
    let failed = ready(sink.stored());
    assert!(matches!(failed, Err(Failure::CorruptMarks { .. })), "{failed:?}");
}
