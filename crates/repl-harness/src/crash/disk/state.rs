//! All inodes of a disk as a value that is cheap to copy and to compare.

mod replaced;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::content::{Content, hash128};
use super::dir::{DirNode, Ino, Names};
use super::file::{FileNode, SECTOR};
use crate::crash::layout::{is_marker, is_temp};

const ROOT: Ino = 0;

/// A disk and its cache.
#[derive(Clone)]
pub(crate) struct State {
    nodes: BTreeMap<Ino, Node>,
    next: Ino,
    sector: usize,
}

#[derive(Clone)]
enum Node {
    File(Arc<FileNode>),
    Dir(Arc<DirNode>),
}

/// Returns the contents that a power cut may leave of a file, each with the number of contents it
/// represents. The second argument says whether the file is never read.
pub(crate) type Contents<'a> = &'a dyn Fn(&FileNode, bool) -> Arc<Vec<(Content, u64)>>;

/// Returns the key of a file. The second argument says whether it is never read.
pub(crate) type Known<'a> = &'a dyn Fn(&FileNode, bool) -> u128;

/// More directory changes are pending than can be enumerated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany;

impl State {
    /// An empty root directory.
    pub(crate) fn new() -> Self {
        State::with_sectors(SECTOR)
    }

    /// An empty root directory on a device with sectors of this size.
    pub(crate) fn with_sectors(sector: usize) -> Self {
        let root = BTreeMap::from([(ROOT, Node::Dir(Arc::default()))]);
        State { nodes: root, next: ROOT + 1, sector }
    }

    pub(crate) fn find(&self, path: &Path) -> io::Result<Ino> {
        let mut at = ROOT;
        for component in path.components() {
            if let Component::Normal(name) = component {
                at = self.dir(at)?.get(name).ok_or(io::ErrorKind::NotFound)?;
            }
        }
        Ok(at)
    }

