//! Decides whether a power cut may leave a given tree, without enumerating all images.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use super::SimDisk;
use super::content::Content;
use super::dir::Ino;
use super::file::Mismatch;
use super::state::State;

/// Every file and directory below the root of a disk, by path.
pub type Tree = BTreeMap<PathBuf, Entry>;

/// A file or directory of a [`Tree`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A directory.
    Dir,
    /// A file with these bytes.
    File(Vec<u8>),
}

/// Counts of what a power cut did to the unsettled files of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImageStats {
    /// Files with pending changes.
    pub unsettled: u64,
    /// Unsettled files that hold neither their durable nor their cached content.
    pub between: u64,
    /// Sectors that hold bytes that were never written.
    pub garbage: u64,
}

/// Why a power cut cannot leave a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAnImage {
    /// No subset of the pending changes leaves these names.
    #[error("directory {}: no power cut leaves exactly the names {names:?}", .dir.display())]
    Names {
        /// The directory.
        dir: PathBuf,
        /// The names that were found in it.
        names: Vec<OsString>,
    },
    /// A file was found in place of a directory, or a directory in place of a file.
    #[error("{}: a file was found for a directory, or a directory for a file", .path.display())]
    Kind {
        /// The path.
        path: PathBuf,
    },
    /// The file never had this length.
    #[error("file {}: its length is {length}, expected {durable} to {reach}", .path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// The length that was found.
        length: usize,
        /// The durable length.
        durable: usize,
        /// The greatest length since the last sync.
        reach: usize,
    },
    /// A sector that was not written since the last sync has changed.
    #[error("file {}: sector {sector} is settled and holds other bytes", .path.display())]
    Sector {
        /// The file.
        path: PathBuf,
        /// The number of the sector, from 0.
        sector: usize,
    },
    /// Two names of one file hold different bytes.
    #[error("file {}: the same file holds other bytes under another name", .path.display())]
    Apart {
        /// One of the names.
        path: PathBuf,
    },
}

impl SimDisk {
    /// A disk that holds exactly this tree, all of it durable.
    ///
    /// # Errors
    /// If the directory of an entry is not in the tree.
    pub fn from_tree(tree: &Tree) -> io::Result<SimDisk> {
        let mut state = State::new();
        // A directory comes before what is in it.
        for (path, entry) in tree {
            match entry {
                Entry::File(bytes) => state.put(path, bytes.clone())?,
                Entry::Dir => {
                    state.create_dir(path)?;
                    let parent = state.find(path.parent().unwrap_or(path))?;
                    state.dir_mut(parent)?.sync();
                }
            }
        }
        Ok(SimDisk::of(state))
    }

    /// Every file and directory, with its cached content.
    pub fn tree(&self) -> Tree {
        let state = self.state();
        let mut tree = Tree::new();
        let mut todo = vec![PathBuf::from("/")];
        while let Some(dir) = todo.pop() {
            for name in state.names(&dir).into_iter().flatten().map(|(name, _)| name) {
                let path = dir.join(name);
                let file = state.find(&path).and_then(|ino| state.file(ino));
                if let Ok(file) = file {
                    tree.insert(path, Entry::File(file.cached().bytes().to_vec()));
                } else {
                    tree.insert(path.clone(), Entry::Dir);
                    todo.push(path);
                }
            }
        }
        tree
    }

    /// Checks that a power cut now may leave exactly `found`. Accepts every image of
    /// [`SimDisk::after_power_cut`] and more: any length between a file's durable length and its
    /// greatest one, and any garbage in a dirty sector.
    ///
    /// # Errors
    /// [`NotAnImage`] if it may not.
    pub fn may_leave(&self, found: &Tree) -> Result<ImageStats, NotAnImage> {
        let state = self.state();
        let mut below: BTreeMap<&Path, Children<'_>> = BTreeMap::new();
        for (path, entry) in found {
            if let (Some(dir), Some(name)) = (path.parent(), path.file_name()) {
                below.entry(dir).or_default().insert(name, entry);
            }
        }
        let root = Path::new("/");
        let ino = state.find(root).map_err(|_| NotAnImage::Kind { path: root.to_owned() })?;
        Ok(Comparison { state: &state, below }.dir(ino, root, &Matched::default())?.stats)
    }
}

