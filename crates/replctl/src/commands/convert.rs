//! `replctl convert`: the newest checkpoint in another codec, or in a store of another kind.

use std::path::{Path, PathBuf};

use repl_checkpoint::{Disk, OsDisk};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::held::{Held, check_undamaged};
use crate::new_place::{self, Made, NewCodec, NewKind};
use crate::output::Output;
use crate::site::Site;

/// The arguments.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The directory of a store, or a slot file; it stays as it is
    from: PathBuf,
    /// The place of the new store: missing or empty
    to: PathBuf,
    /// The codec of the new store; the same if it is left out
    #[arg(long)]
    codec: Option<NewCodec>,
    /// The kind of the new store; the same if it is left out
    #[arg(long)]
    store: Option<NewKind>,
}

/// Makes the new store.
pub(crate) fn run(args: &Args, output: &Output) -> Result<Exit, Failure> {
    output.print(&convert(&OsDisk, &args.from, &args.to, args.codec, args.store)?)?;
    Ok(Exit::Good)
}

pub(super) fn convert<D: Disk + Clone + 'static>(
    disk: &D,
    from: &Path,
    to: &Path,
    codec: Option<NewCodec>,
    kind: Option<NewKind>,
) -> Result<Made, Failure> {
    // Held until the end: a save meanwhile would be missing.
    let (held, found) = Held::open_and_find(disk, Site::of(from)?)?;
    check_undamaged(&held.site, &found)?;
    let kind = kind.unwrap_or(NewKind::like(&held.site));
    let codec = codec.map_or(found.codec, NewCodec::codec);
    let site = new_place::make(disk, to, kind)?;
    let mut new = Held::open(disk, site, held.id)?;
    let next = "start the engine with this store and codec, then move the old one away";
    // The new store knows nothing of the generations of the old one, and goes on behind them.
    Made::by_saving(&found.checkpoint, &mut new, &*codec, found.attempted, next)
}
