//! `replctl verify`: every check of recovery, on every generation.

use std::path::PathBuf;

use serde::Serialize;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, Report, Text};
use crate::seen::{Seen, Shown, counted};

/// The arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The directory of a store, a checkpoint file, or a slot file
    path: PathBuf,
}

#[derive(Serialize)]
struct Verified<'a> {
    verdict: &'static str,
    /// `None` if nothing of it can be read.
    #[serde(flatten)]
    shown: Option<&'a Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a Failure>,
}

/// Checks everything at a path.
pub(crate) fn run(args: &Args, output: &Output) -> Result<Exit, Failure> {
    let seen = Seen::at(&args.path);
    let (shown, problem) = match &seen {
        Ok(seen) => (Some(&seen.shown), seen.problem.as_ref()),
        Err(problem) => (None, Some(problem)),
    };
    let exit = problem.map_or(Exit::Good, |problem| problem.exit);
    output.print(&Verified { verdict: exit.name(), shown, problem })?;
    Ok(exit)
}

impl Report for Verified<'_> {
    fn show(&self, text: &mut Text) {
        if let Some(shown) = self.shown {
            shown.show(text);
        }
        if let Some(problem) = self.problem {
            problem.show(text);
        } else {
            let found = self.shown.map_or(0, |shown| shown.generations.len());
            text.good(&format!("good: {}, whole", counted(found, "generation")));
        }
    }
}
