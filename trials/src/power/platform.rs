//! The filesystems under test, and how they are made and mounted.

use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::done::Fallible;
use crate::shutdown::machine::{run, unmount};

/// A filesystem, or two on top of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Platform {
    Ext4,
    Xfs,
    Btrfs,
    /// An overlay whose upper layer is on ext4.
    Overlay,
    /// The same, mounted with `volatile`: a sync does nothing. Every store fails there.
    Volatile,
}

impl Platform {
    pub(super) const ALL: [Platform; 4] =
        [Platform::Ext4, Platform::Xfs, Platform::Btrfs, Platform::Overlay];

    pub(super) fn name(self) -> &'static str {
        match self {
            Platform::Ext4 => "ext4",
            Platform::Xfs => "xfs",
            Platform::Btrfs => "btrfs",
            Platform::Overlay => "overlay on ext4",
            Platform::Volatile => "volatile overlay on ext4",
        }
    }

    /// The filesystem on the disk.
    fn base(self) -> &'static str {
        match self {
            Platform::Ext4 | Platform::Overlay | Platform::Volatile => "ext4",
            Platform::Xfs => "xfs",
            Platform::Btrfs => "btrfs",
        }
    }

    /// What the kernel calls the filesystems that it needs.
    pub(super) fn needs(self) -> &'static [&'static str] {
        match self {
            Platform::Ext4 => &["ext4"],
            Platform::Xfs => &["xfs"],
            Platform::Btrfs => &["btrfs"],
            Platform::Overlay | Platform::Volatile => &["ext4", "overlay"],
        }
    }

    fn is_overlay(self) -> bool {
        matches!(self, Platform::Overlay | Platform::Volatile)
    }

    fn bytes(self) -> u64 {
        match self {
            Platform::Ext4 | Platform::Overlay | Platform::Volatile => 64 << 20,
            // The smallest size that its mkfs accepts.
            Platform::Xfs => 300 << 20,
            Platform::Btrfs => 256 << 20,
        }
    }

    /// Where the superblock is. It has a checksum and no log, so a torn one is never mounted again;
    /// the one of XFS takes a single sector.
    pub(super) fn superblock(self) -> Range<u64> {
        match self.base() {
            "ext4" => 1024..2048,
            "btrfs" => 65536..69632,
            _ => 0..512,
        }
    }

    /// Arguments of mkfs that differ from recording to recording.
    fn shape(self, recording: u64) -> &'static [&'static str] {
        match (self.base(), recording % 2) {
            // Blocks smaller than a page, so that more writes are torn.
            ("ext4", 0) => &["-b", "1024", "-m", "0"],
            ("ext4", _) => &["-b", "4096", "-m", "0"],
            _ => &[],
        }
    }

    /// Options of the mount that differ from recording to recording.
    fn options(self, recording: u64) -> &'static str {
        match (self.base(), recording / 2 % 2) {
            ("ext4", 1) => "loop,noauto_da_alloc",
            _ => "loop",
        }
    }
}

/// Where the filesystem of one recording is made and mounted.
pub(super) struct Place {
    pub(super) platform: Platform,
    recording: u64,
    /// An image file.
    pub(super) image: PathBuf,
    mount: PathBuf,
    /// Where an overlay is mounted.
    merged: PathBuf,
}

impl Place {
    pub(super) fn new(platform: Platform, recording: u64, folder: &Path) -> Fallible<Self> {
        let name = format!("{platform:?}").to_lowercase();
        let at = |what: &str| folder.join(format!("{name}.{what}"));
        let place = Place {
            platform,
            recording,
            image: at("image"),
            mount: at("mounted"),
            merged: at("merged"),
        };
        fs::create_dir_all(&place.mount)?;
        fs::create_dir_all(&place.merged)?;
        Ok(place)
    }

    /// Where the stores are.
    pub(super) fn stores(&self) -> PathBuf {
        self.root().join("stores")
    }

    /// Where a process may change files beside the stores.
    pub(super) fn neighbor(&self, number: usize) -> PathBuf {
        self.root().join(format!("neighbor-{number}"))
    }

    fn root(&self) -> &Path {
        if self.platform.is_overlay() { &self.merged } else { &self.mount }
    }

    /// Makes the filesystem in the image file, with directories for stores and `neighbors`.
    pub(super) fn make(&self, neighbors: usize) -> Fallible<()> {
        File::create(&self.image)?.set_len(self.platform.bytes())?;
        let image = self.image.to_string_lossy();
        let shape = self.platform.shape(self.recording);
        run(&format!("mkfs.{}", self.platform.base()), &[&["-q"], shape, &[&image]].concat())?;
        if self.platform.is_overlay() {
            self.mount_base(&self.image)?;
            for layer in ["lower", "upper", "work"] {
                fs::create_dir(self.mount.join(layer))?;
            }
            // Directories of the lower layer are copied up when the first file is created in them.
            self.create_dirs(&self.mount.join("lower"), neighbors)?;
        } else {
            self.mount_base(&self.image)?;
            self.create_dirs(&self.mount, neighbors)?;
        }
        unmount(&self.mount)
    }

    fn create_dirs(&self, root: &Path, neighbors: usize) -> Fallible<()> {
        let names = (0..neighbors).map(|number| self.neighbor(number)).chain([self.stores()]);
        for path in names {
            fs::create_dir(root.join(path.file_name().unwrap_or_default()))?;
        }
        Ok(())
    }

    /// Mounts the filesystem on a disk, which is a file.
    pub(super) fn mount(&self, disk: &Path) -> Fallible<()> {
        self.mount_base(disk)?;
        if !self.platform.is_overlay() {
            return Ok(());
        }
        let layer = |kind: &str, name: &str| format!("{kind}={}", self.mount.join(name).display());
        let layers = [("lowerdir", "lower"), ("upperdir", "upper"), ("workdir", "work")];
        let mut layers = layers.map(|(kind, name)| layer(kind, name)).join(",");
        if self.platform == Platform::Volatile {
            // The mark of such a mount, which bars the next one.
            let mark = self.mount.join("work/work/incompat");
            run("rm", &["-rf", &mark.to_string_lossy()])?;
            layers.push_str(",volatile");
        }
        let merged = self.merged.to_string_lossy();
        let mounted = run("mount", &["-t", "overlay", "-o", &layers, "overlay", &merged]);
        if mounted.is_err() {
            unmount(&self.mount)?;
        }
        mounted
    }

    fn mount_base(&self, disk: &Path) -> Fallible<()> {
        let options = self.platform.options(self.recording);
        let (disk, mount) = (disk.to_string_lossy(), self.mount.to_string_lossy());
        run("mount", &["-t", self.platform.base(), "-o", options, &disk, &mount])
    }

    pub(super) fn unmount(&self) -> Fallible<()> {
        if self.platform.is_overlay() {
            unmount(&self.merged)?;
        }
        unmount(&self.mount)
    }
}
