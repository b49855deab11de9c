//! Sessions with the program, in a directory of their own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

pub(super) struct Session {
    dir: TempDir,
    text: String,
}

impl Session {
    pub(super) fn new() -> Self {
        Session { dir: tempfile::tempdir().unwrap(), text: String::new() }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs a command, and keeps what it prints.
    pub(super) fn run(&mut self, command: &str) {
        let (output, code) = self.output(command);
        writeln!(self.text, "$ replctl {command}\n{output}[{code}]\n").unwrap();
    }

    /// What a command prints, and its exit status.
    pub(super) fn output(&self, command: &str) -> (String, i32) {
        let output = Command::new(env!("CARGO_BIN_EXE_replctl"))
            .args(command.split(' '))
            .current_dir(self.dir.path())
            .env("NO_COLOR", "1")
            .output()
            .unwrap();
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8(printed).unwrap();
        let real = fs::canonicalize(self.dir.path()).unwrap();
        let printed = printed.replace(&real.display().to_string(), "DIR");
        // An engine in these tests is a part of this process.
        let engine = format!("process {} ", std::process::id());
        let printed =
            printed.replace(&engine, "process PID ").replace("another process ", "process PID ");
        (printed, output.status.code().unwrap())
    }

    /// Compares all that was printed with what is kept.
    pub(super) fn compare(&self, name: &str) {
        insta::with_settings!({ snapshot_path => "../snapshots", prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(name, self.text);
        });
    }

    /// The bytes of all files in a directory.
    pub(super) fn files(&self, name: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let entries = fs::read_dir(self.path(name)).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    }
}
