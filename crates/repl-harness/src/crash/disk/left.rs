//! Whether a power cut may leave just what was found: asked of one image, without enumerating all.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use super::{Content, FileNode, Ino, SimDisk, State};

/// What stands on a disk, by path: every file and every directory below the root.
pub type Tree = BTreeMap<PathBuf, Entry>;

/// What stands at one path of a [`Tree`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A directory.
    Dir,
    /// A file with these bytes.
    File(Vec<u8>),
}

/// In what state a power cut left the files that were not settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Left {
    /// Files of which something was pending.
    pub unsettled: u64,
    /// Those of them that hold neither what was durable nor what was seen, but something between.
    pub between: u64,
    /// Sectors that hold what nobody wrote.
    pub garbage: u64,
}

/// Why a power cut does not leave what was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotLeft {
    /// No choice of pending changes gives these names.
    #[error("{}: no power cut leaves just the names {names:?}", .dir.display())]
    Names {
        /// The directory.
        dir: PathBuf,
        /// What is in it.
        names: Vec<OsString>,
    },
    /// A file stands for a directory or a directory for a file.
    #[error("{}: a file for a directory, or a directory for a file", .path.display())]
    Kind {
        /// Where.
        path: PathBuf,
    },
    /// The file was never so long or so short.
    #[error("{}: its length is {length}, and was to be {durable} to {reach}", .path.display())]
    Length {
        /// The file.
        path: PathBuf,
        /// Its bytes.
        length: usize,
        /// What was synced.
        durable: usize,
        /// The longest that it was since.
        reach: usize,
    },
    /// A sector that was not written since the last sync is not what was synced.
    #[error("{}: sector {sector} is settled, and holds something else", .path.display())]
    Sector {
        /// The file.
        path: PathBuf,
        /// Which, from 0.
        sector: usize,
    },
    /// Two names of one file hold different bytes.
    #[error("{}: the same file under another name holds something else", .path.display())]
    Apart {
        /// One of the names.
        path: PathBuf,
    },
}

impl SimDisk {
    /// A disk on which just this stands, all of it durable.
    ///
    /// # Errors
    /// Where an entry lacks the directory that it is in.
    pub fn holding(tree: &Tree) -> io::Result<SimDisk> {
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

    /// What is seen on it.
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

    /// Whether a power cut now may leave just `found`. That is every image of
    /// [`SimDisk::after_power_cut`], and more: a file may have any length between the durable one
    /// and its reach, and any garbage in a dirty sector.
    ///
    /// # Errors
    /// [`NotLeft`] says why not.
    pub fn may_leave(&self, found: &Tree) -> Result<Left, NotLeft> {
        let state = self.state();
        let mut below: BTreeMap<&Path, Children<'_>> = BTreeMap::new();
        for (path, entry) in found {
            if let (Some(dir), Some(name)) = (path.parent(), path.file_name()) {
                below.entry(dir).or_default().insert(name, entry);
            }
        }
        let root = Path::new("/");
        let ino = state.find(root).map_err(|_| NotLeft::Kind { path: root.to_owned() })?;
        Ok(Comparison { state: &state, below }.dir(ino, root, &Matched::default())?.left)
    }
}

type Children<'a> = BTreeMap<&'a OsStr, &'a Entry>;

struct Comparison<'a> {
    state: &'a State,
    below: BTreeMap<&'a Path, Children<'a>>,
}

/// What was compared so far.
#[derive(Clone, Default)]
struct Matched<'a> {
    left: Left,
    files: BTreeMap<Ino, &'a [u8]>,
}

impl<'a> Comparison<'a> {
    fn dir(&self, ino: Ino, path: &Path, before: &Matched<'a>) -> Result<Matched<'a>, NotLeft> {
        let dir = path.to_owned();
        let node = self.state.dir(ino).map_err(|_| NotLeft::Kind { path: dir.clone() })?;
        let children = || self.below.get(path).into_iter().flatten();
        let wanted: BTreeSet<&OsStr> = children().map(|(name, _)| *name).collect();
        let mut why = NotLeft::Names { dir, names: wanted.iter().map(OsString::from).collect() };
        for candidate in node.left_as(&wanted) {
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
    ) -> Result<Matched<'a>, NotLeft> {
        let Entry::File(bytes) = entry else {
            return self.dir(ino, path, &matched);
        };
        let file = self.state.file(ino).map_err(|_| NotLeft::Kind { path: path.to_owned() })?;
        if let Some(other) = matched.files.insert(ino, bytes) {
            let path = path.to_owned();
            return if other == bytes { Ok(matched) } else { Err(NotLeft::Apart { path }) };
        }
        let garbage = file.may_leave(bytes).map_err(|not| not.at(path))?;
        matched.left.garbage += garbage;
        if !file.is_settled() {
            matched.left.unsettled += 1;
            let content = Content::new(bytes.clone());
            matched.left.between += u64::from(!file.is_either(&content));
        }
        Ok(matched)
    }
}

/// Why a power cut does not leave a file with these bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NotInFile {
    Length { length: usize, durable: usize, reach: usize },
    Sector(usize),
}

impl NotInFile {
    fn at(self, path: &Path) -> NotLeft {
        let path = path.to_owned();
        match self {
            NotInFile::Length { length, durable, reach } => {
                NotLeft::Length { path, length, durable, reach }
            }
            NotInFile::Sector(sector) => NotLeft::Sector { path, sector },
        }
    }
}

impl FileNode {
    /// Whether these bytes are what is durable or what is seen.
    fn is_either(&self, content: &Content) -> bool {
        content == self.durable() || content == self.cached()
    }
}

/// What stands below `root` on the real disk, its paths as if `root` were the root.
///
/// # Errors
/// Where something cannot be read, or is neither a file nor a directory.
pub fn tree_below(root: &Path) -> io::Result<Tree> {
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
