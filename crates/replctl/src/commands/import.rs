//! `replctl import`: a new store of marks that another program has kept.

mod marks;

use std::path::{Path, PathBuf};

use repl_checkpoint::{Checkpoint, Disk, OsDisk, ShardCheckpoint, StoreId};
use repl_core::{Incarnation, LogId, ShardId};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::held::Held;
use crate::new_place::{self, Made, NewCodec, NewKind};
use crate::output::Output;
use crate::wording::shown;

/// The arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A file: a JSON object such as {"0":17}, or CSV with a shard and a mark a line
    file: PathBuf,
    /// The place of the new store: missing or empty
    path: PathBuf,
    /// The codec of the new store
    #[arg(long, default_value = "json")]
    codec: NewCodec,
    /// The kind of the new store
    #[arg(long, default_value = "files")]
    store: NewKind,
    /// The id of the new store: 1 to 32 hexadecimal digits
    #[arg(long, default_value = "0", value_parser = id)]
    store_id: StoreId,
}

fn id(text: &str) -> Result<StoreId, std::num::ParseIntError> {
    u128::from_str_radix(text, 16).map(StoreId)
}

/// Makes the store.
pub(crate) fn run(args: &Args, output: &Output) -> Result<Exit, Failure> {
    let text = std::fs::read_to_string(&args.file);
    let text = text.map_err(|error| Failure::io("read", &args.file, &error))?;
    let marks = marks::parse(&text).map_err(|error| {
        Failure::new(Exit::Usage, &args.file, error.to_string())
            .then("correct PATH: nothing was imported")
    })?;
    output.print(&import(&OsDisk, &checkpoint(&marks), &args.path, args)?)?;
    Ok(Exit::Good)
}

fn checkpoint(marks: &marks::Marks) -> Checkpoint {
    let row = |(shard, mark): (&u64, &u64)| ShardCheckpoint {
        shard: ShardId(*shard),
        log: LogId(0),
        incarnation: Incarnation(0),
        mark: *mark,
        completed: Box::default(),
        epochs: Box::default(),
    };
    Checkpoint { next_incarnation: Incarnation(1), shards: marks.iter().map(row).collect() }
}

fn import<D: Disk + Clone + 'static>(
    disk: &D,
    checkpoint: &Checkpoint,
    path: &Path,
    args: &Args,
) -> Result<Made, Failure> {
    let site = new_place::make(disk, path, args.store)?;
    let mut new = Held::open(disk, site, args.store_id)?;
    let codec = args.codec.codec();
    let shown = shown(path);
    let next = format!(
        "replctl export --format csv {shown}, and compare the marks of all shards; then start the engine"
    );
    Made::by_saving(checkpoint, &mut new, &*codec, 0, &next)
}
