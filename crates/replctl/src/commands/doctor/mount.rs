//! The mount that a path is on, as `/proc/self/mountinfo` shows it.

use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Mount {
    pub(super) point: PathBuf,
    /// The type of the filesystem.
    pub(super) kind: String,
    /// The options of the mount and of the filesystem.
    pub(super) options: Vec<String>,
    /// Whether the filesystem has a journal; `None` if that is not known.
    pub(super) has_journal: Option<bool>,
}

impl Mount {
    pub(super) fn has(&self, option: &str) -> bool {
        self.options.iter().any(|found| found == option)
    }
}

/// The mount of a directory that exists; `None` if the system does not say.
pub(super) fn of(dir: &Path) -> Option<Mount> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let dir = std::fs::canonicalize(dir).ok()?;
    let (mut mount, device) = found_in(&table, &dir)?;
    if mount.kind == "ext4"
        && let Some(options) = of_ext4(&device)
    {
        add_journal(&mut mount, &options);
    }
    Some(mount)
}

/// The last mount over a path, and its device.
fn found_in(table: &str, dir: &Path) -> Option<(Mount, String)> {
    let mounts = table.lines().filter_map(parsed);
    let over = mounts.filter(|(mount, _)| dir.starts_with(&mount.point));
    over.max_by_key(|(mount, _)| mount.point.components().count()) // the last of equals
}

/// One line: `36 35 98:0 /root /point rw,noatime master:1 - ext4 /dev/sda1 rw,data=ordered`.
fn parsed(line: &str) -> Option<(Mount, String)> {
    let (first, last) = line.split_once(" - ")?;
    let mut first = first.split(' ').skip(2);
    let device = first.next()?.to_owned();
    let point = unescaped(first.nth(1)?);
    let of_mount = first.next()?;
    let mut last = last.split(' ');
    let kind = last.next()?.to_owned();
    let of_filesystem = last.nth(1).unwrap_or_default();
    let options = of_mount.split(',').chain(of_filesystem.split(','));
    let options = options.filter(|option| !option.is_empty()).map(str::to_owned).collect();
    Some((Mount { point: point.into(), kind, options, has_journal: None }, device))
}

/// Spaces, tabs, line feeds and backslashes are in octal.
fn unescaped(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

/// The options that the kernel shows for an ext4 on a device, also those that are not named when it
/// is mounted; `None` if it shows none.
fn of_ext4(device: &str) -> Option<String> {
    let link = std::fs::read_link(format!("/sys/dev/block/{device}")).ok()?;
    let name = link.file_name()?.to_str()?;
    std::fs::read_to_string(format!("/proc/fs/ext4/{name}/options")).ok()
}

/// What the options of an ext4 say of its journal. How data is ordered is shown only if it has one.
fn add_journal(mount: &mut Mount, options: &str) {
    let data = options.lines().find(|option| option.starts_with("data="));
    mount.has_journal = Some(data.is_some());
    mount.options.extend(data.map(str::to_owned));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ext4_without_an_order_of_data_has_no_journal() {
        let found = |options: &str| {
            let mut mount = Mount::default();
            add_journal(&mut mount, options);
            (mount.has_journal, mount.has("data=writeback"))
        };
        assert_eq!(found("rw\nbarrier\nnojournal_checksum\n"), (Some(false), false));
        assert_eq!(found("rw\ndata=ordered\n"), (Some(true), false));
        assert_eq!(found("rw\ndata=writeback\n"), (Some(true), true));
    }

    #[test]
    fn the_last_and_deepest_mount_over_a_path_is_found() {
        let table = "\
1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,data=writeback\n\
2 1 8:2 / /data rw,noatime shared:2 master:3 - xfs /dev/sdb rw,attr2\n\
3 1 0:40 / /data rw - tmpfs tmpfs rw,size=8k\n\
4 1 8:3 / /da\\040ta ro - btrfs /dev/sdc rw,subvol=/\n";
        let found = |path: &str| found_in(table, Path::new(path)).unwrap();
        let (mount, device) = found("/database");
        assert_eq!((mount.kind.as_str(), device.as_str()), ("ext4", "8:1"));
        assert!(mount.has("data=writeback") && mount.has("relatime") && !mount.has("data"));
        assert_eq!(found("/data/marks").0.kind, "tmpfs");
        let (mount, _) = found("/da ta/marks");
        assert!(mount.kind == "btrfs" && mount.has("ro"));
        assert_eq!(found_in("no table", Path::new("/")), None);
    }
}
