//! Child processes: the parent starts, stops and kills them, and reads their events.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::events::{Event, Order};

/// How long a child may take to end after the order to finish.
const FINISHES_WITHIN: Duration = Duration::from_secs(120);

/// A running leader or follower.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts this executable again with other arguments. Its events go to `events`.
    pub(crate) fn start(args: Vec<OsString>, events: mpsc::Sender<Event>) -> io::Result<Process> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let reader = thread::spawn(move || {
            for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
                // A killed child may leave half a line.
                if let Ok(event) = serde_json::from_slice(&line) {
                    let _ = events.send(event);
                }
            }
        });
        Ok(Process { child, reader: Some(reader) })
    }

    /// The exit status, if the process has ended.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Kills the process with SIGKILL. Waits until it has ended and all its events are read.
    pub(crate) fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.read_all();
        Ok(())
    }

    /// Sends an order to the process.
    pub(crate) fn order(&mut self, order: Order) -> io::Result<()> {
        let mut line = serde_json::to_vec(&order)?;
        line.push(b'\n');
        match &mut self.child.stdin {
            Some(stdin) => stdin.write_all(&line),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Sends the order to finish.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.order(Order::Finish)
    }

    /// Waits until the process has ended and all its events are read. Kills it if it hangs.
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
        self.read_all();
        Ok(status)
    }

    fn read_all(&mut self) {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for Process {
    /// Kills the process, so that none outlives a failed run. It may have ended already.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
