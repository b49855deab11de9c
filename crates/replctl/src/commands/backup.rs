//! `replctl backup`: the newest whole checkpoint as a store of its own.
//!
//! It takes no lock. The newest whole checkpoint is read as `peek` reads it, while an engine saves,
//! and saved into a new store of the same kind, id, codec and generation.

use std::path::{Path, PathBuf};

use repl_checkpoint::{Generation, OsDisk, peek};
use serde::Serialize;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::held::Held;
use crate::new_place;
use crate::output::{Output, Report, Text};
use crate::seen::Seen;
use crate::site::Site;
use crate::store::codec_of;

/// The arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The directory of a store, or a slot file
    path: PathBuf,
    /// The directory to make; it must not exist
    dest: PathBuf,
}

#[derive(Serialize)]
struct Done {
    path: PathBuf,
    dest: PathBuf,
    kind: &'static str,
    generation: Generation,
    shards: usize,
    /// Whether a newer checkpoint is damaged.
    is_fall_back: bool,
}

/// Makes the backup.
pub(crate) fn run(args: &Args, output: &Output) -> Result<Exit, Failure> {
    let done = back_up(&args.path, &args.dest)?;
    output.print(&done)?;
    Ok(if done.is_fall_back { Exit::FallBack } else { Exit::Good })
}

fn back_up(path: &Path, dest: &Path) -> Result<Done, Failure> {
    let site = Site::of(path)?;
    let seen = Seen::usable(path)?;
    let found = peek(path)?;
    let codec = codec_of(&found.codec, &found.path)?;
    let checkpoint = found.checkpoint.unwrap_or_default();
    let header = found.header;
    new_place::in_one_step(dest, |dir| {
        let mut backup = Held::open(&OsDisk, Site::in_directory(site.kind, dir)?, header.store)?;
        let before = header.generation.saturating_sub(1);
        backup.save(&checkpoint, &*codec, header.confirmed, before)?;
        drop(backup);
        // The engine that opens a copy makes one.
        let _ = std::fs::remove_file(dir.join("repl-checkpoint.lock"));
        Ok(())
    })?;
    Ok(Done {
        path: path.to_owned(),
        dest: dest.to_owned(),
        kind: site.kind.name(),
        generation: header.generation,
        shards: checkpoint.shards.len(),
        is_fall_back: seen.is_newest_damaged(),
    })
}

impl Report for Done {
    fn show(&self, text: &mut Text) {
        let (generation, path) = (self.generation, self.path.display());
        text.good(&format!("backed up generation {generation} of {path}"));
        text.field("backup", self.dest.display());
        text.field("kind", self.kind);
        text.field("shards", self.shards);
        if self.is_fall_back {
            text.warning("  the newest checkpoint is damaged, and this is an older one");
        }
        text.field("next", "copy the data of the engine now, not before");
    }
}
