//! The child process, seen from both sides.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{self, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A child process that sends events `E`. Dropping it kills the process.
#[derive(Debug)]
pub struct Child<E> {
    process: process::Child,
    events: Receiver<E>,
}

impl<E: DeserializeOwned + Send + 'static> Child<E> {
    /// Starts this executable again with other arguments.
    ///
    /// # Errors
    /// That of the operating system.
    pub fn start(args: impl IntoIterator<Item = OsString>) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let stdout = process.stdout.take();
        let (sender, events) = mpsc::channel();
        let child = Child { process, events }; // from here on, an error kills the process
        let lines = BufReader::new(stdout.ok_or(io::ErrorKind::BrokenPipe)?).split(b'\n');
        thread::spawn(move || {
            // A killed child may leave half a line.
            let mut events = lines.map_while(Result::ok).flat_map(|l| serde_json::from_slice(&l));
            let _ = events.try_for_each(|event| sender.send(event));
        });
        Ok(child)
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Returns the next event, or `None` if there is none within a millisecond.
    pub fn next_event(&self) -> Option<E> {
        self.events.recv_timeout(Duration::from_millis(1)).ok()
    }

    /// Returns the exit status if the process has ended.
    ///
    /// # Errors
    /// That of the operating system.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }

    /// Kills the process with SIGKILL, and waits until it has ended.
    ///
    /// # Errors
    /// That of the operating system.
    pub fn kill(&mut self) -> io::Result<()> {
        self.process.kill()?;
        self.process.wait().map(drop)
    }

    /// Returns the remaining events of a process that has ended.
    pub fn rest(&self) -> impl Iterator<Item = E> + '_ {
        self.events.iter()
    }
}

impl<E> Drop for Child<E> {
    /// Errors are ignored: the process may have ended already.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Sends an event to the parent. Errors are ignored: without a parent, the end of input ends the
/// process.
pub fn send(event: impl Serialize) {
    if let Ok(mut line) = serde_json::to_vec(&event) {
        line.push(b'\n');
        let _ = io::stdout().lock().write_all(&line);
    }
}

/// Ends this process when the parent ends, which closes standard input.
pub fn end_with_parent() {
    thread::spawn(|| {
        let _ = io::stdin().lock().read(&mut [0]);
        // As abrupt as a kill, which the child must survive anyway.
        process::exit(1);
    });
}
