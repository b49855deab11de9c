//! Copies of a store's files, put aside before a change.
//!
//! A copy is a directory beside the checkpoints, which can be looked at and restored as a store. It
//! has its final name only once it is complete and durable.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use repl_checkpoint::Disk;

use crate::failure::Failure;
use crate::names::SLOT_FILE;
use crate::site::{Kind, Site};

/// The end of the name of a copy that a crash has cut off.
const UNFINISHED: &str = ".unfinished";
/// Files are copied in pieces of this length.
const PIECE: usize = 8 << 20;

/// Copies all checkpoints of a store, and its marker, into a new directory beside them. Returns the
/// name of that.
pub(crate) fn copy<D: Disk>(disk: &D, site: &Site) -> Result<PathBuf, Failure> {
    let name = free_name(disk, site)?;
    let mut unfinished = name.clone();
    unfinished.push(UNFINISHED);
    let unfinished = site.dir.join(unfinished);
    copy_into(disk, site, &unfinished)?;
    let to = site.dir.join(&name);
    disk.rename(&unfinished, &to).map_err(|error| Failure::io("rename", &unfinished, &error))?;
    sync(disk, &site.dir)?;
    Ok(name.into())
}

/// Copies all checkpoints of a store, and its marker, into a new directory.
pub(crate) fn copy_into<D: Disk>(disk: &D, site: &Site, to: &Path) -> Result<(), Failure> {
    disk.create_dir(to).map_err(|error| Failure::io("create", to, &error))?;
    for name in names(disk, site)? {
        let from = site.dir.join(&name);
        let to = to.join(name_in_copy(site, &name));
        copy_file(disk, &from, &to).map_err(|error| Failure::io("copy", &from, &error))?;
    }
    sync(disk, to)
}

/// Moves files of a store into a new directory beside the checkpoints. Returns the name of that.
pub(crate) fn move_files<D: Disk>(
    disk: &D,
    site: &Site,
    name: &OsStr,
    files: &[PathBuf],
) -> Result<(), Failure> {
    let to = site.dir.join(name);
    disk.create_dir(&to).map_err(|error| Failure::io("create", &to, &error))?;
    sync(disk, &site.dir)?;
    for file in files {
        let moved = to.join(file.file_name().unwrap_or_default());
        disk.rename(file, &moved).map_err(|error| Failure::io("move", file, &error))?;
    }
    sync(disk, &to)?;
    sync(disk, &site.dir)
}

/// The name of the next copy: numbers are not used again.
pub(crate) fn free_name<D: Disk>(disk: &D, site: &Site) -> Result<OsString, Failure> {
    let failed = |error| Failure::io("list", &site.dir, &error);
    let names = disk.list(&site.dir).map_err(failed)?;
    let is_taken = |name: &OsString| {
        let mut unfinished = name.clone();
        unfinished.push(UNFINISHED);
        names.contains(name) || names.contains(&unfinished)
    };
    let name = |n: u64| site.beside(&format!(".aside-{n}"));
    let mut n = 1;
    while is_taken(&name(n)) {
        n += 1;
    }
    Ok(name(n))
}

/// The checkpoints of a store and its marker, as far as they are there.
fn names<D: Disk>(disk: &D, site: &Site) -> Result<Vec<OsString>, Failure> {
    let failed = |error| Failure::io("list", &site.dir, &error);
    let mut names = disk.list(&site.dir).map_err(failed)?;
    let marker = site.marker();
    names.retain(|name| *name == marker || site.is_checkpoint(name));
    names.sort();
    Ok(names)
}

/// The copy of a slot file that has no directory of its own gets one.
fn name_in_copy(site: &Site, name: &OsStr) -> OsString {
    match site.kind {
        Kind::Slots if site.is_checkpoint(&name.to_owned()) => SLOT_FILE.into(),
        Kind::Slots => "repl-checkpoint.marker".into(),
        Kind::Files => name.into(),
    }
}

fn copy_file<D: Disk>(disk: &D, from: &Path, to: &Path) -> io::Result<()> {
    let mut file = disk.create_new(to)?;
    let mut offset = 0;
    loop {
        let piece = disk.read_at(from, offset, PIECE)?;
        write_all(disk, &mut file, &piece)?;
        offset += piece.len() as u64;
        if piece.len() < PIECE {
            return disk.sync_file(&file);
        }
    }
}

fn write_all<D: Disk>(disk: &D, file: &mut D::File, mut rest: &[u8]) -> io::Result<()> {
    while !rest.is_empty() {
        match disk.write(file, rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => rest = rest.get(taken..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes the names in a directory durable.
pub(crate) fn sync<D: Disk>(disk: &D, dir: &Path) -> Result<(), Failure> {
    let synced = disk.open_dir(dir).and_then(|open| disk.sync_dir(&open));
    synced.map_err(|error| Failure::io("sync", dir, &error))
}
