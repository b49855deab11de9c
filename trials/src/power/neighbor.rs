//! A process that changes files beside the stores, on the same filesystem.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::process::parent_id;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use rustix::fs::{Advice, fadvise};

/// The work of a neighbor process.
#[derive(clap::Args)]
pub(crate) struct NeighborArgs {
    /// Where it may change files
    dir: PathBuf,
    /// Where the stores are, whose files it copies
    stores: PathBuf,
    seed: u64,
}

/// The most that a file holds.
const FILE: u32 = 128 << 10;
/// The number of names of files.
const NAMES: u64 = 24;

/// Changes files until it is killed, or the filesystem is gone.
pub(crate) fn run(args: &NeighborArgs) -> io::Result<()> {
    let mut neighbor = Neighbor { dir: &args.dir, rng: Rng::with_seed(args.seed) };
    // It ends with the process that started it.
    let parent = parent_id();
    while parent_id() == parent {
        let done = neighbor.change(&args.stores);
        // A name is taken, missing or a directory: another operation follows.
        let gone = done.as_ref().err().and_then(io::Error::raw_os_error);
        if matches!(gone, Some(EIO | EROFS)) {
            return done;
        }
        if neighbor.rng.u8(..) < 64 {
            thread::sleep(Duration::from_micros(neighbor.rng.u64(..2000)));
        }
    }
    Ok(())
}

const EIO: i32 = 5;
const EROFS: i32 = 30;

struct Neighbor<'a> {
    dir: &'a Path,
    rng: Rng,
}

impl Neighbor<'_> {
    fn change(&mut self, stores: &Path) -> io::Result<()> {
        let name = self.name();
        match self.rng.u8(..24) {
            0..4 => fs::write(&name, self.bytes()),
            4..8 => self.write_at(&name),
            8 => OpenOptions::new().write(true).open(&name)?.set_len(self.rng.u32(..FILE).into()),
            9..12 => fs::rename(&name, self.name()),
            12..14 => fs::remove_file(&name),
            14 => fs::create_dir(&name),
            15 => fs::remove_dir(&name),
            16 => fs::hard_link(&name, self.name()),
            17 if self.rng.bool() => File::open(&name)?.sync_all(),
            18 if self.rng.bool() => File::open(self.dir)?.sync_all(),
            19 => self.of(stores).map_or(Ok(()), |file| backup(&file, &name)),
            20..22 => write_back(&name),
            _ => self.of(stores).map_or(Ok(()), |file| write_back(&file)),
        }
    }

    fn name(&mut self) -> PathBuf {
        self.dir.join(format!("file-{}", self.rng.u64(..NAMES)))
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = self.rng.u32(..FILE / 2);
        let byte = self.rng.u8(..);
        vec![byte; length as usize]
    }

    fn write_at(&mut self, name: &Path) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(name)?;
        let bytes = self.bytes();
        file.write_all_at(&bytes, self.rng.u32(..FILE / 2).into())
    }

    /// A file of a store.
    fn of(&mut self, stores: &Path) -> Option<PathBuf> {
        let files = |dir: &Path| -> Vec<PathBuf> {
            let entries = fs::read_dir(dir).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).collect()
        };
        let store = self.rng.choice(files(stores))?;
        self.rng.choice(files(&store))
    }
}

/// Has a file written to the disk without a flush, as lack of memory does.
fn write_back(file: &Path) -> io::Result<()> {
    Ok(fadvise(File::open(file)?, 0, None, Advice::DontNeed)?)
}

/// Copies a file, as a backup does. Where the filesystem can, the copy shares the blocks of the
/// file, so that the next write in place goes elsewhere.
fn backup(file: &Path, copy: &Path) -> io::Result<()> {
    fs::copy(file, copy).map(|_| ())
}
