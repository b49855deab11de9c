//! The processes of a race, seen from the one that started them.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::config::Config;
use super::error::RaceError;
use super::message::{self, MARK, Words};
use super::step::{Call, Order};
use super::worker::VARIABLE;

/// The clock of a wait for answers stands still while nobody runs: a pause of the whole machine, or of
/// all processes, is one of these at most.
const TICK: Duration = Duration::from_millis(100);
/// How long a process may take to end after its input has ended.
const ENDING: Duration = Duration::from_secs(2);
/// How many of its last lines are shown of a process that ended too early.
const SHOWN: usize = 6;

pub(super) struct Processes {
    children: Vec<Child>,
    inputs: Vec<ChildStdin>,
    lines: Receiver<(usize, Line)>,
    printed: Vec<Vec<String>>,
    hung_after: Duration,
    writers: usize,
    /// The place of the store, once it is known.
    pub(super) place: String,
    /// For messages.
    pub(super) round: u64,
}

enum Line {
    Answer(String),
    Printed(String),
    End,
}

/// A command that starts the test binary that runs now with this test alone.
///
/// `name` is its path as the test binary prints it, such as `race::eight_writers_race`.
pub fn this_test(name: &str) -> impl FnMut() -> Command {
    let name = name.to_owned();
    move || {
        let program = std::env::current_exe().unwrap_or_else(|_| "the running program".into());
        let mut command = Command::new(program);
        command.args([name.as_str(), "--exact", "--include-ignored", "--nocapture"]);
        command
    }
}

impl Processes {
    /// Starts the processes, and lets each writer open its store.
    pub(super) fn start(
        config: &Config,
        url: &str,
        mut command: impl FnMut() -> Command,
    ) -> Result<Self, RaceError> {
        let writers = config.writers.max(2);
        let count = config.processes.clamp(1, writers);
        let (sender, lines) = channel();
        let mut processes = Processes {
            children: Vec::new(),
            inputs: Vec::new(),
            lines,
            printed: vec![Vec::new(); count],
            hung_after: config.hung_after,
            writers,
            place: format!("store {}", config.record),
            round: 0,
        };
        for process in 0..count {
            let mut command = command();
            command.env(VARIABLE, "1").stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn().map_err(RaceError::Start)?;
            let (input, output) = (child.stdin.take(), child.stdout.take());
            processes.children.push(child); // ended by `drop`, whatever comes
            if let (Some(mut input), Some(output)) = (input, output) {
                let sender = sender.clone();
                thread::spawn(move || read(process, output, &sender));
                let url = url.replace(['\n', '\r'], " ");
                let opening = format!("{} {process} {count} {writers} {url}\n", config.record.0);
                // If it has ended, its lines say so.
                let _ = input.write_all(opening.as_bytes());
                processes.inputs.push(input);
            }
        }
        processes.wait_until_ready()?;
        Ok(processes)
    }

    fn wait_until_ready(&mut self) -> Result<(), RaceError> {
        let mut left = self.hung_after;
        let mut is_ready = vec![false; self.writers];
        while let Some(writer) = is_ready.iter().position(|is_ready| !is_ready) {
            let hung = |this: &Self| this.hung(writer, "the open of its store".to_owned());
            let answer = self.answer(&mut left)?.ok_or_else(|| hung(self))?;
            let mut words = Words::of(&answer);
            match (words.word(), words.number::<usize>()) {
                (Some("ready"), Some(writer)) => {
                    self.place = words.rest();
                    is_ready[writer.min(self.writers - 1)] = true;
                }
                (Some("failed"), Some(writer)) => {
                    return Err(RaceError::Open { writer: writer + 1, reason: words.rest() });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Lets all writers make their calls at once, and returns these when all have ended.
    pub(super) fn make(&mut self, orders: &[Vec<Order>]) -> Result<Vec<Call>, RaceError> {
        let count = self.inputs.len().max(1);
        for (process, input) in self.inputs.iter_mut().enumerate() {
            let mut text = String::new();
            for (writer, orders) in orders.iter().enumerate().skip(process).step_by(count) {
                let lines =
                    orders.iter().map(|order| format!("{writer} {}\n", message::order(order)));
                text.extend(lines);
            }
            let _ = input.write_all(text.as_bytes()); // as above
        }
        for input in &mut self.inputs {
            let _ = input.write_all(b"go\n");
        }
        self.answers(orders)
    }

    fn answers(&mut self, orders: &[Vec<Order>]) -> Result<Vec<Call>, RaceError> {
        let mut left = self.hung_after;
        let mut calls: Vec<Call> = Vec::new();
        let mut is_done = vec![false; self.writers];
        while let Some(writer) = is_done.iter().position(|is_done| !is_done) {
            let Some(answer) = self.answer(&mut left)? else {
                let made = calls.iter().filter(|call| call.writer == writer).count();
                let order = orders.get(writer).and_then(|orders| orders.get(made));
                let call = order.map_or("nothing".to_owned(), |order| order.step.to_string());
                return Err(self.hung(writer, call));
            };
            let mut words = Words::of(&answer);
            match words.word() {
                Some("call") => calls.extend(words.call()),
                Some("done") => {
                    let writer = words.number::<usize>().unwrap_or(writer);
                    is_done[writer.min(self.writers - 1)] = true;
                }
                _ => {}
            }
        }
        calls.sort_by_key(|call| call.writer); // stable: each writer's calls stay in their order
        Ok(calls)
    }

    /// The next answer, or `None` if there is none in the time that is left.
    fn answer(&mut self, left: &mut Duration) -> Result<Option<String>, RaceError> {
        while *left > Duration::ZERO {
            match self.lines.recv_timeout(TICK.min(*left)) {
                Ok((_, Line::Answer(line))) => return Ok(Some(line)),
                Ok((process, Line::Printed(line))) => {
                    let printed = &mut self.printed[process];
                    printed.push(line);
                    let more = printed.len().saturating_sub(SHOWN);
                    printed.drain(..more);
                }
                Ok((process, Line::End)) => {
                    let printed = self.printed[process].join("; ");
                    return Err(RaceError::Ended { process: process + 1, printed });
                }
                Err(RecvTimeoutError::Timeout) => *left = left.saturating_sub(TICK),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
        Ok(None)
    }

    fn hung(&self, writer: usize, call: String) -> RaceError {
        let (round, place, after) = (self.round, self.place.clone(), self.hung_after);
        RaceError::Hung { round, writer: writer + 1, place, call, after }
    }
}

impl Drop for Processes {
    /// A process ends when its input does. One that hangs is killed.
    fn drop(&mut self) {
        self.inputs.clear();
        let deadline = Instant::now() + ENDING;
        for child in &mut self.children {
            while let Ok(None) = child.try_wait()
                && Instant::now() < deadline
            {
                thread::sleep(Duration::from_millis(2));
            }
            let _ = child.kill(); // it has ended already
            let _ = child.wait();
        }
    }
}

fn read(process: usize, output: ChildStdout, sender: &Sender<(usize, Line)>) {
    for line in BufReader::new(output).lines().map_while(io::Result::ok) {
        let line = match line.strip_prefix(MARK) {
            Some(answer) => Line::Answer(answer.to_owned()),
            None if line.trim().is_empty() => continue,
            None => Line::Printed(line),
        };
        if sender.send((process, line)).is_err() {
            return;
        }
    }
    let _ = sender.send((process, Line::End));
}
