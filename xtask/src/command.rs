//! Runs a program of the toolchain, in the workspace's folder, and watches what it prints.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let xtask = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().map_or(xtask.clone(), PathBuf::from)
}

/// A program, its arguments and environment.
pub(crate) struct Program {
    command: Command,
    shown: String,
}

/// `cargo TASK ARGUMENTS`.
pub(crate) fn cargo(task: &str, arguments: &[&str]) -> Program {
    // The cargo that runs this, whatever toolchain was asked for.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root()).arg(task).args(arguments);
    let mut shown = format!("cargo {task}");
    for argument in arguments {
        let _ = write!(shown, " {argument}");
    }
    Program { command, shown }
}

impl Program {
    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self.shown = format!("{name}={value:?} {}", self.shown);
        self
    }

    /// Runs it to its end; an error unless it succeeds.
    pub(crate) fn run(mut self) -> Result<(), Box<dyn Error>> {
        let status = self.command.status().map_err(|err| format!("{}: {err}", self.shown))?;
        if status.success() { Ok(()) } else { Err(format!("{}: {status}", self.shown).into()) }
    }

    /// Runs it to its end, showing each line of its standard output to `on_line` first.
    pub(crate) fn run_watching(
        mut self,
        mut on_line: impl FnMut(&str),
    ) -> Result<(), Box<dyn Error>> {
        let spawned = self.command.stdout(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|err| format!("{}: {err}", self.shown))?;
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).lines() {
                on_line(&line?);
            }
        }
        let status = child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("{}: {status}", self.shown).into()) }
    }
}
