use std::fs;

use super::*;
use crate::base_copy::copy_base;
use crate::database::open_to_write;
use crate::fixture::{Fixture, SHARD};
use crate::tail::{Step, Tail};
use crate::verify::compare;
use crate::wal::LogPoint;

/// A leader with some rows, and a base copy of it.
struct Pair {
    leader: Fixture,
    tail: Tail,
    at: LogPoint,
}

impl Pair {
    fn new(page_size: u32) -> Pair {
        let leader = Fixture::new(page_size);
        leader.run("INSERT INTO t VALUES (1)");
        let (mut tail, _) = leader.tail();
        let at = copy_base(&leader.layout, SHARD, &mut tail).unwrap();
        Pair { leader, tail, at }
    }

    fn path(&self) -> PathBuf {
        self.leader.layout.replica(SHARD)
    }

    fn replica(&self, mark: LogPoint, end: LogPoint) -> Replica {
        let (mark, end) = (u64::from(mark.frame), u64::from(end.frame));
        Replica::open(&self.path(), None, mark, end).unwrap()
    }

    fn grow(&self) {
        self.leader.run("INSERT INTO t VALUES (randomblob(30000))");
    }

    fn shrink(&self) {
        self.leader.run("DELETE FROM t WHERE rowid > 2");
        self.leader.run("VACUUM");
    }

    /// Applies up to `transactions` from `at` on. Returns the place reached.
    fn apply(&mut self, replica: &Replica, mut at: LogPoint, transactions: usize) -> LogPoint {
        for _ in 0..transactions {
            let Step::Transaction(t) = self.tail.step(&at).unwrap() else { break };
            replica.apply(&t, u64::from(t.end.frame)).unwrap();
            at = t.end;
        }
        at
    }

    fn differences(&self) -> Vec<String> {
        compare(&self.leader.layout, SHARD).unwrap().differences
    }
}

fn is_readable(replica: &Replica) -> bool {
    replica.read(|_| Ok(())).unwrap().is_some()
}

#[test]
fn a_replica_equals_and_shrinks_with_its_leader_at_every_page_size() {
    for page_size in [512, 1024, 4096, 65536] {
        let mut pair = Pair::new(page_size);
        let replica = pair.replica(pair.at, pair.at);
        for _ in 0..5 {
            pair.grow();
        }
        let at = pair.apply(&replica, pair.at, usize::MAX);
        assert_eq!(pair.differences(), Vec::<String>::new());
        let before = fs::metadata(pair.path()).unwrap().len();
        pair.shrink();
        assert_ne!(pair.differences(), Vec::<String>::new(), "not yet applied");
        pair.apply(&replica, at, usize::MAX);
        assert_eq!(pair.differences(), Vec::<String>::new());
        let after = fs::metadata(pair.path()).unwrap().len();
        assert!(after < before, "{before} to {after} bytes");
    }
}

#[test]
fn what_was_applied_above_the_mark_is_applied_again_before_any_read() {
    let mut pair = Pair::new(1024);
    let mark = pair.at;
    let replica = pair.replica(mark, mark);
    for _ in 0..4 {
        pair.grow();
    }
    pair.shrink();
    pair.grow();
    let end = pair.apply(&replica, mark, usize::MAX);
    assert!(is_readable(&replica));
    drop(replica);

    // Another process starts at the mark. The file is at the end, and shrinks and grows meanwhile.
    let replica = pair.replica(mark, end);
    let mut at = mark;
    while at != end {
        assert!(!is_readable(&replica), "{at:?}");
        at = pair.apply(&replica, at, 1);
    }
    let count = |db: &Connection| db.query_row("SELECT count(*) FROM t", [], |r| r.get(0));
    assert_eq!(replica.read(count).unwrap(), Some((3_i64, u64::from(end.frame))));
    assert_eq!(pair.differences(), Vec::<String>::new());
}

#[test]
fn after_a_failed_apply_reads_are_refused() {
    let mut pair = Pair::new(1024);
    let path = pair.path();
    let replica = Replica {
        // Opened read-only, so that writing fails.
        file: File::open(&path).unwrap(),
        ..pair.replica(pair.at, pair.at)
    };
    assert!(is_readable(&replica));
    pair.grow();
    let Step::Transaction(t) = pair.tail.step(&pair.at).unwrap() else { panic!("no transaction") };
    let failed = replica.apply(&t, u64::from(t.end.frame)).unwrap_err();
    assert!(failed.to_string().contains("cannot write the replica"), "{failed}");
    assert!(!is_readable(&replica));
}

#[test]
fn no_base_copy_is_made_while_sqlite_does_not_count_the_last_commit() {
    let Pair { leader: Fixture { _folder, layout, db }, mut tail, .. } = Pair::new(1024);
    let log = layout.log(SHARD);
    // The frames of one more commit, as left by a leader killed before it counts them in the index.
    let other = tempfile::tempdir().unwrap();
    let copy = other.path().join("db");
    fs::copy(layout.database(SHARD), &copy).unwrap();
    fs::copy(&log, other.path().join("db-wal")).unwrap();
    let killed = open_to_write(&copy, 1024).unwrap();
    killed.execute_batch("INSERT INTO t VALUES ('late')").unwrap();
    let more = fs::read(other.path().join("db-wal")).unwrap();
    let before = fs::metadata(&log).unwrap().len();
    let file = File::options().write(true).open(&log).unwrap();
    file.write_all_at(&more[usize::try_from(before).unwrap()..], before).unwrap();
    assert!(more.len() as u64 > before);

    std::thread::scope(|scope| {
        let copying = scope.spawn(|| copy_base(&layout, SHARD, &mut tail));
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(!copying.is_finished(), "the copy would lack the last commit");
        // Once the last connection of the killed leader is closed, the commit counts.
        drop(db);
        copying.join().unwrap().unwrap();
    });
    assert_eq!(compare(&layout, SHARD).unwrap().differences, Vec::<String>::new());
    let replica = open_immutable(&layout.replica(SHARD)).unwrap();
    let late = "SELECT count(*) FROM t WHERE x = 'late'";
    assert_eq!(replica.query_row(late, [], |row| row.get::<_, i64>(0)).unwrap(), 1);
}

#[test]
fn a_path_with_special_characters_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a b?c#d%20\u{e4}");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let db = open_immutable(&path).unwrap();
    db.query_row("SELECT count(*) FROM t", [], |_| Ok(())).unwrap();
}
