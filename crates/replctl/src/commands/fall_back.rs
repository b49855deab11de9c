//! `replctl fall-back`: goes on from the newest checkpoint that is whole.
//!
//! Nothing is removed. Damaged checkpoint files are moved into a directory beside the others. A
//! damaged slot file is copied there, and then replaced by one in which every slot is whole.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use repl_checkpoint::{Disk, Generation, OsDisk};
use repl_core::{SeqNo, SeqRange, ShardId};
use serde::Serialize;

use crate::aside;
use crate::audit::{self, Change};
use crate::edit::Segments;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::held::{Damaged, Found, Held};
use crate::output::{Output, Report, Text};
use crate::reasons::FIRST_PAGE;
use crate::site::{Kind, Site};
use crate::verdict::{all_marks, log_to_check};
use crate::wording::shown as as_typed;

/// The arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The directory of a store, or a slot file
    path: PathBuf,
    /// The log holds every segment above the marks of the checkpoint to fall back to
    ///
    /// Needed if two or more checkpoints are damaged. A crash damages one at most, and the log is
    /// never truncated above the one before it. With two damaged it may be.
    #[arg(long)]
    log_checked: bool,
}

#[derive(Serialize)]
pub(super) struct FellBack {
    #[serde(skip)]
    path: PathBuf,
    changed: bool,
    generation: Generation,
    /// The generation that was whole. In a slot file it is saved again.
    whole: Generation,
    #[serde(skip_serializing_if = "Option::is_none")]
    aside: Option<PathBuf>,
    damaged: Vec<Shown>,
    shards: Vec<Offered>,
}

#[derive(Serialize)]
struct Shown {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    reason: String,
}

/// What is offered to a shard again.
#[derive(Serialize)]
struct Offered {
    shard: u64,
    /// The mark of the checkpoint that is whole.
    mark: SeqNo,
    /// What is applied above it.
    completed: Vec<[SeqNo; 2]>,
    /// The mark of the newest damaged checkpoint, if that can be read all the same.
    damaged_mark: Option<SeqNo>,
}

#[derive(Serialize)]
struct Newest {
    generation: Option<Generation>,
    damaged: usize,
}

/// Falls back, and prints what is offered again.
pub(crate) fn run(args: &Args, output: &Output) -> Result<Exit, Failure> {
    output.print(&fall_back(&OsDisk, &args.path, args.log_checked)?)?;
    Ok(Exit::Good)
}

pub(super) fn fall_back<D: Disk + Clone + 'static>(
    disk: &D,
    path: &Path,
    is_log_checked: bool,
) -> Result<FellBack, Failure> {
    let (mut held, found) = Held::open_and_find(disk, Site::of(path)?)?;
    let whole = found.header.generation;
    if found.damaged.is_empty() {
        let (generation, damaged, shards) = (whole, Vec::new(), Vec::new());
        let (changed, aside) = (false, None);
        let path = path.to_owned();
        return Ok(FellBack { path, changed, generation, whole, aside, damaged, shards });
    }
    check_log(&held.site, &found, is_log_checked)?;
    let name = aside::free_name(disk, &held.site)?;
    let mut generation = found.header.generation;
    match held.site.kind {
        Kind::Files => {
            record(disk, &held.site, &found, &name)?;
            let files: Vec<PathBuf> = found.damaged.iter().map(|it| it.path.clone()).collect();
            aside::move_files(disk, &held.site, &name, &files)?;
        }
        Kind::Slots => {
            aside::copy(disk, &held.site)?;
            record(disk, &held.site, &found, &name)?;
            let (confirmed, last) = (found.header.confirmed, found.attempted);
            generation = held.save(&found.checkpoint, &*found.codec, confirmed, last)?;
        }
    }
    let aside = Some(held.site.typed(Path::new(&name)));
    let damaged = found.damaged.iter().map(|it| shown(held.site.kind, it)).collect();
    let shards = offered(&found);
    let path = path.to_owned();
    Ok(FellBack { path, changed: true, generation, whole, aside, damaged, shards })
}

