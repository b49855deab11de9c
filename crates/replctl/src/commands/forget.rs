//! `replctl forget`: leaves a shard out of the checkpoints.

use std::path::{Path, PathBuf};

use repl_checkpoint::{Disk, Generation, OsDisk};
use repl_core::ShardId;
use serde::Serialize;

use super::set::refused;
use crate::aside;
use crate::audit::{self, Change};
use crate::edit;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::held::{Held, check_undamaged};
use crate::output::{Output, Report, Text};
use crate::row::Row;
use crate::site::Site;

/// The arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The directory of a store, or a slot file
    path: PathBuf,
    /// The shard
    shard: u64,
    /// Allow an engine that still has the shard to apply all of its segments again
    #[arg(long)]
    replay: bool,
}

#[derive(Serialize)]
pub(super) struct Done {
    generation: Generation,
    forgotten: Row,
    shards: usize,
    aside: PathBuf,
}

/// Forgets the shard.
pub(crate) fn run(args: &Args, output: &Output) -> Result<Exit, Failure> {
    output.print(&forget(&OsDisk, &args.path, ShardId(args.shard), args.replay)?)?;
    Ok(Exit::Good)
}

pub(super) fn forget<D: Disk + Clone + 'static>(
    disk: &D,
    path: &Path,
    shard: ShardId,
    may_replay: bool,
) -> Result<Done, Failure> {
    let (mut held, found) = Held::open_and_find(disk, Site::of(path)?)?;
    check_undamaged(&held.site, &found)?;
    let again = |flag| format!("replctl forget PATH {shard} {flag}");
    let edit = edit::forget(&found.checkpoint, shard, may_replay);
    let (checkpoint, before) = edit.map_err(|why| refused(&held.site, &why, again))?;
    let aside = aside::copy(disk, &held.site)?;
    let name = Some(aside.display().to_string());
    let change = Change { before: Some(Row::from(&before)), after: None, aside: name };
    audit::append(disk, &held.site, &change)?;
    let last = found.attempted;
    let generation = held.save_everywhere(&checkpoint, &*found.codec, found.header, last)?;
    Ok(Done {
        generation,
        forgotten: Row::from(&before),
        shards: checkpoint.shards.len(),
        aside: held.site.typed(&aside),
    })
}

impl Report for Done {
    fn show(&self, text: &mut Text) {
        let (shard, mark) = (self.forgotten.shard, self.forgotten.mark);
        text.good(&format!("shard {shard} is forgotten, which was at {mark}"));
        text.field("shards left", self.shards);
        text.field("aside", self.aside.display());
        text.field("generation", self.generation);
        text.field("next", "start the engine, without this shard");
    }
}
