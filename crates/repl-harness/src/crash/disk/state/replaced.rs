//! Directories and files that are replaced under an open store.

use std::path::Path;
use std::sync::Arc;

use super::super::dir::{DirNode, Names};
use super::super::file::FileNode;
use super::{Node, State};

impl State {
    /// Replaces a directory by a new one with the file at `kept`, durable at once.
    pub(crate) fn replace_dir(&mut self, path: &Path, kept: &Path) {
        let Ok(file) = self.find(kept) else { return };
        let names = kept.file_name().map(|name| (name.to_owned(), file)).into_iter().collect();
        self.put_dir(path, DirNode::settled(names));
    }

    /// Renames a copy over a file, as it is in the cache. The copy is durable, and its name is not.
    pub(crate) fn rename_copy_over(&mut self, path: &Path) {
        let found = self.find(path).and_then(|ino| self.file(ino)).map(FileNode::cached).cloned();
        let (Ok(bytes), Ok((dir, name))) = (found, self.place(path)) else { return };
        let (copy, name) = (self.next, name.to_owned());
        self.next += 1;
        self.nodes.insert(copy, Node::File(Arc::new(FileNode::settled(bytes, self.sector))));
        if let Ok(dir) = self.dir_mut(dir) {
            dir.add(&name, copy);
        }
    }

    /// Replaces a directory durably by a new one with all of its files, whose names there are not
    /// durable.
    pub(crate) fn move_into_new_dir(&mut self, path: &Path) {
        let mut new = DirNode::settled(Names::new());
        let old = self.find(path).and_then(|ino| self.dir_mut(ino).cloned());
        for (name, ino) in old.iter().flat_map(DirNode::cached) {
            new.add(name, *ino);
        }
        self.put_dir(path, new);
    }

    fn put_dir(&mut self, path: &Path, dir: DirNode) {
        let Ok((parent, name)) = self.place(path) else { return };
        let (new, name) = (self.next, name.to_owned());
        self.next += 1;
        self.nodes.insert(new, Node::Dir(Arc::new(dir)));
        if let Ok(parent) = self.dir_mut(parent) {
            parent.remove(&name);
            parent.add(&name, new);
            parent.sync();
        }
    }
}
