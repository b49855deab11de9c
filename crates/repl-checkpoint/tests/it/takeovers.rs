//! Processes take a store over from each other and are killed at random.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::Duration;

use repl_checkpoint::{FileStore, OnCorrupt, SlotStore, open_timeout};

use crate::support::AnyStore;
use crate::support::follower::Follower;

/// The variables with the directory and the store of a process.
const DIR: &str = "REPL_CHECKPOINT_TEST_TAKEOVER_DIR";
const STORE: &str = "REPL_CHECKPOINT_TEST_TAKEOVER_STORE";
const SAYS: &str = "takeover: ";
/// A process that waits longer than this is refused wrongly.
const LONG: Duration = Duration::from_secs(20);

/// A process that takes over once it is ordered to.
struct Taker {
    child: Child,
    orders: ChildStdin,
    says: BufReader<ChildStdout>,
}

/// What processes have tried and acknowledged so far.
#[derive(Debug, Default)]
struct Ledger {
    acknowledged: u64,
    tried: u64,
    takeovers: u32,
}

impl Taker {
    fn start<S: AnyStore>(dir: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "takeovers::a_process_that_takes_over", "--ignored"])
            .args(["--nocapture", "--test-threads=1"])
            .env(DIR, dir)
            .env(STORE, S::NAME)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (orders, says) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Taker { child, orders, says: BufReader::new(says) }
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").unwrap();
    }

    /// The next thing it says, or `None` if it has died.
    fn says(&mut self) -> Option<String> {
        let mut lines = self.says.by_ref().lines().map_while(Result::ok);
        lines.find_map(|line| Some(line.split_once(SAYS)?.1.to_owned()))
    }

    /// Reads until it has taken over.
    fn finds(&mut self, ledger: &mut Ledger) {
        let found = self.says().unwrap();
        ledger.add(&found);
    }

    /// Reads until it has saved this often.
    fn saves(&mut self, times: u64, ledger: &mut Ledger) {
        let mut saved = 0;
        while saved < times {
            let said = self.says().unwrap();
            ledger.add(&said);
            saved += u64::from(said.starts_with("saved"));
        }
    }

    /// Kills it, and reads all that it said.
    fn killed(mut self, ledger: &mut Ledger) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        while let Some(said) = self.says() {
            ledger.add(&said);
        }
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ledger {
    /// Checks and adds what a process said.
    fn add(&mut self, said: &str) {
        let Some((what, mark)) = said.split_once(' ') else { panic!("{said}") };
        let mark = mark.parse().unwrap_or_else(|_| panic!("{said}, {self:?}"));
        match what {
            "found" => {
                assert!(self.acknowledged <= mark && mark <= self.tried, "{said}, {self:?}");
                self.takeovers += 1;
                // Nobody cuts the power: what was found once stays.
                self.acknowledged = mark;
            }
            "tries" => {
                assert!(mark > self.acknowledged, "{said}, {self:?}");
                self.tried = self.tried.max(mark);
            }
            "saved" => self.acknowledged = mark,
            _ => panic!("{said}, {self:?}"),
        }
    }
}

/// Numbers that differ from use to use and are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// One process holds the store and saves while the next one starts; then the first is killed.
fn taken_over<S: AnyStore>(takeovers: u32) -> Ledger {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, mut random) = (Ledger::default(), Random(0x5eed));
    let mut now = Taker::start::<S>(dir.path());
    now.order("open");
    while ledger.takeovers < takeovers {
        let mut next = Taker::start::<S>(dir.path());
        // One of four is killed in its start, its open, its recovery or its first save.
        let is_open = random.below(4) > 0;
        if is_open {
            now.finds(&mut ledger);
            now.saves(random.below(5), &mut ledger);
        }
        // Some processes wait for the lock while another holds it, others open once, after that.
        let waits = is_open && random.below(2) == 0;
        if waits {
            next.order("wait");
        }
        thread::sleep(Duration::from_micros(random.below(6000)));
        now.killed(&mut ledger);
        if !waits {
            next.order("open");
        }
        now = next;
    }
    now.killed(&mut ledger);
    let end = Follower::open::<S>(dir.path()).unwrap().mark();
    ledger.add(&format!("found {end}"));
    ledger
}

fn nothing_is_lost_and_nobody_refused<S: AnyStore>() {
    const TAKEOVERS: u32 = 400;
    let ledger = taken_over::<S>(TAKEOVERS);
    assert!(ledger.acknowledged > u64::from(TAKEOVERS), "they hardly save: {ledger:?}");
}

#[test]
fn after_400_takeovers_of_files_nothing_is_lost_and_nobody_was_refused() {
    nothing_is_lost_and_nobody_refused::<FileStore>();
}

#[test]
fn after_400_takeovers_of_slots_nothing_is_lost_and_nobody_was_refused() {
    nothing_is_lost_and_nobody_refused::<SlotStore>();
}

#[test]
#[ignore = "run by other tests as a process of its own"]
fn a_process_that_takes_over() {
    let (Some(dir), Ok(store)) = (std::env::var_os(DIR), std::env::var(STORE)) else {
        return;
    };
    match store.as_str() {
        FileStore::NAME => take_over::<FileStore>(Path::new(&dir)),
        SlotStore::NAME => take_over::<SlotStore>(Path::new(&dir)),
        other => panic!("{other}"),
    }
}

/// Opens, recovers and saves until it is killed.
#[expect(clippy::print_stdout, reason = "so it says what it does")]
fn take_over<S: AnyStore>(dir: &Path) {
    let order = std::io::stdin().lines().next().unwrap().unwrap();
    let store = match order.as_str() {
        "open" => S::open_at(dir),
        _ => open_timeout(LONG, || S::open_at(dir)).wait(),
    };
    let found = store.map_err(|error| error.to_string());
    let mut follower = match found.and_then(|store| Follower::recovered(store, OnCorrupt::Fail)) {
        Ok(follower) => follower,
        Err(refused) => return println!("{SAYS}refused {refused}"),
    };
    println!("{SAYS}found {}", follower.mark());
    for mark in follower.mark() + 1.. {
        println!("{SAYS}tries {mark}");
        let saved = follower.save(mark);
        let what = if saved.starts_with("saved ") { "saved" } else { &saved };
        println!("{SAYS}{what} {mark}");
    }
}