/// One crash damages one checkpoint at most, and no floor has passed the one before.
fn check_log(site: &Site, found: &Found, is_checked: bool) -> Result<(), Failure> {
    let damaged = found.damaged.len();
    if damaged < 2 || is_checked {
        return Ok(());
    }
    let generation = found.header.generation;
    let reason = format!(
        "its {damaged} newest checkpoints are damaged, and one crash damages one at most: the log \
         may have been truncated above generation {generation}, and what is missing there would \
         be lost without a word"
    );
    let mut failure = Failure::new(Exit::Refused, &site.typed, reason);
    failure.newest_whole = Some((generation, found.path.clone()));
    Err(log_to_check(failure, &as_typed(&site.typed)))
}

fn record<D: Disk>(disk: &D, site: &Site, found: &Found, aside: &OsStr) -> Result<(), Failure> {
    let generation = found.damaged.first().and_then(|newest| newest.generation);
    let before = Newest { generation, damaged: found.damaged.len() };
    let after = Newest { generation: Some(found.header.generation), damaged: 0 };
    let aside = Some(aside.to_string_lossy().into_owned());
    audit::append(disk, site, &Change { before, after, aside })
}

fn shown(kind: Kind, damaged: &Damaged) -> Shown {
    let name = damaged.path.file_name().filter(|_| kind == Kind::Files);
    Shown {
        file: name.map(|name| name.to_string_lossy().into_owned()),
        reason: damaged.reason.clone(),
    }
}

fn offered(found: &Found) -> Vec<Offered> {
    let newest = found.damaged.first().and_then(|newest| newest.checkpoint.as_ref());
    let of = |shard: ShardId| newest?.shard(shard).map(|row| row.mark);
    let rows = found.checkpoint.shards.iter();
    rows.map(|row| Offered {
        shard: row.shard.0,
        mark: row.mark,
        completed: row.completed.iter().map(|range| [range.first(), range.last()]).collect(),
        damaged_mark: of(row.shard),
    })
    .collect()
}

impl Report for FellBack {
    fn show(&self, text: &mut Text) {
        let generation = self.generation;
        let Some(aside) = &self.aside else {
            text.good(&format!("generation {generation} is whole, and the newest"));
            text.field("changed", "nothing");
            return;
        };
        let path = as_typed(&self.path);
        text.rows(self.shards.iter().map(Offered::line), &all_marks(&path));
        let whole = self.whole;
        text.good(&if generation == whole {
            format!("fell back: generation {generation} is the newest")
        } else {
            format!("fell back to generation {whole}, saved again as generation {generation}")
        });
        text.field("aside", aside.display());
        for damaged in &self.damaged {
            let file = damaged.file.as_ref().map(|file| format!("{file}: ")).unwrap_or_default();
            text.field("damaged", format_args!("{file}{}", damaged.reason));
        }
        let is_mark_lost = self.damaged.iter().any(|damaged| damaged.reason != FIRST_PAGE);
        if is_mark_lost && self.shards.iter().any(|shard| shard.damaged_mark.is_none()) {
            let note = "how far the damaged checkpoint had come, and whether it had more shards";
            text.field("not known", note);
        }
        text.field("next", "start the engine");
    }
}

impl Offered {
    fn line(&self) -> (String, String) {
        (format!("shard {}", self.shard), self.shown())
    }

    fn shown(&self) -> String {
        let Some(from) = self.mark.checked_add(1) else {
            return "no segment is left to offer".to_owned();
        };
        let above = self.completed.iter().map(|[first, last]| SeqRange::new(*first, *last));
        let above = Segments(above.collect());
        let but = if above.0.is_empty() { String::new() } else { format!(", but not {above}") };
        let had = self.damaged_mark.map(|mark| format!("; the damaged one was at {mark}"));
        format!("segments from {from} on are offered again{but}{}", had.unwrap_or_default())
    }
}
