//! Places where no store is yet.

use std::path::{Path, PathBuf};

use repl_checkpoint::{
    BincodeCodec, Checkpoint, Codec, Disk, Generation, Header, JsonCodec, SlotStore, StoreId,
};
use serde::Serialize;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::held::Held;
use crate::names::parent;
use crate::output::{Report, Text};
use crate::site::{Kind, Site};
use crate::wording::with_causes;

/// The kind of a new store.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NewKind {
    /// A `FileStore`: a directory
    Files,
    /// A `SlotStore`: a directory
    Slots,
    /// A `SlotStore` that is opened by its file: a file
    SlotFile,
}

/// The codec of a new store.
#[derive(clap::ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NewCodec {
    Json,
    Bincode,
}

impl NewKind {
    /// The kind of a store that is there.
    pub(crate) fn like(site: &Site) -> Self {
        match site.kind {
            Kind::Files => NewKind::Files,
            Kind::Slots if site.is_by_file() => NewKind::SlotFile,
            Kind::Slots => NewKind::Slots,
        }
    }

    /// Its kind.
    pub(crate) fn kind(self) -> Kind {
        match self {
            NewKind::Files => Kind::Files,
            NewKind::Slots | NewKind::SlotFile => Kind::Slots,
        }
    }
}

impl NewCodec {
    pub(crate) fn codec(self) -> Box<dyn Codec> {
        match self {
            NewCodec::Json => Box::new(JsonCodec),
            NewCodec::Bincode => Box::new(BincodeCodec),
        }
    }
}

/// Makes a place for a new store: creates its directory, and refuses one in which anything is.
pub(crate) fn make<D: Disk>(disk: &D, path: &Path, kind: NewKind) -> Result<Site, Failure> {
    if kind == NewKind::SlotFile {
        return make_file(path);
    }
    match disk.list(path) {
        Ok(names) => {
            // What a command that was cut off before its first save has left.
            let is_left = |name: &str| {
                name == "lost+found"
                    || name == "repl-checkpoint.lock"
                    || name == "repl-checkpoint.audit"
                    || name.contains(".temp-")
            };
            if let Some(name) = names.iter().find(|name| !name.to_str().is_some_and(is_left)) {
                return Err(not_empty(path, &format!("it holds {}", name.display())));
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            std::fs::create_dir_all(path).map_err(|error| Failure::io("create", path, &error))?;
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            return Err(not_empty(path, "it is a file"));
        }
        Err(error) => return Err(Failure::io("list", path, &error)),
    }
    Site::in_directory(kind.kind(), path)
}

fn make_file(path: &Path) -> Result<Site, Failure> {
    let mut marker = path.to_owned().into_os_string();
    marker.push(".marker");
    for taken in [path, Path::new(&marker)] {
        if taken.symlink_metadata().is_ok() {
            return Err(not_empty(path, &format!("{} is there", taken.display())));
        }
    }
    // The store knows which names it can use. It creates the directory.
    let refused = |error| Failure::new(Exit::Usage, path, with_causes(&error));
    drop(SlotStore::open_file(path, StoreId::UNNAMED).map_err(refused)?);
    Site::of_new_file(path)
}

fn not_empty(path: &Path, why: &str) -> Failure {
    let reason = format!("it is not empty, and nothing is written over what is there: {why}");
    Failure::new(Exit::Refused, path, reason).then("the same command with another path")
}

/// A new store, to print.
#[derive(Serialize)]
pub(crate) struct Made {
    path: PathBuf,
    kind: &'static str,
    codec: &'static str,
    store: String,
    generation: Generation,
    shards: usize,
    /// What to do next.
    #[serde(skip)]
    next: String,
}

impl Made {
    /// Saves a checkpoint into a new store, in the generations after `attempted`.
    pub(crate) fn by_saving(
        checkpoint: &Checkpoint,
        into: &mut Held,
        codec: &dyn Codec,
        attempted: Generation,
        next: &str,
    ) -> Result<Self, Failure> {
        let generation = into.save_everywhere(checkpoint, codec, Header::default(), attempted)?;
        Ok(Made {
            path: into.site.typed.clone(),
            kind: into.site.kind.name(),
            codec: codec.name(),
            store: into.id.to_string(),
            generation,
            shards: checkpoint.shards.len(),
            next: next.to_owned(),
        })
    }
}

impl Report for Made {
    fn show(&self, text: &mut Text) {
        text.good(&format!("{}: a new {}", self.path.display(), self.kind));
        text.field("codec", self.codec);
        text.field("store", &self.store);
        text.field("generation", self.generation);
        text.field("shards", self.shards);
        text.field("next", &self.next);
    }
}

/// Makes a new directory of a complete store in one step: `fill` fills one with another name, which
/// is then renamed.
pub(crate) fn in_one_step(
    path: &Path,
    fill: impl FnOnce(&Path) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let disk = repl_checkpoint::OsDisk;
    let taken = || Failure::new(Exit::Refused, path, "it exists, and nothing is written over it");
    if path.symlink_metadata().is_ok() {
        return Err(taken().then("the same command with another path"));
    }
    let mut unfinished = path.to_owned().into_os_string();
    unfinished.push(format!(".unfinished-{}", std::process::id()));
    let unfinished = PathBuf::from(unfinished);
    let failed = |act| move |error| Failure::io(act, path, &error);
    disk.create_dir(&unfinished).map_err(failed("create"))?;
    let filled = fill(&unfinished).and_then(|()| {
        // Fails if it has come into being meanwhile. An empty directory can be renamed over.
        disk.create_dir(path).map_err(failed("create"))?;
        disk.rename(&unfinished, path).map_err(failed("rename another to"))
    });
    if filled.is_err() {
        let _ = std::fs::remove_dir_all(&unfinished); // it is ours
    }
    filled?;
    crate::aside::sync(&disk, parent(path))
}
