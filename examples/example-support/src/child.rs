//! The child process, seen from both sides.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{self, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Context, Error, chain};
use crate::threads::try_for;

/// How long a child may run that should end by itself.
const ENDS_WITHIN: Duration = Duration::from_secs(120);

/// A child process. Dropping it kills the process.
#[derive(Debug)]
pub struct Child {
    name: &'static str,
    process: process::Child,
    started: Instant,
    reader: Option<JoinHandle<()>>,
}

/// How a child ended, unless it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With exit status 0.
    Finished,
    /// By SIGKILL.
    Killed,
}

impl Child {
    /// Starts this executable again with a task. The events of the child go to `events`.
    pub fn start<E: DeserializeOwned + Send + 'static>(
        name: &'static str,
        task: &impl Serialize,
        events: Sender<E>,
    ) -> Result<Child, Error> {
        let start = || -> Result<_, Error> {
            let mut command = Command::new(std::env::current_exe()?);
            command.arg(name).arg(serde_json::to_string(task)?);
            Ok(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?)
        };
        let process = start().context(|| format!("cannot start the {name}"))?;
        let mut child = Child { name, process, started: Instant::now(), reader: None };
        // From here on, an error kills it.
        let stdout = child.process.stdout.take().ok_or("the output of a child is not piped")?;
        child.reader = Some(thread::spawn(move || {
            let lines = BufReader::new(stdout).split(b'\n').map_while(Result::ok);
            // A killed child may leave half a line.
            let mut all = lines.flat_map(|line| serde_json::from_slice(&line));
            let _ = all.try_for_each(|event| events.send(event));
        }));
        Ok(child)
    }

    /// Sends an order. Does nothing if the child has ended.
    pub fn order(&mut self, order: impl Serialize) {
        if let (Ok(mut line), Some(stdin)) = (serde_json::to_vec(&order), &mut self.process.stdin) {
            line.push(b'\n');
            let _ = stdin.write_all(&line);
        }
    }

    /// Returns how the child ended, or `None` if it runs.
    pub fn ended(&mut self) -> Result<Option<End>, Error> {
        let status = self.process.try_wait().context(|| format!("cannot watch the {}", self.name));
        status?.map(|status| self.end_of(status)).transpose()
    }

    /// Fails if the child has run for two minutes. Call it for a child that should end sooner.
    pub fn must_end_soon(&self) -> Result<(), Error> {
        if self.started.elapsed() > ENDS_WITHIN {
            return Err(self.does_not_end());
        }
        Ok(())
    }

    fn does_not_end(&self) -> Error {
        format!("the {} does not end", self.name).into()
    }

    /// Waits until the child has ended by itself and all its events are read.
    pub fn wait(mut self) -> Result<End, Error> {
        let ended = try_for(ENDS_WITHIN, || self.ended())?;
        ended.ok_or_else(|| self.does_not_end())
    }

    /// Asks the child with SIGTERM to end. Does nothing if the child has ended.
    pub fn terminate(&mut self) -> Result<(), Error> {
        if self.ended()?.is_some() {
            return Ok(());
        }
        let asked = kill_process(Pid::from_child(&self.process), Signal::TERM);
        asked.context(|| format!("cannot ask the {} to end", self.name))
    }

    /// Kills the child with SIGKILL. Waits until it has ended and all its events are read.
    pub fn kill(&mut self) -> Result<(), Error> {
        let killed = self.process.kill().and_then(|()| self.process.wait());
        killed.context(|| format!("cannot kill the {}", self.name))?;
        self.read_all();
        Ok(())
    }

    fn end_of(&mut self, status: ExitStatus) -> Result<End, Error> {
        self.read_all();
        match status.signal() {
            None if status.success() => Ok(End::Finished),
            Some(signal) if signal == Signal::KILL.as_raw() => Ok(End::Killed),
            _ => {
                Err(format!("the {} stopped with {status}: see its error above", self.name).into())
            }
        }
    }

    fn read_all(&mut self) {
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for Child {
    /// Errors are ignored: the process may have ended already.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs a program: as the child that a parent started with a task, or as the parent.
pub fn main<T: DeserializeOwned>(
    program: &str,
    child: impl FnOnce(T) -> Result<(), Error>,
    parent: impl FnOnce() -> Result<ExitCode, Error>,
) -> ExitCode {
    let mut args = std::env::args_os().skip(1).map_while(|arg| arg.into_string().ok());
    let (name, task) = (args.next(), args.next().and_then(|t| serde_json::from_str(&t).ok()));
    let (name, result) = match (&name, task) {
        (Some(name), Some(task)) => (name.as_str(), child(task).map(|()| ExitCode::SUCCESS)),
        _ => (program, parent()),
    };
    result.unwrap_or_else(|error| {
        eprintln!("{name}: {}", chain(&*error));
        ExitCode::FAILURE
    })
}

/// Sends an event to the parent. Errors are ignored: without a parent, the end of input ends the
/// process.
pub fn send(event: impl Serialize) {
    if let Ok(mut line) = serde_json::to_vec(&event) {
        line.push(b'\n');
        let _ = io::stdout().lock().write_all(&line);
    }
}

/// Passes each order of the parent to `on_order`. Ends this process when the parent ends.
pub fn listen<O: DeserializeOwned>(on_order: impl FnMut(O) + Send + 'static) {
    thread::spawn(move || {
        let lines = io::stdin().lock().lines().map_while(Result::ok);
        lines.flat_map(|line| serde_json::from_str(&line)).for_each(on_order);
        // As abrupt as a kill, which the process must survive anyway.
        process::exit(1);
    });
}
