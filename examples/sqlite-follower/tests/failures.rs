//! Runs after something was lost, corrupted or changed, or with wrong arguments.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use example_support::files;
use example_support::testing::Program;
use rusqlite::Connection;

const PROGRAM: Program = Program(env!("CARGO_BIN_EXE_sqlite-follower"));

struct Kept {
    _folder: tempfile::TempDir,
    dir: PathBuf,
}

impl Kept {
    /// A folder after one successful run.
    fn after_a_run() -> Kept {
        let kept = Kept::empty();
        kept.succeeds("");
        kept
    }

    fn empty() -> Kept {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("kept");
        Kept { _folder: folder, dir }
    }

    /// The arguments of a short run in the folder.
    fn args(&self, more: &str) -> String {
        let short = "--transactions 200 --kills 0 --leader-kills 0 --reads 40";
        format!("--dir {} {short} {more}", self.dir.display())
    }

    fn succeeds(&self, more: &str) -> String {
        PROGRAM.succeeds(&self.args(more))
    }

    fn fails(&self, words: &[&str]) {
        PROGRAM.fails(&self.args(""), words);
    }

    /// The arguments that load a file beside the folder, and its path.
    fn load(&self, sql: &str) -> (String, PathBuf) {
        let file = self.dir.with_extension("sql");
        fs::write(&file, sql).unwrap();
        let args = format!("--dir {} --load {}", self.dir.display(), file.display());
        (format!("{args} --kills 2 --log-frames 100 --reads 60"), file)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Asserts that runs fail with these words until one with `--rebase` succeeds.
    fn needs_rebase(&self, words: &[&str]) {
        for _ in 0..2 {
            self.fails(&[words, &["--rebase"]].concat());
        }
        self.succeeds("--rebase");
        self.succeeds("");
    }
}

#[test]
fn after_another_process_removed_the_log_a_rebase_is_needed() {
    let kept = Kept::after_a_run();
    // The last connection to close checkpoints and removes the log, as SQLite's shell does.
    let shell = Connection::open(kept.path("leader/db2")).unwrap();
    shell.execute_batch("SELECT count(*) FROM events").unwrap();
    drop(shell);
    assert!(!kept.path("leader/db2-wal").exists());
    kept.needs_rebase(&["shard 2", "leader/db2-wal was reset, but the follower"]);
}

#[test]
fn a_leader_does_not_open_a_database_that_is_being_copied() {
    let kept = Kept::after_a_run();
    let copying = fs::File::open(kept.path("leader/db0.copies")).unwrap();
    copying.lock_shared().unwrap();
    thread::scope(|scope| {
        let run = scope.spawn(|| kept.succeeds(""));
        thread::sleep(Duration::from_millis(2500));
        assert!(!run.is_finished(), "the leader opened it");
        drop(copying);
        run.join().unwrap();
    });
}

#[test]
fn without_its_replica_a_shard_needs_a_rebase() {
    let kept = Kept::after_a_run();
    fs::remove_file(kept.path("follower/db1")).unwrap();
    kept.needs_rebase(&["shard 1", "no replica", "follower/db1"]);
}

#[test]
fn missing_or_corrupt_positions_are_an_error() {
    let kept = Kept::after_a_run();
    let positions = kept.path("follower/positions");
    let whole = fs::read(&positions).unwrap();
    fs::write(&positions, &whole[..whole.len() - 1]).unwrap();
    kept.fails(&["follower/positions is corrupt"]);
    fs::remove_file(&positions).unwrap();
    kept.needs_rebase(&["shard 0", "follower/positions does not hold the position"]);
}

#[test]
fn a_replica_without_a_mark_is_copied_again() {
    let kept = Kept::after_a_run();
    fs::remove_dir_all(kept.path("follower/checkpoint")).unwrap();
    fs::write(kept.path("follower/db0"), b"not a database").unwrap();
    kept.succeeds("");
}

#[test]
fn a_corrupt_checkpoint_is_reported_and_recovery_falls_back() {
    let kept = Kept::after_a_run();
    let checkpoints = files::checkpoints_in(&kept.path("follower/checkpoint")).unwrap();
    fs::write(checkpoints.last().unwrap(), b"").unwrap();
    let printed = kept.succeeds("");
    assert!(printed.contains("fell back to generation"), "{printed}");
}

#[test]
fn the_checkpoint_of_another_folder_is_refused() {
    let (kept, other) = (Kept::after_a_run(), Kept::after_a_run());
    let checkpoint = kept.path("follower/checkpoint");
    fs::remove_dir_all(&checkpoint).unwrap();
    fs::rename(other.path("follower/checkpoint"), &checkpoint).unwrap();
    kept.fails(&["follower/checkpoint"]);
}

#[test]
fn a_folder_with_other_files_is_refused_and_left_unchanged() {
    let kept = Kept::empty();
    fs::create_dir_all(&kept.dir).unwrap();
    fs::write(kept.path("letter.txt"), b"mine").unwrap();
    kept.fails(&["letter.txt", "empty --dir"]);
    assert_eq!(fs::read_dir(&kept.dir).unwrap().count(), 1);
}

#[test]
fn wrong_arguments_end_with_exit_status_2() {
    assert_eq!(PROGRAM.run("--kils 3").status.code(), Some(2));
    assert_eq!(PROGRAM.run("--kills many").status.code(), Some(2));
}

#[test]
fn a_users_sql_runs_statement_by_statement_and_a_second_run_continues() {
    let kept = Kept::empty();
    let mut lines = "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n\
        CREATE TABLE \"my things\" (\n  a INTEGER PRIMARY KEY,\n  b -- a comment; so\n);\n\
        CREATE TRIGGER t AFTER INSERT ON \"my things\" BEGIN\n  SELECT 1;\nEND;\n"
        .to_owned();
    let insert = |i| format!("INSERT INTO \"my things\" (b) VALUES ('it''s; {i}');");
    let delete = |a| format!("DELETE FROM \"my things\"\n WHERE a = {a};\n");
    lines.extend((0..300).flat_map(|i| [insert(i), delete(i / 2)]));
    lines.push_str("COMMIT;\nVACUUM;\n");
    let (args, file) = kept.load(&lines);
    let report = PROGRAM.report(&args);
    assert_eq!(report["transactions"], 6 + 600, "each statement is a transaction");

    // The error names the failed line. What is before it stays, even on the same line, and a run
    // with a mended file continues.
    let more = format!("{lines}CREATE TABLE more (x);\nINSERT INTO more VALUES (1);");
    kept.load(&format!("{more} INSERT INTO nowhere VALUES (1);\n"));
    let at = format!("line {} failed", lines.lines().count() + 2);
    PROGRAM.fails(&args, &[&at, "nowhere", file.to_str().unwrap()]);
    kept.load(&format!("{more} INSERT INTO more VALUES (2);\n"));
    PROGRAM.succeeds(&args);
    // The replica: opening the leader's database here would remove its log.
    let replica = format!("file:{}?immutable=1", kept.path("follower/db0").display());
    let db = Connection::open(replica).unwrap();
    let rows = |table| {
        let count = format!("SELECT count(*) FROM {table}");
        db.query_row(&count, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!((rows("\"my things\""), rows("more")), (151, 2));

    kept.load(&lines.replace("it''s", "it was"));
    PROGRAM.fails(&args, &["differ from those"]);
}

#[test]
fn statements_that_cannot_run_are_refused_before_anything_is_created() {
    let whys = [
        ("PRAGMA journal_mode = delete", "log out of the leader's control"),
        ("SAVEPOINT here", "SAVEPOINT or RELEASE, but each statement is a transaction"),
        ("RELEASE here", "SAVEPOINT or RELEASE, but each statement is a transaction"),
        ("ROLLBACK", "ROLLBACK, but each statement is committed"),
    ];
    for (statement, why) in whys {
        let kept = Kept::empty();
        let (args, _) = kept.load(&format!("CREATE TABLE t (x);\nSELECT 1;\n {statement};\n"));
        PROGRAM.fails(&args, &["line 3 is refused", why]);
        assert!(!kept.dir.exists(), "{statement}");
    }
}

#[test]
fn a_missing_sql_file_is_noticed_before_anything_is_created() {
    let kept = Kept::empty();
    let args = format!("--dir {} --load /nowhere.sql", kept.dir.display());
    let printed = PROGRAM.fails(&args, &["sqlite-follower: cannot read /nowhere.sql"]);
    assert!(!kept.dir.exists());
    assert!(!printed.contains("leader"), "a process was started: {printed}");
    PROGRAM.fails("--load /nowhere.sql", &["sqlite-follower: cannot read /nowhere.sql"]);
}
