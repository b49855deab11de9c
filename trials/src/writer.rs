//! A process that saves on a real filesystem, and the checks of what is found after it has ended.
//!
//! [`write()`] runs the production code and reports every call on a pipe. There are two checks:
//! - [`Checker`], of a filesystem that is shut down and mounted again. It holds recovery to the
//!   promises of the simulated crashes. It also makes the same calls on a simulated disk: the files
//!   must be one of the images that a power cut may leave there.
//! - [`WriterHistory`], of power cuts that are made of a disk's recorded writes. It holds recovery
//!   to the same promises, after writers that were killed and restarted before the cut.

mod checker;
mod event;
mod follower;
mod history;
mod logged_disk;
mod plan;
mod replay;
mod saving;
#[cfg(test)]
mod tests;

use std::io::{self, Read, Stdin, Stdout, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) use self::checker::{Checker, Failure, Outcome, RunResult};
pub(crate) use self::event::{CallRecord, Event, Events};
pub(crate) use self::follower::Follower;
pub(crate) use self::history::WriterHistory;
pub(crate) use self::logged_disk::WriterMutant;
pub(crate) use self::plan::Plan;
pub(crate) use self::saving::{is_temp, write};
use crate::done::Done;

/// The work of a writer process.
#[derive(clap::Args)]
pub(crate) struct Args {
    root: PathBuf,
    follower: String,
    first: u64,
    end: u64,
    #[arg(long)]
    mutant: Option<WriterMutant>,
    /// Wait for a byte of input after each event
    #[arg(long)]
    in_step: bool,
}

/// The command that starts a writer process. Its output is its events.
pub(crate) fn command(
    root: &Path,
    follower: Follower,
    mutant: Option<WriterMutant>,
    stamps: Range<u64>,
) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("writer").arg(root);
    command.args([follower.name(), stamps.start.to_string(), stamps.end.to_string()]);
    if let Some(mutant) = mutant {
        command.args(["--mutant", &format!("{mutant:?}")]);
    }
    Ok(command)
}

/// The process itself.
pub(crate) fn run(args: &Args) -> Done {
    let follower = Follower::named(&args.follower).ok_or("no such follower")?;
    let (events, answers) = (io::stdout(), io::stdin());
    let out: Box<dyn Write + Send> =
        if args.in_step { Box::new(InStep { events, answers }) } else { Box::new(events) };
    Ok(write(&args.root, follower, args.mutant, args.first..args.end, out)?)
}

/// Waits after each event until its reader has noted when it came.
struct InStep {
    events: Stdout,
    answers: Stdin,
}

impl Write for InStep {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.events.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.events.flush()?;
        self.answers.read_exact(&mut [0])
    }
}
