//! `replctl doctor`: whether a filesystem or a server can keep the promises of a store.
//!
//! It looks at the mount, and tries what a store does in a directory of its own, which it removes.
//! The store at the path is not touched, and its lock is not taken. For a server see `server`.

mod mount;
#[cfg(feature = "remote")]
mod remote;
mod rules;
mod server;
mod trials;

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, Report, Text};
use crate::url::is_url;

#[cfg(feature = "remote")]
pub(crate) use self::remote::work_for_a_race;

/// The arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The directory of a store, a slot file, a path where a store is to be, or the URL of a
    /// PostgreSQL database or an S3 bucket
    path: PathBuf,
    /// Save this often to each kind of store, for the time that a save takes
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(3..=100_000))]
    saves: u64,
    /// For a server: let 8 writers in 3 processes race this often, at least 10 times
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(10..=100_000))]
    rounds: u64,
}

/// What a check has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Good,
    /// It depends, or costs something.
    Warning,
    /// A promise cannot be kept.
    Broken,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    name: &'static str,
    verdict: Verdict,
    found: String,
}

impl Check {
    fn good(name: &'static str, found: impl Into<String>) -> Self {
        Check { name, verdict: Verdict::Good, found: found.into() }
    }

    fn warning(name: &'static str, found: impl Into<String>) -> Self {
        Check { name, verdict: Verdict::Warning, found: found.into() }
    }

    fn broken(name: &'static str, found: impl Into<String>) -> Self {
        Check { name, verdict: Verdict::Broken, found: found.into() }
    }
}

#[derive(Serialize)]
struct Examined {
    path: PathBuf,
    verdict: Verdict,
    checks: Vec<Check>,
}

impl Examined {
    fn new(path: PathBuf, checks: Vec<Check>) -> Self {
        let is = |verdict| checks.iter().any(|check| check.verdict == verdict);
        let verdict = match () {
            () if is(Verdict::Broken) => Verdict::Broken,
            () if is(Verdict::Warning) => Verdict::Warning,
            () => Verdict::Good,
        };
        Examined { path, verdict, checks }
    }
}

/// Examines a filesystem or a server.
pub(crate) fn run(args: &Args, output: &Output) -> Result<Exit, Failure> {
    let examined = if is_url(&args.path) {
        server::examine(&args.path, args.rounds)?
    } else {
        filesystem(args)?
    };
    output.print(&examined)?;
    Ok(if examined.verdict == Verdict::Broken { Exit::Refused } else { Exit::Good })
}

fn filesystem(args: &Args) -> Result<Examined, Failure> {
    let place = trials::place_beside(&args.path)?;
    let mut checks = match mount::of(&place) {
        Some(mount) => rules::judge(&mount),
        None => vec![Check::warning("filesystem", "this system does not say which one it is")],
    };
    checks.push(rules::space(&place, largest(&args.path)));
    // A mount that is read-only is no place for a trial.
    if checks.iter().all(|check| check.name != rules::READ_ONLY) {
        checks.extend(trials::run(&place, args.saves)?);
    }
    Ok(Examined::new(args.path.clone(), checks))
}

/// The length of the largest file of a store; 0 if there is none.
fn largest(path: &Path) -> u64 {
    let length = |path: &Path| path.metadata().ok().filter(std::fs::Metadata::is_file);
    if let Some(file) = length(path) {
        return file.len();
    }
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    let is_its =
        |path: &PathBuf| path.extension().is_some_and(|end| end == "checkpoint" || end == "slots");
    let files = entries.flatten().map(|entry| entry.path()).filter(is_its);
    files.filter_map(|path| length(&path)).map(|file| file.len()).max().unwrap_or(0)
}

impl Report for Examined {
    fn show(&self, text: &mut Text) {
        let path = self.path.display();
        let (can, cannot) = if is_url(&self.path) {
            ("it can be trusted with a remote store", "it CANNOT be trusted")
        } else {
            ("a store can keep its promises here", "a store CANNOT keep its promises here")
        };
        match self.verdict {
            Verdict::Good => text.good(&format!("{path}: {can}")),
            Verdict::Warning => text.warning(&format!("{path}: {can}; see below")),
            Verdict::Broken => text.bad(&format!("{path}: {cannot}; see below")),
        }
        for check in &self.checks {
            let found = match check.verdict {
                Verdict::Good => check.found.clone(),
                Verdict::Warning => format!("warning: {}", check.found),
                Verdict::Broken => format!("BROKEN: {}", check.found),
            };
            text.field(check.name, found);
        }
    }
}
