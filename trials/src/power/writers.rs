//! Processes that save, are killed, and are started again.

use std::collections::BTreeMap;
use std::io::{BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use repl_harness::crash::StoreKind;

use super::fuse::Handle;
use super::recording::Script;
use crate::done::Fallible;
use crate::writer::{self, Event, Events, Follower, Plan};

/// What the writers of a follower reported, each with the number of records at that time. `None`
/// begins a new writer.
pub(super) type Reports = Vec<(usize, Option<Event>)>;

/// The writers of one kind of store, one after the other.
pub(super) struct Writers<'a> {
    kind: StoreKind,
    script: &'a Script,
    stores: PathBuf,
    disk: Handle,
    reports: BTreeMap<Follower, Reports>,
    killed: u64,
}

/// More writers than a recording has.
const WRITERS: u64 = 1 << 10;
/// The first writer of each recording is another follower's.
const APART: u64 = 15;
/// More saves than one writer makes.
pub(super) const STAMPS: u64 = 1 << 20;
/// A stamp above those of all writers of a recording.
pub(super) const LAST_STAMP: u64 = WRITERS * STAMPS + 1;
/// How many times as many events a writer has before it is killed as before a shutdown.
const LONGER: u64 = 3;

impl<'a> Writers<'a> {
    pub(super) fn new(kind: StoreKind, script: &'a Script, stores: PathBuf, disk: Handle) -> Self {
        Writers { kind, script, stores, disk, reports: BTreeMap::new(), killed: 0 }
    }

    /// Runs writers until the recording is over. Returns also how many were killed.
    pub(super) fn run(
        mut self,
        is_over: impl Fn() -> bool,
    ) -> Fallible<(BTreeMap<Follower, Reports>, u64)> {
        let first = self.script.stream * APART;
        for cycle in first..first + WRITERS {
            if is_over() {
                break;
            }
            let stream = self.script.stream * 2 + self.kind as u64;
            let plan = Plan::of(self.script.seed, stream, self.kind, cycle);
            self.run_one(plan, (cycle - first) * STAMPS + 1, &is_over)?;
        }
        Ok((self.reports, self.killed))
    }

    /// Runs a writer and kills it.
    fn run_one(&mut self, plan: Plan, first: u64, is_over: impl Fn() -> bool) -> Fallible<()> {
        let mut child = self.start(plan.follower, first)?;
        let pipe = child.stdout.take().ok_or("a writer without a pipe")?;
        let mut answers = child.stdin.take().ok_or("a writer without input")?;
        let reports = self.reports.entry(plan.follower).or_default();
        reports.push((self.disk.lock().position(), None));
        let mut events = 0;
        let mut killed = false;
        for entry in Events::new(BufReader::with_capacity(1 << 18, pipe)) {
            // The writer waits: all that it has done came before, and all that it does now comes
            // after.
            let position = self.disk.lock().position();
            match entry {
                Ok((Event::Call(call), _)) if !call.is_fault() => {}
                Ok((event, _)) => reports.push((position, Some(event))),
                Err(_) if killed => break,
                Err(err) => return Err(err.into()),
            }
            if killed {
                continue;
            }
            events += 1;
            if answers.write_all(&[0]).is_err() {
                // It has ended: its last reports follow.
                continue;
            }
            if events >= plan.calls * LONGER || is_over() {
                thread::sleep(Duration::from_micros(plan.delay));
                child.kill()?;
                killed = true;
            }
        }
        let status = child.wait()?;
        if !killed {
            return Err(format!("a writer ended with {status}: {:?}", reports.last()).into());
        }
        self.killed += 1;
        Ok(())
    }

    fn start(&self, follower: Follower, first: u64) -> Fallible<Child> {
        let stamps = first..first + STAMPS;
        let mut writer = writer::command(&self.stores, follower, self.script.mutant, stamps)?;
        Ok(writer.arg("--in-step").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?)
    }
}
