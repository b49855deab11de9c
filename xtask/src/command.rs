//! Runs programs in the workspace's folder.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// A result whose error may move between threads.
pub(crate) type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The result of a task.
pub(crate) type Done = Fallible<()>;

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let xtask = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().map_or(xtask.clone(), PathBuf::from)
}

/// A program with its arguments and environment.
pub(crate) struct Program {
    command: Command,
    shown: String,
}

/// Prepares `cargo TASK ARGUMENTS`.
pub(crate) fn cargo(task: &str, arguments: &[&str]) -> Program {
    // The cargo that runs this process, so that its toolchain is used.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut arguments = arguments.to_vec();
    arguments.insert(0, task);
    program(Command::new(cargo), "cargo", &arguments)
}

/// Prepares `cargo xtask ARGUMENTS`.
pub(crate) fn xtask(arguments: &[&str]) -> Program {
    cargo("run", &[&["--locked", "--quiet", "--package", "xtask", "--"], arguments].concat())
}

/// Prepares a program of the nightly toolchain.
pub(crate) fn nightly(name: &str, arguments: &[&str]) -> Program {
    toolchain("nightly", name, arguments)
}

/// Prepares a program of a toolchain. Variables that cargo set for this process name another
/// toolchain, so they are removed.
pub(crate) fn toolchain(toolchain: &str, name: &str, arguments: &[&str]) -> Program {
    let mut command = Command::new("rustup");
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN", "RUSTFLAGS"] {
        command.env_remove(variable);
    }
    command.args(["run", toolchain, name]);
    program(command, &format!("rustup run {toolchain} {name}"), arguments)
}

/// Prepares `rustup ARGUMENTS`.
pub(crate) fn rustup(arguments: &[&str]) -> Program {
    program(Command::new("rustup"), "rustup", arguments)
}

/// Prepares a program by its path.
pub(crate) fn at(path: &Path, arguments: &[&str]) -> Program {
    program(Command::new(path), &path.display().to_string(), arguments)
}

fn program(mut command: Command, name: &str, arguments: &[&str]) -> Program {
    command.current_dir(root()).args(arguments);
    let mut shown = name.to_owned();
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

    /// Runs it. Returns an error unless it succeeds.
    pub(crate) fn run(mut self) -> Done {
        let status = self.command.status().map_err(|err| format!("{}: {err}", self.shown))?;
        succeeded(&self.shown, status)
    }

    /// Returns whether it runs and succeeds. Prints nothing.
    pub(crate) fn succeeds(mut self) -> bool {
        let status = self.command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    }

    /// Runs it, and calls `on_line` with each line of both of its output streams.
    pub(crate) fn run_watching(mut self, mut on_line: impl FnMut(&str)) -> Done {
        let (lines, stdout) = std::io::pipe()?;
        self.command.stdout(stdout.try_clone()?).stderr(stdout);
        let mut child = self.command.spawn().map_err(|err| format!("{}: {err}", self.shown))?;
        // The command's ends of the pipe would keep it open.
        drop(self.command);
        for line in BufReader::new(lines).split(b'\n') {
            on_line(&String::from_utf8_lossy(&line?));
        }
        succeeded(&self.shown, child.wait()?)
    }

    /// Runs it, calls `on_line` with each line, and collects those that say what was skipped.
    pub(crate) fn run_collecting(
        self,
        skipped: &mut Vec<String>,
        mut on_line: impl FnMut(&str),
    ) -> Done {
        self.run_watching(|line| {
            on_line(line);
            if line.trim_start().starts_with("skipped:") {
                skipped.push(line.trim().to_owned());
            }
        })
    }

    /// Runs it, and returns its standard output.
    pub(crate) fn output(mut self) -> Fallible<String> {
        let output = self.command.stderr(Stdio::inherit()).output();
        let output = output.map_err(|err| format!("{}: {err}", self.shown))?;
        succeeded(&self.shown, output.status)?;
        Ok(String::from_utf8(output.stdout)?)
    }
}

fn succeeded(shown: &str, status: ExitStatus) -> Done {
    if status.success() { Ok(()) } else { Err(format!("{shown}: {status}").into()) }
}
