//! `replctl restore`: brings the checkpoint of a backup into the place of a store.
//!
//! What is there is copied aside first. The restored shards begin new incarnations, in generations
//! above all that the store has used, so that nothing of before is taken for a part of them.

mod checks;

use std::path::{Path, PathBuf};

use repl_checkpoint::{Checkpoint, Disk, Generation, Header, OsDisk, Peeked, peek};
use repl_core::SeqNo;
use serde::Serialize;

use super::set::refused;
use crate::aside;
use crate::audit::{self, Change};
use crate::edit::{Allowed, begun_again, check_marks};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::held::Held;
use crate::new_place::{self, NewKind};
use crate::output::{MOST_ROWS, Output, Report, Text};
use crate::site::{Kind, Site};
use crate::store::codec_of;
use crate::verdict::{LOG_HOLDS, all_marks};
use crate::wording::shown;

/// The arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to restore: a directory that `backup` has made or a change has put aside, or a file
    backup: PathBuf,
    /// The store: one that is there, one that has lost its checkpoints, or a new place
    path: PathBuf,
    /// The kind of a new store; that of the backup if it is left out
    #[arg(long)]
    store: Option<NewKind>,
    #[command(flatten)]
    allowed: Allowed,
}

#[derive(Serialize)]
pub(super) struct Done {
    path: PathBuf,
    generation: Generation,
    store: String,
    codec: String,
    /// Whether what was there before said the same, or nothing was there.
    was_known: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    aside: Option<PathBuf>,
    shards: Vec<Restored>,
    /// Whether a store was there, of which no checkpoint could be read.
    #[serde(skip)]
    was_unreadable: bool,
}

#[derive(Serialize)]
struct Restored {
    shard: u64,
    /// The mark before; `None` if it is not known, or there was none.
    before: Option<SeqNo>,
    /// `None` if the backup does not have the shard.
    after: Option<SeqNo>,
}

#[derive(Serialize)]
struct Summary {
    generation: Option<Generation>,
    shards: Option<usize>,
}

/// What is in the place of a store.
struct There {
    checkpoint: Option<Checkpoint>,
    header: Header,
    attempted: Generation,
}

/// Restores, and prints the marks before and after.
pub(crate) fn run(args: &Args, output: &Output) -> Result<Exit, Failure> {
    output.print(&restore(&OsDisk, &args.backup, &args.path, args.store, args.allowed)?)?;
    Ok(Exit::Good)
}

pub(super) fn restore<D: Disk + Clone + 'static>(
    disk: &D,
    backup: &Path,
    path: &Path,
    kind: Option<NewKind>,
    allowed: Allowed,
) -> Result<Done, Failure> {
    let from = Site::of_any(backup)?;
    checks::of_backup(backup)?;
    let found = peek(backup)?;
    let codec = codec_of(&found.codec, backup)?;
    let kind = kind.unwrap_or(NewKind::like(&from));
    let site = Site::of_store(path, kind.kind())?;
    let is_there = site.is_some();
    let site = site.map_or_else(|| new_place::make(disk, path, kind), Ok)?;
    let was_known = !is_there || checks::of_place(&site, path, &found)?;
    let mut held = Held::open(disk, site, found.header.store)?;
    let there = there(&mut held, &found)?;
    let restored = found.checkpoint.unwrap_or_default();
    let given = if allowed.replay { " --replay" } else { "" };
    let given = if allowed.skip { " --skip" } else { given };
    let again = |flag| format!("replctl restore {} PATH{given} {flag}", shown(backup));
    let checkpoint = check_marks(there.checkpoint.as_ref(), &restored, allowed)
        .and_then(|()| begun_again(restored, there.checkpoint.as_ref()));
    let checkpoint = checkpoint.map_err(|why| refused(&held.site, &why, again))?;
    let mut aside = None;
    if is_there {
        aside = Some(aside::copy(disk, &held.site)?);
    }
    record(disk, &held.site, &there, &found.header, &checkpoint, aside.as_deref())?;
    if there.checkpoint.is_none() && held.site.kind == Kind::Slots {
        remove_unusable(disk, &held.site)?;
    }
    let attempted = there.attempted.max(found.header.generation);
    let generation = held.save_everywhere(&checkpoint, &*codec, there.header, attempted)?;
    Ok(Done {
        path: path.to_owned(),
        generation,
        store: found.header.store.to_string(),
        codec: found.codec,
        was_known,
        aside: aside.map(|name| held.site.typed(&name)),
        shards: compared(there.checkpoint.as_ref(), &checkpoint),
        was_unreadable: is_there && there.checkpoint.is_none(),
    })
}

