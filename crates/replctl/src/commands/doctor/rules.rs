//! What is known of filesystems and their options: docs/design.md has the reasons.

use std::path::Path;

use super::Check;
use super::mount::Mount;

/// The check of a mount that cannot be written to.
pub(super) const READ_ONLY: &str = "read-only";
/// Room for the three files of a `FileStore` and one more, or for two slot files.
const ROOM: u64 = 4;
/// Room for a small store.
const LEAST: u64 = 1 << 20;

/// Judges a mount.
pub(super) fn judge(mount: &Mount) -> Vec<Check> {
    let kind = mount.kind.as_str();
    let point = mount.point.display();
    let mut checks = vec![
        of_kind(mount)
            .unwrap_or_else(|| Check::good("filesystem", format!("{kind}, mounted at {point}"))),
    ];
    if mount.has("ro") {
        checks.push(Check::broken(READ_ONLY, "it is mounted read-only: look into the kernel log"));
    }
    if mount.has("data=writeback") {
        let found = "data=writeback: after a crash, a file that was replaced may hold bytes of \
                     other files; use a FileStore, which replaces none";
        checks.push(Check::warning("data", found));
    }
    if mount.has("nobarrier") || mount.has("barrier=0") {
        let found = "barriers are off: a power cut takes acknowledged saves, unless no cache of \
                     the device can lose what was written";
        checks.push(Check::warning("barriers", found));
    }
    if mount.has_journal == Some(false) {
        let found = "it has none: a crash takes files and directories that were synced";
        checks.push(Check::broken("journal", found));
    }
    checks
}

/// What is wrong with a kind of filesystem; `None` if nothing is known to be.
fn of_kind(mount: &Mount) -> Option<Check> {
    let kind = mount.kind.as_str();
    let name = "filesystem";
    let is_remote = [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "ceph",
        "afs",
        "glusterfs",
        "lustre",
        "gfs2",
        "ocfs2",
        "fuse.sshfs",
        "fuse.glusterfs",
        "fuse.s3fs",
    ];
    if is_remote.contains(&kind) {
        let found = "a network filesystem: whether locks exclude other machines, renames are \
                     atomic and syncs are durable is up to its server; check its documentation";
        return Some(Check::warning(name, format!("{kind}, {found}")));
    }
    match kind {
        "tmpfs" | "ramfs" | "devtmpfs" => Some(Check::broken(
            name,
            format!("{kind}, in memory: a restart of the machine takes all"),
        )),
        "vfat" | "msdos" | "exfat" | "ext2" => Some(Check::broken(
            name,
            format!("{kind}, without a journal: a crash takes what was synced"),
        )),
        "overlay" if mount.has("volatile") => {
            Some(Check::broken(name, "overlay, volatile: a sync does nothing".to_owned()))
        }
        "overlay" => {
            let found = "overlay: open the store through it alone; what is below it decides what \
                         is durable, and was not looked at";
            Some(Check::warning(name, found))
        }
        "btrfs" | "bcachefs" | "zfs" | "nilfs2" => {
            let found = "copy on write: a save in place needs free space, and on a full disk it is \
                         in doubt";
            Some(Check::warning(name, format!("{kind}, {found}")))
        }
        kind if kind.starts_with("fuse") => {
            let found = "a filesystem in user space: check what its syncs and locks do";
            Some(Check::warning(name, format!("{kind}, {found}")))
        }
        _ => None,
    }
}

/// Looks at the free space for a store whose largest file has this length.
#[cfg(unix)]
pub(super) fn space(place: &Path, largest: u64) -> Check {
    let name = "free space";
    let Ok(found) = rustix::fs::statvfs(place) else {
        return Check::warning(name, "not known");
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let has_inodes = found.f_files == 0 || found.f_favail > ROOM; // some do not count them
    judged_space(free, has_inodes, largest)
}

/// Elsewhere it is not known.
#[cfg(not(unix))]
pub(super) fn space(_: &Path, _: u64) -> Check {
    Check::warning("free space", "not known")
}

fn judged_space(free: u64, has_inodes: bool, largest: u64) -> Check {
    let name = "free space";
    let needed = largest.saturating_mul(ROOM).max(LEAST);
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    if !has_inodes {
        return Check::warning(name, "no inodes are left: saves of new files fail");
    }
    if free < needed {
        let found = format!("{} MiB, and saves may take {} MiB", free >> 20, mib(needed));
        return Check::warning(name, format!("{found}: make room, or saves fail"));
    }
    Check::good(name, format!("{} MiB", free >> 20))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn worst(kind: &str, options: &[&str], has_journal: Option<bool>) -> Verdict {
        let options = options.iter().map(ToString::to_string).collect();
        let mount = Mount { kind: kind.to_owned(), options, has_journal, ..Mount::default() };
        let checks = judge(&mount);
        let is = |verdict| checks.iter().any(|check| check.verdict == verdict);
        match () {
            () if is(Verdict::Broken) => Verdict::Broken,
            () if is(Verdict::Warning) => Verdict::Warning,
            () => Verdict::Good,
        }
    }

    #[test]
    fn every_known_limit_of_a_platform_is_named() {
        let cases = [
            ("ext4", &["rw", "relatime"][..], Some(true), Verdict::Good),
            ("ext4", &["rw"], None, Verdict::Good),
            ("ext4", &["rw"], Some(false), Verdict::Broken),
            ("ext4", &["rw", "data=writeback"], Some(true), Verdict::Warning),
            ("ext4", &["rw", "nobarrier"], Some(true), Verdict::Warning),
            ("ext4", &["ro"], Some(true), Verdict::Broken),
            ("xfs", &["rw"], None, Verdict::Good),
            ("btrfs", &["rw"], None, Verdict::Warning),
            ("nfs4", &["rw"], None, Verdict::Warning),
            ("fuse.sshfs", &["rw"], None, Verdict::Warning),
            ("fuseblk", &["rw"], None, Verdict::Warning),
            ("overlay", &["rw"], None, Verdict::Warning),
            ("overlay", &["rw", "volatile"], None, Verdict::Broken),
            ("tmpfs", &["rw"], None, Verdict::Broken),
            ("vfat", &["rw"], None, Verdict::Broken),
        ];
        for (kind, options, has_journal, expected) in cases {
            assert_eq!(worst(kind, options, has_journal), expected, "{kind} {options:?}");
        }
    }

    #[test]
    fn too_little_space_for_the_next_saves_is_a_warning() {
        assert_eq!(judged_space(1 << 30, true, 1 << 20).verdict, Verdict::Good);
        assert_eq!(judged_space((4 << 20) - 1, true, 1 << 20).verdict, Verdict::Warning);
        assert_eq!(judged_space((1 << 20) - 1, true, 0).verdict, Verdict::Warning);
        assert_eq!(judged_space(1 << 30, false, 0).verdict, Verdict::Warning);
    }
}
