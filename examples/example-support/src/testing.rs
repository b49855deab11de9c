//! For the tests of the examples: runs a program as a user starts it.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "helpers of tests")]

use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

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
pub fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 20 s");
        thread::sleep(Duration::from_millis(5));
    }
}
