//! A follower under strace: the calls of one save, and faults injected into them.

use std::fs;
use std::path::PathBuf;

use super::{done, text};
use crate::support::follower::Follower;
use crate::support::process::{FROM_HERE, Process};
use crate::support::{AnyStore, skipped};

const CALLS: &str = "openat,write,pwrite64,fsync,fdatasync,close,/^rename,/^unlink,/stat";

/// One call in a trace.
pub(super) struct Call {
    pub(super) name: String,
    /// It is the n-th of this name in its thread, as strace counts.
    pub(super) nth: usize,
    pub(super) line: String,
}

/// A directory with generations 1 and 2 of an earlier process, at the marks 10 and 20.
pub(super) struct Traced {
    outer: tempfile::TempDir,
    /// The number of saves of the traced process before the traced save.
    before: usize,
}

/// The outcome of a traced process.
pub(super) struct Ran {
    /// Its answers for the traced save and those after it, until it died.
    pub(super) said: Vec<String>,
    pub(super) log: String,
}

impl Traced {
    /// `None` if nothing can be traced here.
    pub(super) fn new<S: AnyStore>(before: usize) -> Option<Self> {
        if !done("strace", &["-o", "/dev/null", "true"]) {
            skipped("no strace, or no right to trace");
            return None;
        }
        let traced = Traced { outer: tempfile::tempdir().unwrap(), before };
        let mut follower = Follower::open::<S>(&traced.dir()).unwrap();
        assert_eq!([follower.save(10), follower.save(20)], ["saved 1", "saved 2"]);
        Some(traced)
    }

    pub(super) fn dir(&self) -> PathBuf {
        self.outer.path().join("marks")
    }

    /// The generation of the traced save.
    pub(super) fn generation(&self) -> usize {
        3 + self.before
    }

    /// Runs a process under one fault; it makes `saves` saves, the traced one first.
    pub(super) fn run<S: AnyStore>(&self, saves: usize, fault: Option<&str>) -> Ran {
        let (dir, log) = (self.dir(), self.outer.path().join("log"));
        let (trace, inject) = (format!("trace={CALLS}"), format!("inject={}", fault.unwrap_or("")));
        let mut by = vec!["strace", "-f", "-y", "-s", "300", "-o", text(&log), "-e", &trace];
        if fault.is_some() {
            by.extend(["-e", &inject]);
        }
        let mut process = Process::start_by::<S>(&by, &std::env::current_exe().unwrap(), &dir);
        assert_eq!(process.ask("open"), "resumed at 2");
        let marks = (3..).map(|generation| (generation, format!("{generation}0")));
        let mut marks = marks.take(self.before + saves);
        for (generation, mark) in marks.by_ref().take(self.before) {
            assert_eq!(process.ask(&mark), format!("saved {generation}"));
        }
        process.ask("from here");
        let said = marks.map_while(|(_, mark)| process.try_ask(&mark)).collect();
        process.end();
        Ran { said, log: fs::read_to_string(&log).unwrap() }
    }

    /// The calls of the traced save in a run without a fault, without those that only look.
    pub(super) fn calls<S: AnyStore>(before: usize) -> Option<Vec<Call>> {
        Some(Self::all_calls::<S>(before)?.into_iter().filter(|call| !call.looks()).collect())
    }

    /// The calls of the same save that only look at a file.
    pub(super) fn looks<S: AnyStore>(before: usize) -> Option<Vec<Call>> {
        Some(Self::all_calls::<S>(before)?.into_iter().filter(Call::looks).collect())
    }

    fn all_calls<S: AnyStore>(before: usize) -> Option<Vec<Call>> {
        let traced = Self::new::<S>(before)?;
        let ran = traced.run::<S>(1, None);
        assert_eq!(ran.said, [format!("saved {}", traced.generation())]);
        let answers = |call: &Call| call.name == "write" && call.line.contains("answer: ");
        let calls = calls_of(&ran.log).into_iter();
        let mut calls = calls.skip_while(|call| !call.line.contains(FROM_HERE)).skip(1);
        assert!(calls.any(|call| answers(&call)), "{}", ran.log);
        // A first save syncs the directories above too, wherever the test runs.
        let own = |call: &Call| call.line.contains("/marks");
        Some(calls.take_while(|call| !answers(call)).filter(own).collect())
    }
}

/// The calls of the follower's thread, in order.
fn calls_of(log: &str) -> Vec<Call> {
    let entered = |line: &str| {
        let (thread, call) = line.split_once(' ')?;
        let (name, _) = call.trim_start().split_once('(')?;
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric());
        is_name.then(|| (thread.to_owned(), name.to_owned()))
    };
    let all: Vec<_> = log.lines().filter_map(|line| Some((entered(line)?, line))).collect();
    let follows = all.iter().find(|(_, line)| line.contains(FROM_HERE)).unwrap();
    let is_own = |thread: &str| thread == follows.0.0;
    let mut calls: Vec<Call> = Vec::new();
    for ((_, name), line) in all.iter().filter(|((thread, _), _)| is_own(thread)) {
        let nth = 1 + calls.iter().filter(|call| call.name == *name).count();
        calls.push(Call { name: name.clone(), nth, line: (*line).to_owned() });
    }
    let others = all.iter().filter(|((thread, _), _)| !is_own(thread)).count();
    assert!(others < 200, "a fault in the n-th call would hit another thread too: {others}");
    calls
}

impl Call {
    fn looks(&self) -> bool {
        self.name.contains("stat")
    }

    /// Its name and the kind of file, without what differs from run to run.
    pub(super) fn shown(&self) -> String {
        let verb = if self.name.starts_with("rename") { "rename" } else { &self.name };
        let verb = if verb.starts_with("unlink") { "unlink" } else { verb };
        let kinds = [
            (".marker", "marker"),
            (".temp-", "temp"),
            (".checkpoint", "checkpoint"),
            (".slots", "slots"),
        ];
        let kind = kinds.iter().find(|(part, _)| self.line.contains(part)).map(|(_, kind)| *kind);
        assert!(self.line.contains("/marks"), "{}", self.line);
        format!("{verb} {}", kind.unwrap_or("directory"))
    }
}