/// Reads what is there. Nothing whole is no obstacle; what this program cannot tell is one.
fn there(held: &mut Held, backup: &Peeked) -> Result<There, Failure> {
    let codec = codec_of(&backup.codec, &held.site.typed)?;
    match held.find(codec) {
        Ok(found) => Ok(There {
            checkpoint: Some(found.checkpoint),
            header: found.header,
            attempted: found.attempted,
        }),
        Err(failure) if failure.exit == Exit::Damage => {
            let attempted = held.site.highest_named();
            Ok(There { checkpoint: None, header: Header::default(), attempted })
        }
        Err(failure) => Err(failure),
    }
}

fn record<D: Disk>(
    disk: &D,
    site: &Site,
    there: &There,
    backup: &Header,
    checkpoint: &Checkpoint,
    aside: Option<&Path>,
) -> Result<(), Failure> {
    let shards = there.checkpoint.as_ref().map(|before| before.shards.len());
    let generation = shards.map(|_| there.header.generation);
    let before = Summary { generation, shards };
    let after =
        Summary { generation: Some(backup.generation), shards: Some(checkpoint.shards.len()) };
    let aside = aside.map(|name| name.display().to_string());
    audit::append(disk, site, &Change { before, after, aside })
}

/// Removes a slot file of which nothing can be used, so that a new one can be made. Its copy is
/// aside.
fn remove_unusable<D: Disk>(disk: &D, site: &Site) -> Result<(), Failure> {
    let file = site.slot_file();
    match disk.remove(&file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::io("remove", &file, &error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn compared(before: Option<&Checkpoint>, after: &Checkpoint) -> Vec<Restored> {
    let was = |shard| before?.shard(shard).map(|row| row.mark);
    let rows = after.shards.iter().map(|row| Restored {
        shard: row.shard.0,
        before: was(row.shard),
        after: Some(row.mark),
    });
    let before = before.map(|before| before.shards.as_slice()).unwrap_or_default();
    let gone = before.iter().filter(|row| after.shard(row.shard).is_none());
    let gone = gone.map(|row| Restored { shard: row.shard.0, before: Some(row.mark), after: None });
    let mut rows: Vec<Restored> = rows.chain(gone).collect();
    rows.sort_by_key(|row| row.shard);
    rows
}

/// The shards to list: those that move most if there are many, in the order in which they were.
fn moved_most(shards: &[Restored]) -> impl Iterator<Item = &Restored> {
    let mut listed: Vec<_> = shards.iter().collect();
    listed.sort_by_key(|shard| std::cmp::Reverse(shard.moved()));
    listed.truncate(MOST_ROWS);
    listed.sort_by_key(|shard| shard.shard);
    listed.into_iter()
}

impl Restored {
    /// How far the mark has moved. A shard that is gone comes first.
    fn moved(&self) -> u64 {
        self.after.map_or(u64::MAX, |after| after.abs_diff(self.before.unwrap_or(0)))
    }

    fn line(&self, was_unreadable: bool) -> String {
        match (self.before, self.after) {
            (Some(before), Some(after)) => format!("{before} -> {after}"),
            (None, Some(after)) if was_unreadable => format!("not known -> {after}"),
            (None, Some(after)) => format!("none -> {after}"),
            (before, None) => format!("{} -> not in the backup", before.unwrap_or(0)),
        }
    }
}

impl Report for Done {
    fn show(&self, text: &mut Text) {
        for shard in moved_most(&self.shards) {
            text.field(&format!("shard {}", shard.shard), shard.line(self.was_unreadable));
        }
        let store = shown(&self.path);
        if let Some(more) = self.shards.len().checked_sub(MOST_ROWS).filter(|more| *more > 0) {
            let all = all_marks(&store);
            text.line(format_args!("  and {more} more, which move no further: {all}"));
        }
        text.good(&format!("restored {}: generation {}", self.path.display(), self.generation));
        text.field("store", format_args!("{}, codec {}", self.store, self.codec));
        if let Some(aside) = &self.aside {
            text.field("aside", aside.display());
        }
        if !self.was_known {
            let log = "what was here does not say its store and codec: compare them with the log \
                       of the engine";
            text.field("next", log);
        }
        text.field("next", all_marks(&store));
        text.field("next", format_args!("if {LOG_HOLDS}: start the engine"));
    }
}
