//! Runs after something was lost, corrupted or changed, or with wrong arguments.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;

const SHORT: [&str; 8] =
    ["--transactions", "200", "--kills", "0", "--leader-kills", "0", "--reads", "40"];

struct Kept {
    _folder: tempfile::TempDir,
    dir: PathBuf,
}

impl Kept {
    /// A folder after one successful run.
    fn after_a_run() -> Kept {
        let kept = Kept::empty();
        let output = kept.run(&[]);
        assert!(output.status.success(), "{output:?}");
        kept
    }

    fn empty() -> Kept {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("kept");
        Kept { _folder: folder, dir }
    }

    fn run(&self, more: &[&str]) -> Output {
        self.start(&[&SHORT, more].concat())
    }

    fn start(&self, args: &[&str]) -> Output {
        let mut program = Command::new(env!("CARGO_BIN_EXE_sqlite-follower"));
        program.arg("--dir").arg(&self.dir).args(args).output().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Asserts that runs fail with these words until one with `--rebase` succeeds.
    fn needs_rebase(&self, words: &[&str]) {
        for _ in 0..2 {
            assert_fails(&self.run(&[]), &[words, &["--rebase"]].concat());
        }
        let rebased = self.run(&["--rebase"]);
        assert!(rebased.status.success(), "{rebased:?}");
        assert!(self.run(&[]).status.success());
    }
}

fn assert_fails(output: &Output, words: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "{word:?} is not in\n{stderr}");
    }
}

fn sql(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn after_another_process_removed_the_log_a_rebase_is_needed() {
    let kept = Kept::after_a_run();
    // The last connection to close checkpoints and removes the log, as SQLite's shell does.
    sql(&kept.path("leader/db2"), "SELECT count(*) FROM events");
    assert!(!kept.path("leader/db2-wal").exists());
    kept.needs_rebase(&["shard 2", "leader/db2-wal was reset, but the follower"]);
}

#[test]
fn a_leader_does_not_open_a_database_that_is_being_copied() {
    let kept = Kept::after_a_run();
    let copying = fs::File::open(kept.path("leader/db0.copies")).unwrap();
    copying.lock_shared().unwrap();
    thread::scope(|scope| {
        let run = scope.spawn(|| kept.run(&[]));
        thread::sleep(Duration::from_millis(2500));
        assert!(!run.is_finished(), "the leader opened it");
        drop(copying);
        assert!(run.join().unwrap().status.success());
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
    assert_fails(&kept.run(&[]), &["follower/positions is corrupt"]);
    fs::remove_file(&positions).unwrap();
    kept.needs_rebase(&["shard 0", "follower/positions does not hold the position"]);
}

#[test]
fn a_replica_without_a_mark_is_copied_again() {
    let kept = Kept::after_a_run();
    fs::remove_dir_all(kept.path("follower/checkpoint")).unwrap();
    fs::write(kept.path("follower/db0"), b"not a database").unwrap();
    assert!(kept.run(&[]).status.success());
}

#[test]
fn a_corrupt_checkpoint_is_reported_and_recovery_falls_back() {
    let kept = Kept::after_a_run();
    let files = fs::read_dir(kept.path("follower/checkpoint")).unwrap();
    let mut files: Vec<PathBuf> = files.map(|f| f.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "checkpoint"));
    files.sort();
    fs::write(files.last().unwrap(), b"").unwrap();
    let output = kept.run(&[]);
    assert!(output.status.success(), "{output:?}");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(stderr.contains("fell back to generation"), "{stderr}");
}

#[test]
fn the_checkpoint_of_another_folder_is_refused() {
    let (kept, other) = (Kept::after_a_run(), Kept::after_a_run());
    let checkpoint = kept.path("follower/checkpoint");
    fs::remove_dir_all(&checkpoint).unwrap();
    fs::rename(other.path("follower/checkpoint"), &checkpoint).unwrap();
    assert_fails(&kept.run(&[]), &["follower/checkpoint"]);
}

#[test]
fn a_folder_with_other_files_is_refused_and_left_unchanged() {
    let kept = Kept::empty();
    fs::create_dir_all(&kept.dir).unwrap();
    fs::write(kept.path("letter.txt"), b"mine").unwrap();
    assert_fails(&kept.run(&[]), &["letter.txt", "empty --dir"]);
    assert_eq!(fs::read_dir(&kept.dir).unwrap().count(), 1);
}

#[test]
fn wrong_arguments_end_with_exit_status_2() {
    assert_eq!(Kept::empty().start(&["--kils", "3"]).status.code(), Some(2));
    assert_eq!(Kept::empty().start(&["--kills", "many"]).status.code(), Some(2));
}

#[test]
fn a_users_sql_runs_line_by_line_and_a_second_run_continues() {
    let kept = Kept::empty();
    let file = kept.dir.with_extension("sql");
    let mut lines = "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n\
        CREATE TABLE \"my things\" (\n  a INTEGER PRIMARY KEY,\n  b -- a comment; so\n);\n\
        CREATE TRIGGER t AFTER INSERT ON \"my things\" BEGIN\n  SELECT 1;\nEND;\n"
        .to_owned();
    for i in 0..300 {
        let text = format!(
            "INSERT INTO \"my things\" (b) VALUES ('it''s; {i}'); DELETE FROM \"my things\" \
             WHERE a = {};\n",
            i / 2
        );
        lines.push_str(&text);
    }
    lines.push_str("COMMIT;\nVACUUM;\n");
    fs::write(&file, &lines).unwrap();
    let load = file.to_str().unwrap();
    let args = ["--load", load, "--kills", "2", "--log-frames", "100", "--reads", "60"];
    let output = kept.start(&args);
    assert!(output.status.success(), "{output:?}");

    // The error names the failed line. Those before it stay, and a run with a mended file
    // continues.
    let count = lines.lines().count();
    fs::write(&file, format!("{lines}CREATE TABLE more (x);\nINSERT INTO nowhere VALUES (1);\n"))
        .unwrap();
    let at = format!("line {} failed", count + 2);
    assert_fails(&kept.start(&args), &[&at, "nowhere", load]);
    fs::write(&file, format!("{lines}CREATE TABLE more (x);\nINSERT INTO more VALUES (1);\n"))
        .unwrap();
    let output = kept.start(&args);
    assert!(output.status.success(), "{output:?}");
    // The replica: opening the leader's database here would remove its log.
    let replica = format!("file:{}?immutable=1", kept.path("follower/db0").display());
    let db = Connection::open(replica).unwrap();
    let rows = |table| {
        let count = format!("SELECT count(*) FROM {table}");
        db.query_row(&count, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!((rows("\"my things\""), rows("more")), (151, 1));

    fs::write(&file, lines.replace("it''s", "it was")).unwrap();
    assert_fails(&kept.start(&args), &["differ from those"]);
    fs::write(&file, "PRAGMA journal_mode = delete;\n").unwrap();
    assert_fails(&Kept::empty().start(&args), &["line 1", "log out of the leader's control"]);
    assert_fails(&Kept::empty().start(&["--load", "/nowhere.sql"]), &["cannot read /nowhere.sql"]);
}
