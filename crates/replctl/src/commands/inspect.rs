//! `replctl inspect`: what is at a path.

use std::path::PathBuf;

use repl_checkpoint::{Generation, peek};
use serde::Serialize;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::lock::{Use, use_of};
use crate::output::{Output, Report, Text};
use crate::store::Place;

/// The arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The directory of a store, a checkpoint file, or a slot file
    path: PathBuf,
}

#[derive(Serialize)]
struct Inspected {
    kind: &'static str,
    store: String,
    generation: Generation,
    codec: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock: Option<Use>,
}

/// Prints what is there.
pub(crate) fn run(args: &Args, output: &Output) -> Result<Exit, Failure> {
    let place = Place::of(&args.path)?;
    let found = peek(&args.path)?;
    output.print(&Inspected {
        kind: place.kind(),
        store: found.header.store.to_string(),
        generation: found.header.generation,
        codec: found.codec,
        lock: place.lock_file().map(|lock| use_of(&lock)),
    })?;
    Ok(Exit::Good)
}

impl Report for Inspected {
    fn show(&self, text: &mut Text) {
        text.line(self.kind);
        text.field("store", &self.store);
        text.field("generation", self.generation);
        text.field("codec", &self.codec);
        if self.lock == Some(Use::Locked) {
            text.warning("  in use: a process holds its lock");
        }
    }
}