    fn place<'a>(&self, path: &'a Path) -> io::Result<(Ino, &'a OsStr)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let dir = self.find(path.parent().ok_or(io::ErrorKind::InvalidInput)?)?;
        self.dir(dir)?;
        Ok((dir, name))
    }

    pub(crate) fn dir(&self, ino: Ino) -> io::Result<&DirNode> {
        match self.nodes.get(&ino) {
            Some(Node::Dir(dir)) => Ok(dir),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(crate) fn dir_mut(&mut self, ino: Ino) -> io::Result<&mut DirNode> {
        match self.nodes.get_mut(&ino) {
            Some(Node::Dir(dir)) => Ok(Arc::make_mut(dir)),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(crate) fn file(&self, ino: Ino) -> io::Result<&FileNode> {
        match self.nodes.get(&ino) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Dir(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(crate) fn file_mut(&mut self, ino: Ino) -> io::Result<&mut FileNode> {
        match self.nodes.get_mut(&ino) {
            Some(Node::File(file)) => Ok(Arc::make_mut(file)),
            Some(Node::Dir(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// Whether an inode has a name in any directory.
    pub(crate) fn has_name(&self, ino: Ino) -> bool {
        self.nodes.values().any(|node| match node {
            Node::Dir(dir) => dir.cached().values().any(|named| *named == ino),
            Node::File(_) => false,
        })
    }

    fn create(&mut self, path: &Path, node: Node) -> io::Result<Ino> {
        let (dir, name) = self.place(path)?;
        if self.dir(dir)?.get(name).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let ino = self.next;
        self.next += 1;
        self.nodes.insert(ino, node);
        self.dir_mut(dir)?.add(name, ino);
        Ok(ino)
    }

    pub(crate) fn create_file(&mut self, path: &Path) -> io::Result<Ino> {
        let empty = FileNode::settled(Content::new(Vec::new()), self.sector);
        self.create(path, Node::File(Arc::new(empty)))
    }

    pub(crate) fn create_dir(&mut self, path: &Path) -> io::Result<Ino> {
        self.create(path, Node::Dir(Arc::default()))
    }

    pub(crate) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let ((from_dir, from), (to_dir, to)) = (self.place(from)?, self.place(to)?);
        if from_dir != to_dir {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        let ino = self.dir(from_dir)?.get(from).ok_or(io::ErrorKind::NotFound)?;
        self.dir_mut(from_dir)?.rename(from, to, ino);
        Ok(())
    }

    pub(crate) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let (dir, name) = self.place(path)?;
        let ino = self.dir(dir)?.get(name).ok_or(io::ErrorKind::NotFound)?;
        self.file(ino)?;
        self.dir_mut(dir)?.remove(name);
        Ok(())
    }

    /// Makes the names in the directory of `path` durable.
    pub(crate) fn settle_dir(&mut self, path: &Path) {
        if let Some(dir) = path.parent().and_then(|dir| self.find(dir).ok())
            && let Ok(dir) = self.dir_mut(dir)
        {
            dir.sync();
        }
    }

    /// Creates or replaces a file, durable at once. The directory must exist.
    pub(crate) fn put(&mut self, path: &Path, bytes: Vec<u8>) -> io::Result<()> {
        if self.find(path).is_ok() {
            self.remove(path)?;
        }
        let ino = self.create_file(path)?;
        *self.file_mut(ino)? = FileNode::settled(Content::new(bytes), self.sector);
        let (dir, _) = self.place(path)?;
        self.dir_mut(dir)?.sync();
        Ok(())
    }

    /// Whether a power cut can only leave what is cached now, in all files that are ever read.
    pub(crate) fn is_settled(&self) -> bool {
        let lasting = self.with_lasting_names();
        let mut todo = VecDeque::from([ROOT]);
        while let Some(ino) = todo.pop_front() {
            match self.nodes.get(&ino) {
                Some(Node::File(file)) if lasting.contains(&ino) && !file.is_settled() => {
                    return false;
                }
                Some(Node::Dir(dir)) if !dir.is_settled() => return false,
                Some(Node::Dir(dir)) => todo.extend(dir.cached().values()),
                Some(Node::File(_)) | None => {}
            }
        }
        true
    }

    /// Every disk that a power cut may leave, with the number of disks it represents.
    pub(crate) fn after_power_cut(
        &self,
        contents: Contents<'_>,
    ) -> Result<Vec<(State, u64)>, TooMany> {
        let lasting = self.with_lasting_names();
        let empty = State { nodes: BTreeMap::new(), ..*self };
        let mut unfinished = vec![(empty, 1_u64, vec![ROOT])];
        let mut finished = Vec::new();
        while let Some((mut image, count, mut todo)) = unfinished.pop() {
            let Some(ino) = todo.pop() else {
                finished.push((image, count));
                continue;
            };
            match self.nodes.get(&ino).filter(|_| !image.nodes.contains_key(&ino)) {
                None => unfinished.push((image, count, todo)),
                Some(node @ Node::File(file)) if file.is_settled() => {
                    image.nodes.insert(ino, node.clone());
                    unfinished.push((image, count, todo));
                }
                Some(Node::File(file)) => {
                    for (content, represented) in contents(file, !lasting.contains(&ino)).iter() {
                        let settled = Arc::new(FileNode::settled(content.clone(), self.sector));
                        let mut image = image.clone();
                        image.nodes.insert(ino, Node::File(settled));
                        unfinished.push((image, count.saturating_mul(*represented), todo.clone()));
                    }
                }
                Some(Node::Dir(dir)) => {
                    for names in dir.after_power_cut().ok_or(TooMany)? {
                        let (mut image, mut todo) = (image.clone(), todo.clone());
                        todo.extend(names.values());
                        let settled = Arc::new(DirNode::settled(names));
                        image.nodes.insert(ino, Node::Dir(settled));
                        unfinished.push((image, count, todo));
                    }
                }
            }
        }
        Ok(finished)
    }

    /// Every file with its cached content, by path.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Content> {
        let mut files = BTreeMap::new();
        let mut todo = vec![(PathBuf::from("/"), ROOT)];
        while let Some((path, ino)) = todo.pop() {
            match self.nodes.get(&ino) {
                Some(Node::File(file)) => {
                    files.insert(path, file.cached().clone());
                }
                Some(Node::Dir(dir)) => {
                    let below = |(name, ino): (&OsString, &Ino)| (path.join(name), *ino);
                    todo.extend(dir.cached().iter().map(below));
                }
                None => {}
            }
        }
        files
    }

    /// The names in a directory.
    pub(crate) fn names(&self, dir: &Path) -> io::Result<&Names> {
        Ok(self.dir(self.find(dir)?)?.cached())
    }

    /// The files that have had another name since the last sync of their directory than that of a
    /// temporary file or a marker. Only these are ever read: a process does not read its own
    /// temporary files, removes those that it finds, and looks at the name of a marker alone.
    fn with_lasting_names(&self) -> BTreeSet<Ino> {
        let names = self.nodes.values().filter_map(|node| match node {
            Node::Dir(dir) => Some(dir.all()),
            Node::File(_) => None,
        });
        let lasting = names.flatten().filter(|(_, name, _)| !is_temp(name) && !is_marker(name));
        lasting.filter_map(|(_, _, ino)| ino).collect()
    }

    /// A key that only equal disks share, whatever the numbers of their inodes.
    pub(crate) fn key(&self, known: Known<'_>) -> u128 {
        let lasting = self.with_lasting_names();
        let mut numbers = BTreeMap::from([(ROOT, 0)]);
        let mut todo = VecDeque::from([ROOT]);
        let mut parts: Vec<u128> = Vec::new();
        while let Some(ino) = todo.pop_front() {
            match self.nodes.get(&ino) {
                Some(Node::File(file)) => parts.push(known(file, !lasting.contains(&ino))),
                Some(Node::Dir(dir)) => {
                    let mut names = Vec::new();
                    for (kind, name, ino) in dir.all() {
                        let number = ino.map(|ino| {
                            let new = numbers.len();
                            *numbers.entry(ino).or_insert_with(|| {
                                todo.push_back(ino);
                                new
                            })
                        });
                        names.push((kind, name, number));
                    }
                    parts.push(hash128(&names));
                }
                None => parts.push(0),
            }
        }
        hash128(&parts)
    }
}
