//! A follower in a process of its own, which carries out orders, one per line.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use repl_checkpoint::{FileStore, SlotStore};

use super::follower::Follower;
use super::{AnyStore, chain};

/// The variable with the directory of the process.
const DIR: &str = "REPL_CHECKPOINT_TEST_DIR";

/// The variable with the store to open there.
const STORE: &str = "REPL_CHECKPOINT_TEST_STORE";

/// A file that never exists. In a trace the calls of interest begin after its name.
pub(crate) const FROM_HERE: &str = "from-here";

const ANSWER: &str = "answer: ";

/// A follower that can be killed, limited and traced. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    orders: Option<ChildStdin>,
    says: BufReader<ChildStdout>,
}

impl Process {
    /// Starts one for the store `S` in `dir`.
    pub(crate) fn start<S: AnyStore>(dir: &Path) -> Self {
        Self::start_by::<S>(&[], &std::env::current_exe().unwrap(), dir)
    }

    /// Starts `program`, which is this one or a copy of it, through another command.
    pub(crate) fn start_by<S: AnyStore>(by: &[&str], program: &Path, dir: &Path) -> Self {
        let words = by.iter().map(Path::new).chain([program]).collect::<Vec<_>>();
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .args(["--exact", "support::process::the_other_process", "--ignored"])
            .args(["--nocapture", "--test-threads=1"])
            .env(DIR, dir)
            .env(STORE, S::NAME)
            // Cargo names a folder for each C library of the workspace, and the loader looks into each
            // before the program begins: some hundred calls, which a trace would count.
            .env_remove("LD_LIBRARY_PATH")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, says) = (child.stdin.take(), child.stdout.take().unwrap());
        Process { child, orders, says: BufReader::new(says) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends an order and returns the answer, or `None` if the process has died.
    pub(crate) fn try_ask(&mut self, order: &str) -> Option<String> {
        // A process that has died answers nothing.
        let _ = writeln!(self.orders.as_mut().unwrap(), "{order}");
        let mut lines = self.says.by_ref().lines().map_while(Result::ok);
        lines.find_map(|line| Some(line.split_once(ANSWER)?.1.to_owned()))
    }

    /// Sends an order to a process that must not die.
    pub(crate) fn ask(&mut self, order: &str) -> String {
        self.try_ask(order).unwrap_or_else(|| panic!("died of {order:?}"))
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        assert_eq!(self.child.wait().unwrap().signal(), Some(9));
    }

    /// Ends it.
    pub(crate) fn end(mut self) -> ExitStatus {
        drop(self.orders.take());
        // Its remaining output must not fill the pipe.
        let _ = std::io::copy(&mut self.says, &mut std::io::sink());
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "run by other tests as a process of its own"]
fn the_other_process() {
    let (Some(dir), Ok(store)) = (std::env::var_os(DIR), std::env::var(STORE)) else {
        return;
    };
    match store.as_str() {
        FileStore::NAME => obey::<FileStore>(Path::new(&dir)),
        SlotStore::NAME => obey::<SlotStore>(Path::new(&dir)),
        other => panic!("{other}"),
    }
}

#[expect(clippy::print_stdout, reason = "so it answers")]
fn obey<S: AnyStore>(dir: &Path) {
    let mut follower = None;
    for order in std::io::stdin().lines() {
        let order = order.unwrap();
        let open = |found: Result<Follower, String>| match found {
            Ok(found) => (found.origin(), Some(found)),
            Err(refused) => (refused, None),
        };
        let answer = match (order.as_str(), &mut follower) {
            ("open", now) => {
                *now = None;
                let answer;
                (answer, *now) = open(Follower::open::<S>(dir));
                answer
            }
            // The whole message of a refusal.
            ("open and say all", _) => {
                S::open_at(dir).map_or_else(|error| chain(&error), |_| "opened".to_owned())
            }
            ("try to open", now) => {
                let answer;
                (answer, *now) = open(Follower::open::<S>(dir));
                answer
            }
            ("from here", _) => from_here(dir),
            ("grow", Some(follower)) => {
                follower.grow();
                "grown".to_owned()
            }
            ("shrink", Some(follower)) => {
                follower.shrink();
                "shrunk".to_owned()
            }
            ("reopen", Some(follower)) => follower.reopen::<S>(dir),
            ("floors", Some(follower)) => format!("{:?}", follower.floors()),
            (order, Some(follower)) => match order.strip_prefix("fail ") {
                Some(mark) => follower.fails(mark.parse().unwrap()),
                None => follower.save(order.parse().unwrap()),
            },
            (other, None) => panic!("not open: {other:?}"),
        };
        println!("{ANSWER}{answer}");
    }
}

/// Marks a place in a trace. A tracer that injects a fault into the n-th call of a kind does so in
/// every thread, so this thread first makes more calls of each kind than the test harness does.
fn from_here(dir: &Path) -> String {
    for _ in 0..200 {
        let mut nowhere = File::create("/dev/null").unwrap();
        nowhere.write_all(b"nothing").unwrap();
    }
    File::open(dir.join(FROM_HERE)).unwrap_err().kind().to_string()
}
