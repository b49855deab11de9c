//! This test binary again, as a process of its own that runs one ignored test and says numbers.

use std::path::Path;
use std::process::Command;

/// A process that runs `test`, started by the command `by`, or directly if that is empty.
pub(crate) fn again(by: &[String], test: &str) -> Command {
    let this = std::env::current_exe().unwrap().to_string_lossy().into_owned();
    let words: Vec<&String> = by.iter().chain([&this]).collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(["--exact", test, "--ignored", "--nocapture"]);
    command.arg("--test-threads=1");
    command
}

/// What a process says after `says` on one line, or `None` if it fails before that.
pub(crate) fn said(command: &mut Command, says: &str) -> Option<String> {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = said.lines().find_map(|line| Some(line.split_once(says)?.1.to_owned()));
    said.filter(|_| output.status.success())
}

/// The numbers in what a process says.
pub(crate) fn numbers(said: &str) -> Vec<u64> {
    said.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

/// The most memory that this process had resident, in bytes.
pub(crate) fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.split_whitespace().next().unwrap().parse::<u64>().unwrap() << 10
}

/// The number of files that hold a checkpoint or are about to, and the bytes of all of them.
pub(crate) fn held(dir: &Path) -> (u64, u64) {
    let is_counted = |name: &str| name.contains(".checkpoint") || name.contains("marks.slots");
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let counted = entries.filter(|entry| is_counted(&entry.file_name().to_string_lossy()));
    // A file may be gone since the listing.
    let lengths = counted.filter_map(|entry| Some(entry.metadata().ok()?.len()));
    lengths.fold((0, 0), |(files, bytes), length| (files + 1, bytes + length))
}
