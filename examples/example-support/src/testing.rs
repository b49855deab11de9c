//! For the tests of the examples: runs a program as a user starts it.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "helpers of tests")]

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::try_for;

/// The path of a program.
#[derive(Debug, Clone, Copy)]
pub struct Program(pub &'static str);

impl Program {
    /// Returns the command with arguments, which are separated by spaces.
    pub fn command(self, args: &str) -> Command {
        let mut command = Command::new(self.0);
        command.args(args.split_whitespace());
        command
    }

    /// Runs the program to its end.
    pub fn run(self, args: &str) -> Output {
        // A failed run keeps its temporary folder.
        let temporary = tempfile::tempdir().unwrap();
        self.command(args).env("TMPDIR", temporary.path()).output().unwrap()
    }

    /// Runs the program, and asserts exit status 0. Returns all that it printed.
    pub fn succeeds(self, args: &str) -> String {
        let output = self.run(args);
        let printed = printed(&output);
        assert!(output.status.success(), "{args}\n{printed}");
        printed
    }

    /// Runs the program, and asserts exit status 0 and no fault. Returns the report.
    pub fn report(self, args: &str) -> Value {
        let output = self.run(&format!("{args} --json"));
        assert!(output.status.success(), "{args}\n{}", printed(&output));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["faults"], Value::Array(Vec::new()));
        report
    }

    /// Runs the program, and asserts exit status 1 and these words. Returns all that it printed.
    pub fn fails(self, args: &str, words: &[&str]) -> String {
        let output = self.run(args);
        let printed = printed(&output);
        assert_eq!(output.status.code(), Some(1), "{args}\n{printed}");
        for word in words {
            assert!(printed.contains(word), "{word:?} is not in\n{printed}");
        }
        assert!(!printed.contains("panicked"), "{printed}");
        printed
    }

    /// Starts the program and kills it, once after each of these times in milliseconds.
    pub fn is_killed_after(self, args: &str, waits: &[u64]) {
        for wait in waits {
            let mut process = self.command(args).stdout(Stdio::null()).spawn().unwrap();
            thread::sleep(Duration::from_millis(*wait));
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Asserts that a folder in use is refused, and that its children end when the program is
    /// killed: they hold locks on these files of the folder.
    pub fn ends_with_its_children(self, args: &str, folder: &Path, locked: &[&str]) {
        let dir = format!("--dir {}", folder.display());
        let mut process = self.command(&format!("{args} {dir}")).spawn().unwrap();
        let is_held =
            |file: &&str| File::open(folder.join(file)).is_ok_and(|file| file.try_lock().is_err());
        // The parent may lock them too, but not for this long.
        wait_until(|| {
            (0..50).all(|_| {
                thread::sleep(Duration::from_millis(10));
                locked.iter().all(is_held)
            })
        });
        self.fails(&dir, &["is in use by another run"]);
        process.kill().unwrap();
        process.wait().unwrap();
        wait_until(|| !locked.iter().any(is_held));
    }
}

fn printed(output: &Output) -> String {
    let all = [&output.stderr[..], &output.stdout].concat();
    String::from_utf8_lossy(&all).into_owned()
}

/// Returns the number `name` of a report.
pub fn number(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap()
}

/// Waits until the condition holds, and panics after 20 s.
fn wait_until(condition: impl Fn() -> bool) {
    let held = try_for(Duration::from_secs(20), || Ok(condition().then_some(())));
    assert_eq!(held.unwrap(), Some(()), "not within 20 s");
}
