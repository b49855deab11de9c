//! The command lines of the leader and the follower.

use std::ffi::OsString;
use std::io;
use std::sync::mpsc::Sender;

use crate::child::Process;
use crate::cli::{Mutant, RunArgs};
use crate::events::{Event, shards};
use crate::folder::Folder;
use crate::progress;
use crate::run_error::RunError;
use crate::source::open_existing;

pub(crate) fn leader(
    args: &RunArgs,
    folder: &Folder,
    until: &[u64],
    events: Sender<Event>,
) -> io::Result<Process> {
    let mut words = words("leader", folder);
    let until: Vec<String> = until.iter().map(u64::to_string).collect();
    words.extend(["--seed".into(), folder.run.seed.to_string().into()]);
    words.extend(["--until".into(), until.join(",").into()]);
    words.extend(["--log-frames".into(), args.log_frames.to_string().into()]);
    if let Some(file) = &args.load {
        words.extend(["--load".into(), file.into()]);
    }
    if args.mutant == Some(Mutant::IgnoreFloor) {
        words.push("--ignore-floor".into());
    }
    Process::start(words, events)
}

pub(crate) fn follower(
    args: &RunArgs,
    folder: &Folder,
    rebase: bool,
    events: Sender<Event>,
) -> io::Result<Process> {
    let mut words = words("follower", folder);
    words.extend(["--databases".into(), folder.run.databases.to_string().into()]);
    words.extend(["--threads".into(), args.threads.to_string().into()]);
    words.extend(["--store".into(), args.store.to_string().into()]);
    words.extend(["--store-id".into(), folder.run.store.clone().into()]);
    let flags = [
        (rebase, "--rebase"),
        (args.drop_page_cache, "--keep-images"),
        (args.mutant == Some(Mutant::MarkBeforeFlush), "--mark-before-flush"),
        (args.mutant == Some(Mutant::ApplyBeforeLog), "--apply-before-log"),
        (args.mutant == Some(Mutant::SkipWait), "--skip-wait"),
    ];
    words.extend(flags.iter().filter(|(on, _)| *on).map(|(_, flag)| flag.into()));
    Process::start(words, events)
}

fn words(child: &str, folder: &Folder) -> Vec<OsString> {
    vec![child.into(), "--dir".into(), folder.layout.root().into()]
}

/// The number of transactions that each database shall reach: those that it has, and its share.
pub(crate) fn targets(args: &RunArgs, folder: &Folder) -> Result<Vec<u64>, RunError> {
    let databases = folder.run.databases;
    let all = match (args.transactions, args.seconds) {
        (None, Some(_)) => u64::MAX,
        _ => args.transactions(),
    };
    let mut until = Vec::new();
    for shard in shards(databases) {
        let path = folder.layout.database(shard);
        let mut done = 0;
        if path.exists() {
            let db = open_existing(&path)?;
            let read = progress::read(&db).map_err(|source| RunError::Progress { path, source })?;
            done = read.map_or(0, |(_, done)| done);
        }
        let share = all / databases + u64::from(shard.0 < all % databases);
        until.push(done.saturating_add(share));
    }
    Ok(until)
}
