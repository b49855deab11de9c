//! `replctl set`: moves the mark of one shard.

use std::path::{Path, PathBuf};

use repl_checkpoint::{Disk, Generation, OsDisk};
use repl_core::{SeqNo, ShardId};
use serde::Serialize;

use crate::aside;
use crate::audit::{self, Change};
use crate::edit::{self, Allowed, RefusedEdit, Segments};
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
    /// The mark: the last segment that counts as applied, 0 for none
    seqno: SeqNo,
    #[command(flatten)]
    allowed: Allowed,
}

#[derive(Serialize)]
pub(super) struct Done {
    changed: bool,
    generation: Generation,
    before: Row,
    after: Row,
    skipped: Segments,
    replayed: Segments,
    #[serde(skip_serializing_if = "Option::is_none")]
    aside: Option<PathBuf>,
}

/// Moves the mark, and prints what that does to the data.
pub(crate) fn run(args: &Args, output: &Output) -> Result<Exit, Failure> {
    output.print(&set(&OsDisk, &args.path, ShardId(args.shard), args.seqno, args.allowed)?)?;
    Ok(Exit::Good)
}

pub(super) fn set<D: Disk + Clone + 'static>(
    disk: &D,
    path: &Path,
    shard: ShardId,
    to: SeqNo,
    allowed: Allowed,
) -> Result<Done, Failure> {
    let (mut held, found) = Held::open_and_find(disk, Site::of(path)?)?;
    check_undamaged(&held.site, &found)?;
    let again = |flag| format!("replctl set PATH {shard} {to} {flag}");
    let edit = edit::set(&found.checkpoint, shard, to, allowed);
    let Some(edit) = edit.map_err(|why| refused(&held.site, &why, again))? else {
        let row = found.checkpoint.shard(shard).map(Row::from);
        let row = row.ok_or_else(|| refused(&held.site, &RefusedEdit::NoShard(shard), again))?;
        return Ok(Done {
            changed: false,
            generation: found.header.generation,
            before: row.clone(),
            after: row,
            skipped: Segments::default(),
            replayed: Segments::default(),
            aside: None,
        });
    };
    let aside = aside::copy(disk, &held.site)?;
    let (before, after) = (Row::from(&edit.before), Row::from(&edit.after));
    let change = Change { before, after, aside: Some(aside.display().to_string()) };
    audit::append(disk, &held.site, &change)?;
    let last = found.attempted;
    let generation = held.save_everywhere(&edit.checkpoint, &*found.codec, found.header, last)?;
    Ok(Done {
        changed: true,
        generation,
        before: change.before,
        after: change.after,
        skipped: edit.skipped,
        replayed: edit.replayed,
        aside: Some(held.site.typed(&aside)),
    })
}

/// A change that was refused, and the command that allows it.
pub(super) fn refused(
    site: &Site,
    why: &RefusedEdit,
    again: impl Fn(&'static str) -> String,
) -> Failure {
    match why {
        RefusedEdit::NoShard(_) => Failure::new(Exit::Usage, &site.typed, why.to_string())
            .then("replctl inspect --shards PATH"),
        RefusedEdit::Replay(_) => {
            Failure::new(Exit::Refused, &site.typed, why.to_string()).then(again("--replay"))
        }
        RefusedEdit::Skip(_) => {
            Failure::new(Exit::Refused, &site.typed, why.to_string()).then(again("--skip"))
        }
        RefusedEdit::NoIncarnation(_) => Failure::new(Exit::Refused, &site.typed, why.to_string()),
    }
}

impl Report for Done {
    fn show(&self, text: &mut Text) {
        let Done { before, after, .. } = self;
        if !self.changed {
            text.good(&format!("shard {} is at {}", after.shard, after.mark));
            text.field("changed", "nothing");
            return;
        }
        text.good(&format!("shard {}: {} -> {}", after.shard, before.mark, after.mark));
        if !self.skipped.0.is_empty() {
            let skipped = &self.skipped;
            text.warning(&format!("  DATA IS SKIPPED: {skipped} will never be applied"));
        }
        if !self.replayed.0.is_empty() {
            text.field("offered again", &self.replayed);
        }
        if let Some(aside) = &self.aside {
            text.field("aside", aside.display());
        }
        text.field("generation", self.generation);
        text.field("next", "start the engine");
    }
}