type Children<'a> = BTreeMap<&'a OsStr, &'a Entry>;

struct Comparison<'a> {
    state: &'a State,
    below: BTreeMap<&'a Path, Children<'a>>,
}

/// The result of the comparison so far.
#[derive(Clone, Default)]
struct Matched<'a> {
    stats: ImageStats,
    files: BTreeMap<Ino, &'a [u8]>,
}

impl<'a> Comparison<'a> {
    fn dir(&self, ino: Ino, path: &Path, before: &Matched<'a>) -> Result<Matched<'a>, NotAnImage> {
        let dir = path.to_owned();
        let node = self.state.dir(ino).map_err(|_| NotAnImage::Kind { path: dir.clone() })?;
        let children = || self.below.get(path).into_iter().flatten();
        let wanted: BTreeSet<&OsStr> = children().map(|(name, _)| *name).collect();
        let mut why = NotAnImage::Names { dir, names: wanted.iter().map(OsString::from).collect() };
        for candidate in node.images_with(&wanted) {
            let mut children = candidate.values().zip(children());
            let matched = children.try_fold(before.clone(), |matched, (ino, (name, entry))| {
                self.entry(*ino, &path.join(name), entry, matched)
            });
            match matched {
                Ok(matched) => return Ok(matched),
                Err(not) => why = not,
            }
        }
        Err(why)
    }

    fn entry(
        &self,
        ino: Ino,
        path: &Path,
        entry: &'a Entry,
        mut matched: Matched<'a>,
    ) -> Result<Matched<'a>, NotAnImage> {
        let Entry::File(bytes) = entry else {
            return self.dir(ino, path, &matched);
        };
        let file = self.state.file(ino).map_err(|_| NotAnImage::Kind { path: path.to_owned() })?;
        if let Some(other) = matched.files.insert(ino, bytes) {
            let path = path.to_owned();
            return if other == bytes { Ok(matched) } else { Err(NotAnImage::Apart { path }) };
        }
        let garbage =
            file.may_leave(bytes).map_err(|mismatch| NotAnImage::of_file(mismatch, path))?;
        matched.stats.garbage += garbage;
        if !file.is_settled() {
            matched.stats.unsettled += 1;
            let content = Content::new(bytes.clone());
            let is_either = content == *file.durable() || content == *file.cached();
            matched.stats.between += u64::from(!is_either);
        }
        Ok(matched)
    }
}

impl NotAnImage {
    fn of_file(mismatch: Mismatch, path: &Path) -> Self {
        let path = path.to_owned();
        match mismatch {
            Mismatch::Length { length, durable, reach } => {
                NotAnImage::Length { path, length, durable, reach }
            }
            Mismatch::Sector(sector) => NotAnImage::Sector { path, sector },
        }
    }
}

/// Reads every file and directory below `root` on the real disk. Paths begin at `root`.
///
/// # Errors
/// If something cannot be read, or is neither a file nor a directory.
pub fn read_tree(root: &Path) -> io::Result<Tree> {
    let mut tree = Tree::new();
    let mut todo = vec![PathBuf::from("/")];
    while let Some(dir) = todo.pop() {
        let real = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
        for entry in std::fs::read_dir(real(&dir))? {
            let entry = entry?;
            let path = dir.join(entry.file_name());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                tree.insert(path.clone(), Entry::Dir);
                todo.push(path);
            } else if kind.is_file() {
                tree.insert(path.clone(), Entry::File(std::fs::read(real(&path))?));
            } else {
                let what = format!("{} is neither a file nor a directory", path.display());
                return Err(io::Error::other(what));
            }
        }
    }
    Ok(tree)
}
