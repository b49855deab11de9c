//! How does the parent start, hear, stop and kill its children?

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::events::{Event, Order};

/// How long a child may take from the word to finish to its end.
const FINISHES_WITHIN: Duration = Duration::from_secs(120);

/// A leader or a follower at work.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    hears: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts this executable again with other arguments; what it tells goes to `events`.
    pub(crate) fn start(args: Vec<OsString>, events: mpsc::Sender<Event>) -> io::Result<Process> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let told = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let hears = thread::spawn(move || {
            for line in BufReader::new(told).split(b'\n').map_while(Result::ok) {
                // A child that is killed may leave half a line.
                if let Ok(event) = serde_json::from_slice(&line) {
                    let _ = events.send(event);
                }
            }
        });
        Ok(Process { child, hears: Some(hears) })
    }

    /// Its exit status, if it has ended by itself.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// SIGKILL; then waits until it is dead and all that it told was heard.
    pub(crate) fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.hear_all();
        Ok(())
    }

    /// Tells it what to do.
    pub(crate) fn order(&mut self, order: Order) -> io::Result<()> {
        let mut line = serde_json::to_vec(&order)?;
        line.push(b'\n');
        match &mut self.child.stdin {
            Some(stdin) => stdin.write_all(&line),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Tells it to finish.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.order(Order::Finish)
    }

    /// Waits until it has ended and all that it told was heard; one that hangs is killed.
    pub(crate) fn wait(mut self) -> io::Result<ExitStatus> {
        let deadline = Instant::now() + FINISHES_WITHIN;
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() > deadline {
                self.child.kill()?;
            }
            thread::sleep(Duration::from_millis(2));
        };
        self.hear_all();
        Ok(status)
    }

    fn hear_all(&mut self) {
        if let Some(hears) = self.hears.take() {
            let _ = hears.join();
        }
    }
}

impl Drop for Process {
    /// Nothing is left behind where the parent gives up; a child that is dead already is as good.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
