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
    #[serde(flatten)]
    shown: &'a Shown,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a Failure>,
}

/// Checks everything at a path.
pub(crate) fn run(args: &Args, output: &Output) -> Result<Exit, Failure> {
    let seen = Seen::at(&args.path)?;
    let exit = seen.exit();
    let problem = seen.problem.as_ref();
    output.print(&Verified { verdict: exit.name(), shown: &seen.shown, problem })?;
    Ok(exit)
}

impl Report for Verified<'_> {
    fn show(&self, text: &mut Text) {
        self.shown.show(text);
        if let Some(problem) = self.problem {
            problem.show(text);
        } else {
            let all = counted(self.shown.generations.len(), "generation");
            text.good(&format!("good: {all}, whole"));
        }
    }
}
