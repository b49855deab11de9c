//! Rows and mark are committed together, once.

use std::future::Future;
use std::pin::pin;
use std::task::{Poll, Waker};

use repl_core::SeqNo;
use tempfile::TempDir;

use super::*;
use crate::changes::Transaction;
use crate::copy::Column;
use crate::pgoutput::{self, Relation, Value};

/// A commit to SQLite waits for nothing.
fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut std::task::Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

fn table() -> Table {
    let column = |name: &str, sql_type: &str, is_key| {
        let (name, sql_type) = (name.to_owned(), sql_type.to_owned());
        Column { name, sql_type, is_key }
    };
    let columns = vec![column("k", "integer", true), column("v", "character(3)", false)];
    Table { name: "t".to_owned(), columns }
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
    let column = |name: &str, is_key| pgoutput::Column { name: name.to_owned(), is_key };
    let columns = vec![column("k", true), column("v", false)];
    let relation = Arc::new(Relation { id: 1, table: "t".to_owned(), columns });
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
    }
    let rows = ["-6\tb", "8\t\\t"].map(str::to_owned).to_vec();
    assert_eq!(stored(&mut sink), (Some(30), rows));
    let truncate = [transaction(40, vec![Kind::Truncate])];
    ready(sink.commit(&live, Work { transactions: &truncate, mark: Some(40) })).unwrap();
    assert_eq!(stored(&mut sink), (Some(40), Vec::new()));
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
